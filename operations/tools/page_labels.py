"""Page labels: what a PDF calls its pages, like `iv` or `A-3`.

Source: ISO 32000-1, 12.4.2.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pikepdf
from pikepdf import Array, Dictionary, Name, String

from operations.tools.trees import numbers_in


@dataclass(frozen=True)
class Label:
    """What one page is called."""

    style: str
    """`/D`, `/r`, `/R`, `/a`, `/A`; empty where only the prefix is shown."""
    prefix: bytes
    number: int
    """1-based."""

    def is_followed_by(self, other: "Label") -> bool:
        """Whether another label only counts on."""
        same = (other.style, other.prefix) == (self.style, self.prefix)
        return same and other.number == self.number + 1


def labels_of(pdf: pikepdf.Pdf) -> list[Label] | None:
    """The label of each page; None where the document has none."""
    tree = pdf.Root.get(Name.PageLabels)
    if not isinstance(tree, Dictionary):
        return None
    ranges = numbers_in(tree)
    labels: list[Label] = []
    current = Label("/D", b"", 0)
    for index in range(len(pdf.pages)):
        entry = ranges.get(index)
        if isinstance(entry, Dictionary):
            style, prefix, first = (entry.get(key) for key in (Name.S, Name.P, Name.St))
            current = Label(
                str(style) if isinstance(style, Name) else "",
                bytes(prefix) if isinstance(prefix, String) else b"",
                first if isinstance(first, int) else 1,
            )
        else:
            current = Label(current.style, current.prefix, current.number + 1)
        labels.append(current)
    return labels


def plain_label(page_index: int) -> Label:
    """What a page of a document without labels is called: 1, 2, 3."""
    return Label("/D", b"", page_index + 1)


def write_labels(pdf: pikepdf.Pdf, labels: Sequence[Label]) -> None:
    """Give each page of a document its label."""
    entries: list[int | Dictionary] = []
    for index, label in enumerate(labels):
        if index and labels[index - 1].is_followed_by(label):
            continue
        entry = Dictionary(St=label.number)
        if label.style:
            entry.S = Name(label.style)
        if label.prefix:
            entry.P = String(label.prefix)
        entries += [index, entry]
    pdf.Root.PageLabels = Dictionary(Nums=Array(entries))
