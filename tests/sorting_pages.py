"""Stacks of generated documents: which pages belong together, and what each is, is known.

For the tests and for `benchmarks/extraction.py`.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import zxingcpp
from PIL import Image, ImageDraw, ImageFont

from operations.segment import SegmentParams
from store.fields import PageWords, Word
from store.project_file import DocumentTypePart

WIDTH, HEIGHT = 1240, 1754
"""A4 at 150 dpi."""

SIGNS = {
    "invoice": (["invoice", "total due", "vat", "payment terms"], "INVOICE"),
    "delivery_note": (["delivery note", "packages", "received by", "carrier"], "DELIVERY NOTE"),
    "contract": (["agreement", "parties", "governing law", "termination"], "AGREEMENT"),
    "application": (["application", "curriculum", "references", "position"], "APPLICATION"),
    "complaint": (["complaint", "refund", "damaged", "disappointed"], "COMPLAINT"),
}
"""Type -> keywords, and what stands on its first page."""

# Words that letters of all kinds have, among them what is a keyword of one of them.
_FILLER = """
the of and to in for with on your our we you are is be this that please find date number customer
letter office street city page regards sincerely enclosed order amount refund position parties
invoice carrier department reference
"""
FILLER = _FILLER.split()


@dataclass(frozen=True)
class Page:
    """What is on a page."""

    text: str
    barcode: str = ""


@dataclass(frozen=True)
class Sample:
    """A stack of documents in one file."""

    pages: Sequence[Page]
    page_numbers: list[list[int]]
    document_types: list[str]
    by: str

    @property
    def segment_params(self) -> SegmentParams:
        """How it is to be cut."""
        patterns = [f"^{head}$" for _, head in SIGNS.values()]
        more = {"first_page_patterns": patterns} if self.by == "first_page" else {}
        return SegmentParams.model_validate(
            {
                "page_numbers": list(range(1, len(self.pages) + 1)),
                "how": {"by": self.by, **more},
            }
        )

    @property
    def types(self) -> list[DocumentTypePart]:
        """What there can be."""
        return [
            DocumentTypePart.model_validate({"name": name, "keywords": keywords})
            for name, (keywords, _) in SIGNS.items()
        ]


def sample_of(seed: int, *, by: str, documents: int, missing: float = 0.2) -> Sample:
    """A stack of documents.

    Args:
        seed: the same one gives the same stack.
        by: what is between the documents.
        documents: how many.
        missing: how many of its keywords a document does not have, 0..1.
    """
    lots = random.Random(seed)
    pages: list[Page] = []
    page_numbers: list[list[int]] = []
    kinds: list[str] = []
    for index in range(documents):
        if index and by != "first_page":
            pages.append(Page("", barcode="SEP" if by == "barcode" else ""))
        kind = lots.choice(list(SIGNS))
        keywords, head = SIGNS[kind]
        count = lots.randint(1, 3)
        first = len(pages) + 1
        for number in range(count):
            kept = [one for one in keywords if number == 0 and lots.random() >= missing]
            body = [*kept, *lots.choices(FILLER, k=40)]
            lots.shuffle(body)
            lines = [" ".join(body[n : n + 8]) for n in range(0, len(body), 8)]
            pages.append(Page("\n".join([head, *lines] if number == 0 else lines)))
        page_numbers.append(list(range(first, first + count)))
        kinds.append(kind)
    return Sample(pages, page_numbers, kinds, by)


@dataclass(frozen=True)
class Written:
    """What `read-pages` would have written."""

    words: list[Path]
    images: list[Path]


def write_pages(pages: Sequence[Page], folder: Path, confidence: float = 1.0) -> Written:
    """Write the words and the image of each page."""
    folder.mkdir(parents=True, exist_ok=True)
    words: list[Path] = []
    images: list[Path] = []
    for number, page in enumerate(pages, 1):
        found = [
            Word(text=word, box=(0, 0, 9, 9), confidence=confidence, line=line)
            for line, row in enumerate(page.text.split("\n"))
            for word in row.split()
        ]
        content = PageWords(
            number=number,
            width_pixels=WIDTH,
            height_pixels=HEIGHT,
            method="text_layer",
            words=found,
        )
        words.append(folder / f"{number:04}.json")
        words[-1].write_text(content.model_dump_json())
        images.append(folder / f"{number:04}.jpg")
        _drawn(page, number).save(images[-1], quality=80)
    return Written(words, images)


def _drawn(page: Page, number: int) -> Image.Image:
    specks = np.random.default_rng(number)
    paper = np.full((HEIGHT, WIDTH), 245, np.uint8)
    paper[specks.integers(0, HEIGHT, 40), specks.integers(0, WIDTH, 40)] = 60
    image = Image.fromarray(paper)
    font = ImageFont.load_default(size=26)
    ImageDraw.Draw(image).multiline_text((120, 150), page.text, 0, font, spacing=16)
    if page.barcode:
        code = zxingcpp.create_barcode(page.barcode, zxingcpp.BarcodeFormat.QRCode)
        image.paste(Image.fromarray(np.array(code.to_image(scale=6))), (500, 900))
    return image
