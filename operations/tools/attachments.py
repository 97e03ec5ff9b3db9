"""Files that are embedded in PDFs, and belong to all of the document.

Source: ISO 32000-1, 7.11.4 (embedded files); ISO 32000-2, 14.13 (associated files), by which
invoices carry their data (ZUGFeRD, Factur-X).
"""

import pikepdf
from pikepdf import Array, Dictionary, Name, Object, String

from operations.tools.trees import names_in


class Attachments:
    """The embedded files of a new document."""

    def __init__(self, target: pikepdf.Pdf):
        """Take the document, which has none."""
        self._target = target
        self._by_name: dict[str, Object] = {}
        self._associated: list[Object] = []

    def carry(self, source: pikepdf.Pdf) -> None:
        """Bring those of a document along; of several of one name the later are renamed."""
        names = source.Root.get(Name.Names)
        given = names_in(names.get(Name.EmbeddedFiles)) if isinstance(names, Dictionary) else {}
        for name, file in given.items():
            free = name
            number = 2
            while free in self._by_name:
                free = f"{name}-{number}"
                number += 1
            if isinstance(file, Dictionary):
                self._by_name[free] = self._copied(source, file)
        associated = source.Root.get(Name.AF)
        for file in list(associated) if isinstance(associated, Array) else ():
            if isinstance(file, Dictionary):
                self._associated.append(self._copied(source, file))

    def _copied(self, source: pikepdf.Pdf, file: Dictionary) -> Object:
        return self._target.copy_foreign(file if file.is_indirect else source.make_indirect(file))

    def write(self) -> None:
        """Give the document its files."""
        if self._by_name:
            names = sorted(self._by_name, key=lambda name: bytes(String(name)))
            tree = Array([one for name in names for one in (String(name), self._by_name[name])])
            self._target.Root.Names = Dictionary(EmbeddedFiles=Dictionary(Names=tree))
        if self._associated:
            self._target.Root.AF = Array(self._associated)
