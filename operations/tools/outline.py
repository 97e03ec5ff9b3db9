"""Bookmarks of PDFs: read, narrowed to the pages that are kept, and written into a new PDF.

Source: ISO 32000-1, 12.3.2 (destinations) and 12.3.3 (document outline).
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import cached_property

import pikepdf
from pikepdf import Array, Dictionary, Name, String

from operations.tools.trees import names_in
from store.errors import LimitExceededError

_MAX_DEPTH = 64
_MAX_BOOKMARKS = 100_000

_LOOK_KEYS = (Name.C, Name.F)
"""Colour, and whether it is bold or italic."""


@dataclass(frozen=True)
class Place:
    """Where a bookmark or a link leads inside of a document."""

    page_index: int
    """0-based."""
    view: bytes
    """What of the page is shown, as it stands in a destination: `/XYZ 72 720 0`."""


@dataclass(frozen=True)
class Bookmark:
    """An entry of the outline."""

    title: bytes
    """As the file has it."""
    place: Place | None
    """None where it leads to no page of this document."""
    address: bytes | None
    """The URI that it leads to instead."""
    look: Mapping[str, bytes]
    is_open: bool
    below: "Level"
    page_indices: frozenset[int]
    """Of the pages that it and those below it lead to."""


@dataclass(frozen=True)
class Level:
    """Bookmarks beside each other."""

    bookmarks: Sequence[Bookmark] = ()

    @cached_property
    def _positions(self) -> Mapping[int, Sequence[int]]:
        """Where those are that lead to a page, or of which one below them does."""
        found: defaultdict[int, list[int]] = defaultdict(list)
        for position, bookmark in enumerate(self.bookmarks):
            for index in bookmark.page_indices:
                found[index].append(position)
        return found

    def leading_to(self, page_indices: Set[int]) -> Sequence[Bookmark]:
        """Those that lead to one of these pages, or have one below them that does."""
        if len(page_indices) >= len(self.bookmarks):
            return [one for one in self.bookmarks if not one.page_indices.isdisjoint(page_indices)]
        # A long document has thousands of them, and each of its pages may get a file of its own.
        at = {position for index in page_indices for position in self._positions.get(index, ())}
        return [self.bookmarks[position] for position in sorted(at)]


class Destinations:
    """Where the destinations of a document lead, by whichever of the three ways they are given."""

    def __init__(self, pdf: pikepdf.Pdf, page_indices: Mapping[tuple[int, int], int]):
        """Take a document and the 0-based index of each of its pages by its object."""
        self._page_indices = page_indices
        self._legacy = pdf.Root.get(Name.Dests)
        names = pdf.Root.get(Name.Names)
        self._tree = names.get(Name.Dests) if isinstance(names, Dictionary) else None

    def of(self, link: pikepdf.Object) -> Place | None:
        """Where a bookmark or a link leads; None where it is no page of the document."""
        given = link.get(Name.Dest)
        if given is None:
            action = link.get(Name.A)
            if not isinstance(action, Dictionary) or action.get(Name.S) != Name.GoTo:
                return None
            given = action.get(Name.D)
        if isinstance(given, String):
            given = self._named.get(str(given))
        elif isinstance(given, Name):
            given = self._legacy.get(given) if isinstance(self._legacy, Dictionary) else None
        if isinstance(given, Dictionary):
            given = given.get(Name.D)
        if not isinstance(given, Array) or len(given) == 0:
            return None
        index = self._index_of(given[0])
        if index is None:
            return None
        view = b" ".join(_written(part) for part in list(given)[1:])
        return Place(index, view or b"/Fit")

    @cached_property
    def _named(self) -> Mapping[str, object]:
        return names_in(self._tree)

    def _index_of(self, page: object) -> int | None:
        if isinstance(page, Dictionary):
            return self._page_indices.get(page.objgen)
        # Some writers give the index of the page, which is for other documents.
        return page if isinstance(page, int) and page in self._page_indices.values() else None


def destination(page: pikepdf.Page, view: bytes) -> Array:
    """A destination that is given by its page itself."""
    rest = pikepdf.Object.parse(b"[" + view + b"]")
    assert isinstance(rest, Array)  # noqa: S101  # of what was written above
    return Array([page.obj, *rest])


def bookmarks_of(pdf: pikepdf.Pdf, destinations: Destinations) -> Level:
    """The outline of a document.

    Raises:
        LimitExceededError: there are too many, or too deep inside each other.
    """
    root = pdf.Root.get(Name.Outlines)
    seen: set[tuple[int, int]] = set()

    def level(parent: pikepdf.Object, depth: int) -> Level:
        found: list[Bookmark] = []
        item = parent.get(Name.First)
        # An item that comes again would be read for ever.
        while isinstance(item, Dictionary) and item.objgen not in seen:
            seen.add(item.objgen)
            if depth > _MAX_DEPTH or len(seen) > _MAX_BOOKMARKS:
                raise LimitExceededError(
                    f"The document has more than {_MAX_BOOKMARKS} bookmarks, or more than"
                    f" {_MAX_DEPTH} inside each other. Remove them and send it again.",
                    limit_bookmarks=_MAX_BOOKMARKS,
                    limit_depth=_MAX_DEPTH,
                )
            found.append(_bookmark(item, destinations, level(item, depth + 1)))
            item = item.get(Name.Next)
        return Level(found)

    return level(root, 1) if isinstance(root, Dictionary) else Level()


def _bookmark(item: Dictionary, destinations: Destinations, below: Level) -> Bookmark:
    title, action, count = item.get(Name.Title), item.get(Name.A), item.get(Name.Count)
    address = action.get(Name.URI) if isinstance(action, Dictionary) else None
    place = destinations.of(item)
    own = [place.page_index] if place else []
    return Bookmark(
        title=bytes(title) if isinstance(title, String) else b"",
        place=place,
        address=bytes(address) if isinstance(address, String) else None,
        look={str(key): _written(item[key]) for key in _LOOK_KEYS if key in item},
        is_open=isinstance(count, int) and count > 0,
        below=below,
        page_indices=frozenset(own).union(*(one.page_indices for one in below.bookmarks)),
    )


def kept_bookmarks(
    level: Level, new_indices: Mapping[int, int], *, is_whole: bool
) -> Sequence[Bookmark]:
    """The bookmarks that lead to pages which are kept, and those above them.

    Args:
        level: of the source.
        new_indices: the index of each kept page, by that which it had.
        is_whole: all pages are kept, and so are bookmarks that lead to none.
    """
    kept: list[Bookmark] = []
    for bookmark in level.bookmarks if is_whole else level.leading_to(new_indices.keys()):
        below = Level(kept_bookmarks(bookmark.below, new_indices, is_whole=is_whole))
        place = bookmark.place
        index = new_indices.get(place.page_index) if place else None
        moved = replace(place, page_index=index) if place and index is not None else None
        kept.append(replace(bookmark, place=moved, below=below))
    return kept


def write_bookmarks(pdf: pikepdf.Pdf, bookmarks: Sequence[Bookmark]) -> None:
    """Give a document its outline, whose places are pages of the document."""
    if not bookmarks:
        return
    pages = list(pdf.pages)
    root = pdf.make_indirect(Dictionary(Type=Name.Outlines))
    pdf.Root.Outlines = root

    def write(parent: pikepdf.Object, level: Sequence[Bookmark]) -> int:
        """Write one level; answers how many entries are seen when it is open."""
        items = [pdf.make_indirect(_item(pages, one, parent)) for one in level]
        seen = len(items)
        for n, (item, bookmark) in enumerate(zip(items, level, strict=True)):
            if n:
                item.Prev = items[n - 1]
                items[n - 1].Next = item
            seen_below = write(item, bookmark.below.bookmarks)
            if seen_below:
                item.Count = seen_below if bookmark.is_open else -seen_below
                seen += seen_below if bookmark.is_open else 0
        if items:
            parent.First, parent.Last = items[0], items[-1]
        return seen

    root.Count = write(root, bookmarks)


def _item(pages: Sequence[pikepdf.Page], bookmark: Bookmark, parent: pikepdf.Object) -> Dictionary:
    item = Dictionary(Title=String(bookmark.title), Parent=parent)
    for key, value in bookmark.look.items():
        item[key] = pikepdf.Object.parse(value)
    if bookmark.place:
        item.Dest = destination(pages[bookmark.place.page_index], bookmark.place.view)
    elif bookmark.address is not None:
        item.A = Dictionary(S=Name.URI, URI=String(bookmark.address))
    return item


def _written(value: object) -> bytes:
    """A value as it stands in a file; null for what is no plain value of a destination."""
    if isinstance(value, (Dictionary, pikepdf.Stream)):
        return b"null"
    if isinstance(value, Array):
        return b"[" + b" ".join(_written(part) for part in list(value)) + b"]"
    return Array([value]).unparse()[1:-1].strip()
