"""New PDFs made of pages of others, with all that belongs to the pages.

Pages are copied into a new document, never taken out of the old one: whatever is not copied
(text of other pages, their notes, values of their fields) cannot be left in the file. What is
drawn is neither decoded nor changed.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pikepdf
from pikepdf import Array, Dictionary, Name, String

from operations.tools import pdf
from operations.tools.attachments import Attachments
from operations.tools.form_fields import annotations_of, carry_fields
from operations.tools.job import page_done
from operations.tools.layers import carry_layers
from operations.tools.outline import (
    Bookmark,
    Destinations,
    bookmarks_of,
    destination,
    kept_bookmarks,
    write_bookmarks,
)
from operations.tools.page_labels import Label, labels_of, plain_label, write_labels
from operations.tools.signatures import remove_signatures

_OF_THE_DOCUMENT = (Name.Lang, Name.OutputIntents, Name.PageLayout, Name.ViewerPreferences)
"""What says how all pages of a document are shown."""


class Source:
    """A PDF whose pages are taken, as it is before any is."""

    def __init__(self, document: pikepdf.Pdf):
        """Read what belongs to the pages."""
        self.pdf = document
        self.pages = list(document.pages)
        indices = {page.obj.objgen: index for index, page in enumerate(self.pages)}
        self.destinations = Destinations(document, indices)
        self.bookmarks = bookmarks_of(document, self.destinations)
        self.labels = labels_of(document)
        given = document.trailer.get(Name.Info)
        facts = given.items() if isinstance(given, Dictionary) else ()
        self.information = {key: bytes(one) for key, one in facts if isinstance(one, String)}
        """What the document is called, and by whom it was made."""


@contextmanager
def opened(path: Path) -> Iterator[Source]:
    """A PDF that `pdf.examine` has passed.

    Raises:
        DamagedFileError: it cannot be opened, or read to where it is needed.
    """
    # Of a document that is opened by itself pikepdf keeps all that was copied in memory
    # (`QPDF::setImmediateCopyFrom`); of that of a job it is read when the copy is written.
    job = pikepdf.Job(["pikepdf", "--no-warn", str(path), "-"])
    with pdf.damage_is_ours(), job.create_pdf() as document:
        yield Source(document)


class Assembly:
    """A new PDF, to which pages are added."""

    def __init__(self) -> None:
        """Begin without pages."""
        self.pdf = pikepdf.new()
        self._bookmarks: list[Bookmark] = []
        self._labels: list[Label] = []
        self._has_labels = False
        self._attachments = Attachments(self.pdf)

    def add(self, source: Source, page_indices: Sequence[int]) -> None:
        """Add pages of a document, which must stay open until this one is saved.

        Args:
            source: the document.
            page_indices: 0-based, each once.
        """
        first = len(self._labels)
        there = self.pdf.pages
        # It warns of what is mended below: fields and links.
        with warnings.catch_warnings(action="ignore", category=pikepdf.PageCopyWarning):
            for index in page_indices:
                there.append(source.pages[index])
                page_done()
        pages = [there[n] for n in range(first, first + len(page_indices))]
        new_indices = {index: first + n for n, index in enumerate(page_indices)}
        for index, page in zip(page_indices, pages, strict=True):
            self._mend_annotations(source, source.pages[index], page, new_indices)
        carry_fields(self.pdf, source.pdf, page_indices, pages)
        carry_layers(self.pdf, source.pdf)
        is_whole = len(page_indices) == len(source.pages)
        self._bookmarks += kept_bookmarks(source.bookmarks, new_indices, is_whole=is_whole)
        labels = source.labels
        self._labels += [labels[n] if labels else plain_label(n) for n in page_indices]
        self._has_labels = self._has_labels or source.labels is not None

    def _mend_annotations(
        self,
        source: Source,
        given: pikepdf.Page,
        page: pikepdf.Page,
        new_indices: Mapping[int, int],
    ) -> None:
        """Let the links of a page lead to copies of pages; those to none are gone."""
        if Name.B in page.obj:
            del page.obj.B  # articles, which go on on other pages
        if Name.Annots not in page.obj:
            return
        kept: list[Dictionary] = []
        for before, copy in zip(annotations_of(given), annotations_of(page), strict=True):
            if Name.P in copy:
                copy.P = page.obj
            place = source.destinations.of(before)
            if place is not None:
                if place.page_index not in new_indices:
                    continue
                there = self.pdf.pages[new_indices[place.page_index]]
                for key in (Name.Dest, Name.A):
                    if key in copy:
                        del copy[key]
                copy.Dest = destination(there, place.view)
            kept.append(copy)
        page.obj.Annots = Array(kept)

    def attach_files_of(self, source: Source) -> None:
        """Bring along the files that are embedded in a document."""
        self._attachments.carry(source.pdf)

    def describe_as(self, source: Source) -> None:
        """Call the new document what the source is called: its pages are all from there."""
        for key in _OF_THE_DOCUMENT:
            if key in source.pdf.Root:
                self.pdf.Root[key] = self._own(source, source.pdf.Root[key])
        if source.information:
            information = self.pdf.docinfo  # looked up anew each time, which takes a while
            for key, value in source.information.items():
                information[key] = String(value)

    def _own(self, source: Source, value: pikepdf.Object) -> pikepdf.Object:
        if not isinstance(value, Array) and not isinstance(value, Dictionary):
            return pikepdf.Object.parse(value.unparse())
        return self.pdf.copy_foreign(
            value if value.is_indirect else source.pdf.make_indirect(value)
        )

    def save(self, target: Path) -> None:
        """Write the new document; the same pages give the same bytes."""
        write_bookmarks(self.pdf, self._bookmarks)
        if self._has_labels:
            write_labels(self.pdf, self._labels)
        self._attachments.write()
        # Its sources were let through, or there are none.
        remove_signatures(self.pdf)
        pdf.write(self.pdf, target)
        self.pdf.close()


@dataclass(frozen=True)
class Part:
    """Pages of a document that get into a file of their own."""

    file: str
    """Name of the file."""
    page_numbers: list[int]
    """1-based, each once."""


def write_pages(path: Path, part: Part, folder: Path) -> None:
    """Write pages of a PDF into a new one, with all that belongs to them or to all pages.

    Args:
        path: of a PDF that `pdf.examine` has passed.
        part: that is to be written.
        folder: where to.

    Raises:
        DamagedFileError: its structure cannot be read.
    """
    with opened(path) as source:
        assembly = _assembled(source, part)
        assembly.attach_files_of(source)
        assembly.save(folder / part.file)


def write_parts(path: Path, parts: Sequence[Part], folder: Path) -> None:
    """Write pages of a PDF into new ones, with their bookmarks, labels, links and fields.

    Embedded files are of the whole document: only who gets all of its pages gets them, too.

    Args:
        path: of a PDF that `pdf.examine` has passed.
        parts: that are to be written.
        folder: where to.

    Raises:
        DamagedFileError: its structure cannot be read.
    """
    with opened(path) as source:
        for part in parts:
            assembly = _assembled(source, part)
            if len(part.page_numbers) == len(source.pages):
                assembly.attach_files_of(source)
            assembly.save(folder / part.file)


def _assembled(source: Source, part: Part) -> Assembly:
    assembly = Assembly()
    assembly.add(source, [number - 1 for number in part.page_numbers])
    assembly.describe_as(source)
    return assembly


def merge_files(paths: Sequence[Path], target: Path) -> None:
    """Write all pages of several PDFs into one, with all that belongs to them.

    Args:
        paths: of PDFs that `pdf.examine` has passed, in order.
        target: the PDF to write.

    Raises:
        DamagedFileError: the structure of one cannot be read.
    """
    with ExitStack() as kept_open:
        assembly = Assembly()
        for path in paths:
            source = kept_open.enter_context(opened(path))
            assembly.add(source, range(len(source.pages)))
            assembly.attach_files_of(source)
        assembly.save(target)
