"""Words as they stand on the paper, where OCR made something else of them."""

import re
from collections.abc import Sequence

from operations.tools.layout import around, share_of_height
from store.fields import OCR, PageWords, Word

STRAY_EDGES = re.compile(
    r"^[=_~|\u00a6\u2018\u2019\u201c\u201d\u201e'`\u00b4\"\u00ab\u00bb<>^\\\u2122]+"
    r"|[=_~|\u00a6<>^\\\u2122]+$"
)
"""What OCR sees in specks, rules and signs of other fonts: quotes too, but for inches."""

_DOUBTFUL = 0.7
"""Stray marks take from the confidence of a word; what is surer has them on the paper, too."""

_LETTERS_DOUBT = 2.0
"""Of generated scans, one in five words of letters was wrong that tesseract said to be 0.7 to 0.9
sure of, and of numbers one in fifty: with letters it is doubted by so much more."""

_DECIMALS = re.compile(r"[.,]\d+\D?")
_MAX_GAP = 0.6
"""In heights of a word: what stands further apart are two numbers."""


def tidied(pages: Sequence[PageWords]) -> list[PageWords]:
    """The pages as OCR read them, with numbers whole again, without stray marks, and less sure.

    Args:
        pages: of a document; what has a text layer stays as it is.
    """
    return [
        page.model_copy(update={"words": _tidied(page.words)}) if page.method == OCR else page
        for page in pages
    ]


def _tidied(words: Sequence[Word]) -> list[Word]:
    found: list[Word] = []
    for word in words:
        text = STRAY_EDGES.sub("", word.text) if word.confidence < _DOUBTFUL else word.text
        if not text:
            continue
        is_number = not any(letter.isalpha() for letter in text)
        doubt = (1 - word.confidence) * (1 if is_number else _LETTERS_DOUBT)
        word = word.model_copy(update={"text": text, "confidence": max(1 - doubt, 0.0)})
        if found and _is_rest_of(found[-1], word):
            found[-1] = _joined(found[-1], word)
        else:
            found.append(word)
    return found


def _is_rest_of(number: Word, word: Word) -> bool:
    """Whether `,36` is the end of `5.061`."""
    height = min(number.box[3] - number.box[1], word.box[3] - word.box[1])
    return (
        _DECIMALS.fullmatch(word.text) is not None
        and number.text[-1].isdigit()
        and -height < word.box[0] - number.box[2] < _MAX_GAP * height
        and share_of_height(number.box, word.box) > 0
    )


def _joined(number: Word, word: Word) -> Word:
    confidence = min(number.confidence, word.confidence)
    box = around([number.box, word.box])
    return number.model_copy(
        update={"text": number.text + word.text, "box": box, "confidence": confidence}
    )
