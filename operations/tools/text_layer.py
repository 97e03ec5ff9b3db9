"""The text layer of a PDF page: its words, and whether they can be trusted."""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from enum import StrEnum
from itertools import pairwise
from statistics import median

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from operations.tools.layout import lines_of
from operations.tools.pdf import Boxes, TextLayer
from store.fields import Word, words_from


class Quality(StrEnum):
    """What a text layer is worth."""

    GOOD = "good"
    NONE = "none"
    """There is too little to call it one; or a scan that only has a stamp or a header."""
    GARBAGE = "garbage"
    """Characters without meaning: fonts without a mapping, bad OCR."""
    DOUBTFUL = "doubtful"
    """It may be either: only a look at what can be seen tells."""


_MIN_CHARACTERS = 16
SCAN_COVER_RATIO = 0.5
"""A page of which an image covers this much may be a scan."""

_STAMP_HEIGHT_RATIO = 0.12
_STAMP_CHARACTERS = 200
"""Text on a scan that is no more than this is what the scanner or the fax put there."""

_FILLERS = re.compile(r"(?:[._\-\u2010-\u2015\u00b7\u2026]\s?){3,}")
"""Leader dots and lines to write on, which say nothing of the text around them."""

# Shares of the characters of a page, found on 22 real documents.
_MAX_BAD_RATIO = 0.05
_MAX_BAD_RATIO_WITHOUT_SCAN = 0.20
_MIN_ALPHANUMERIC_RATIO = 0.55
_MAX_LONE_RATIO = 0.40
_MIN_WORDLIKE_RATIO = 0.25
_SURELY_ALPHANUMERIC_RATIO = 0.75

_WORDLIKE = re.compile(r"[^\W\d_]{2,}|\d[\d.,:/%-]*")

_JOIN_RATIO = 0.6
"""A gap this many times the height of a letter ends a word, even without a space."""


def words_of(layer: TextLayer, width: int, height: int) -> list[Word]:
    """The words of a text layer, as it has them in order; none that lies outside of the page.

    Args:
        layer: of a page.
        width: of the page image, in pixels.
        height: of the page image, in pixels.
    """
    if not layer.characters:
        return []
    begins = layer.is_after_space.copy()
    begins[1:] |= ~_go_on(layer.boxes)
    starts = np.flatnonzero(begins)
    left, top = (np.minimum.reduceat(layer.boxes[:, n], starts) for n in (0, 1))
    right, bottom = (np.maximum.reduceat(layer.boxes[:, n], starts) for n in (2, 3))
    x, y = (left + right) / 2, (top + bottom) / 2
    is_inside = (x >= 0) & (x <= width) & (y >= 0) & (y <= height)
    spans = np.stack((starts, np.append(starts[1:], len(layer.characters))), axis=1)
    boxes = np.stack((left, top, right, bottom), axis=1)
    return words_from(
        {
            "text": unicodedata.normalize("NFC", layer.characters[start:end]),
            "box": box,
            "confidence": 1.0,
        }
        for (start, end), box in zip(
            spans[is_inside].tolist(), boxes[is_inside].tolist(), strict=True
        )
    )


_TURNED_RATIO = 0.8
"""Boxes of letters that are turned are wider than high; upright ones, but few, are not."""


def _go_on(boxes: Boxes) -> NDArray[np.bool_]:
    """Whether characters and those after them touch, or nearly; in any direction, as they stand.

    Upright ones do not go on below each other: a column of digits is no word.
    """
    before, after = boxes[:-1], boxes[1:]
    apart = np.maximum(before[:, :2], after[:, :2]) - np.minimum(before[:, 2:], after[:, 2:])
    width, height = np.minimum(before[:, 2:] - before[:, :2], after[:, 2:] - after[:, :2]).T
    height = np.maximum(height, 1.0)
    is_below = (apart[:, 1] >= 0) & (width < _TURNED_RATIO * height)
    return ~is_below & (apart.max(axis=1) <= _JOIN_RATIO * height)


def judge(
    words: Sequence[Word],
    image_cover_ratio: float,
    page_height: int,
    languages: Sequence[str] = (),
) -> Quality:
    """Say what a text layer is worth.

    Args:
        words: of the layer.
        image_cover_ratio: how much of the page its largest image covers.
        page_height: of the image whose pixels the boxes are in.
        languages: that are expected, by tesseract's names.
    """
    text = _FILLERS.sub(" ", " ".join(word.text for word in words))
    tokens = text.split()
    characters = Counter("".join(tokens))
    if characters.total() < _MIN_CHARACTERS:
        return Quality.NONE
    is_scan = image_cover_ratio >= SCAN_COVER_RATIO
    if is_scan and characters.total() < _STAMP_CHARACTERS:
        covered = sum({round(w.box[1], -1): w.box[3] - w.box[1] for w in words}.values())
        if covered < _STAMP_HEIGHT_RATIO * page_height:
            return Quality.NONE
    if _is_garbage(tokens, characters, is_scan=is_scan):
        return Quality.GARBAGE
    is_strange = is_scan and (
        _is_foreign(characters, languages) or _has_no_common_words(tokens, languages)
    )
    if is_strange or _is_odd(tokens, characters):
        return Quality.DOUBTFUL
    return Quality.GOOD


def _is_garbage(tokens: Sequence[str], characters: Counter[str], *, is_scan: bool) -> bool:
    bad = _count(_is_bad, characters) / characters.total()
    if not is_scan:
        # Without a scan OCR would read what is drawn, so only what cannot be text is garbage.
        return bad > _MAX_BAD_RATIO_WITHOUT_SCAN
    alphanumeric = _count(str.isalnum, characters) / characters.total()
    lone = sum(len(token) == 1 for token in tokens) / len(tokens)
    wordlike = sum(bool(_WORDLIKE.search(token)) for token in tokens) / len(tokens)
    return (
        bad > _MAX_BAD_RATIO
        or alphanumeric < _MIN_ALPHANUMERIC_RATIO
        or lone > _MAX_LONE_RATIO
        or (wordlike < _MIN_WORDLIKE_RATIO and alphanumeric < _SURELY_ALPHANUMERIC_RATIO)
    )


# What makes one look twice; whether the text is right, the page then tells.
_ODD_BAD_RATIO = 0.02
_VOWEL_RATIOS = (0.24, 0.62)
"""Of the letters, in all languages with Latin letters; a mapping that is off by some has fewer."""

_MIN_LETTERS = 60
_MAX_ACCENTED_RATIO = 0.3
_MAX_MOJIBAKE_RATIO = 0.01
_MAX_MIXED_RATIO = 0.2

_MOJIBAKE = re.compile(
    r"[\u00c2\u00c3\u00d0\u00d1][\u0080-\u00bf\u0152-\u0192\u02c6-\u2122]|\u00e2\u20ac"
)
"""UTF-8 that was taken for Windows-1252."""

_MIXED = re.compile(r"(?:[a-z][A-Z]|[^\W\d_]\d+[^\W\d_]|\w[|{}<>~^\\]\w)\S*")
"""A capital after a small letter, a digit between letters, a mark within a word; and the rest of
what stands there without a space, so that it counts once."""


def _is_odd(tokens: Sequence[str], characters: Counter[str]) -> bool:
    if _count(_is_bad, characters) > _ODD_BAD_RATIO * characters.total():
        return True
    text = " ".join(tokens)
    if len(_MOJIBAKE.findall(text)) > _MAX_MOJIBAKE_RATIO * characters.total():
        return True
    latin = Counter({letter: n for letter, n in characters.items() if _is_latin(letter)})
    if latin.total() < _MIN_LETTERS:
        return False
    vowels = _count(_is_vowel, latin) / latin.total()
    accented = _count(lambda letter: not letter.isascii(), latin) / latin.total()
    mixed = len(_MIXED.findall(text)) / len(tokens)
    fewest, most = _VOWEL_RATIOS
    is_common = fewest <= vowels <= most and accented <= _MAX_ACCENTED_RATIO
    return not is_common or mixed > _MAX_MIXED_RATIO


def _count(is_meant: Callable[[str], bool], characters: Counter[str]) -> int:
    return sum(count for character, count in characters.items() if is_meant(character))


def _is_vowel(letter: str) -> bool:
    return unicodedata.normalize("NFD", letter)[0].lower() in "aeiouy"


def _is_latin(character: str) -> bool:
    return character.isalpha() and ord(character) < 0x0250


_LETTERS_OF = {
    "deu": "\u00e4\u00f6\u00fc\u00df",
    "fra": "\u00e9\u00e8\u00ea\u00e0\u00e7",
    "spa": "\u00e1\u00e9\u00ed\u00f3\u00fa\u00f1",
    "por": "\u00e1\u00e9\u00ed\u00f3\u00e7\u00e3",
    "ita": "\u00e0\u00e8\u00e9\u00ec\u00f2\u00f9",
    "pol": "\u0105\u0119\u0142\u00f3\u017c",
    "swe": "\u00e5\u00e4\u00f6",
}
"""Letters without which no page of a language is."""

_OTHER_SCRIPTS = {
    "rus": "CYRILLIC",
    "ukr": "CYRILLIC",
    "bul": "CYRILLIC",
    "ell": "GREEK",
    "heb": "HEBREW",
    "ara": "ARABIC",
}
_MIN_FOREIGN_LETTERS = 400
_MOST = 0.5


def _is_foreign(characters: Counter[str], languages: Sequence[str]) -> bool:
    """Whether a layer lacks the letters of the languages that are expected, or has others."""
    letters: Counter[str] = Counter()
    for character, count in characters.items():
        letters.update({letter: count for letter in character.lower() if letter.isalpha()})
    if letters.total() < _MIN_LETTERS or not languages:
        return False
    scripts = {_OTHER_SCRIPTS.get(language, "LATIN") for language in languages}
    ours = _count(lambda letter: unicodedata.name(letter, "").split(" ")[0] in scripts, letters)
    is_known = all(language in _OTHER_SCRIPTS or language in _LATIN for language in languages)
    if is_known and ours < _MOST * letters.total():
        return True
    wanted = [_LETTERS_OF[language] for language in languages if language in _LETTERS_OF]
    return (
        len(wanted) == len(languages)
        and letters.total() >= _MIN_FOREIGN_LETTERS
        and not any(letter in letters for some in wanted for letter in some)
    )


_LATIN = frozenset({"eng", "nld", "dan", "nor", "fin", "ces", *_LETTERS_OF})

_COMMON_WORDS = {
    "eng": "the of and to in is for that with on by it be are from",
    "deu": "der die das und in zu den von mit ist für auf nicht im dem",
    "fra": "de la le et les des en du que est un une pour dans par",
    "spa": "de la que el en y los se del las por un para con una",
    "por": "de a que e o do da em um para com os no se na",
    "ita": "di e che il la in un a per non è del una le si",
    "nld": "de het een van en in is dat op te voor met zijn aan niet",
}
"""A quarter to a half of the words of any prose are among these, of lists and forms fewer."""

_MIN_WORDS = 40
_MIN_COMMON_RATIO = 0.1


def _has_no_common_words(tokens: Sequence[str], languages: Sequence[str]) -> bool:
    """Whether a layer is not of words of the languages that are expected, as far as they are known.

    It may be a list of parts, or OCR in the wrong language, which makes letters of the right
    alphabet into words that there are not.
    """
    words = [word for token in tokens if (word := _bare(token)).isalpha()]
    is_known = bool(languages) and all(language in _COMMON_WORDS for language in languages)
    if len(words) < _MIN_WORDS or not is_known:
        return False
    common = {word for language in languages for word in _COMMON_WORDS[language].split()}
    return sum(word in common for word in words) < _MIN_COMMON_RATIO * len(words)


_INK_CONTRAST = 24
_MIN_GAPS = 12
_MAX_GAP_INK = 0.5
"""How much of the ink of words may be between them: on a page that the text does not belong to it
is as much as in them."""


def lies_on_ink(words: Sequence[Word], page: Image.Image) -> bool:
    """Whether there is ink where words are, and none between them.

    Args:
        words: of a layer, their boxes in pixels of the page image.
        page: gray; of any size.
    """
    pixels = np.asarray(page, dtype=np.uint8)
    height, width = pixels.shape
    ink = cv2.subtract(cv2.blur(pixels, (25, 25)), pixels) >= _INK_CONTRAST
    sums = cv2.integral(ink.astype(np.uint8))

    def share(left: float, top: float, right: float, bottom: float) -> float | None:
        x, across = (min(max(round(side), 0), width) for side in (left, right))
        y, down = (min(max(round(side), 0), height) for side in (top, bottom))
        if across - x < 2 or down - y < 2:
            return None
        area = (across - x) * (down - y)
        return float(sums[down, across] - sums[y, across] - sums[down, x] + sums[y, x]) / area

    inside = [share(*word.box) for word in words]
    lines = [[word for segment in line for word in segment.words] for line in lines_of(words)]
    gaps = [
        share(left.box[2], left.box[1], right.box[0], left.box[3])
        for line in lines
        for left, right in pairwise(line)
    ]
    inked, between = ([one for one in some if one is not None] for some in (inside, gaps))
    if len(between) < _MIN_GAPS or not inked:
        return True  # too little to tell by
    return sum(between) / len(between) <= _MAX_GAP_INK * sum(inked) / len(inked)


_PROBE_LINES = 7
_SURE = 0.8
_MIN_PROBE_WORDS = 6
_MIN_AGREEMENT = 0.4


def fullest_stretch(words: Sequence[Word]) -> tuple[float, float]:
    """Top and bottom of the few lines with the most letters."""
    size = median(word.box[3] - word.box[1] for word in words)
    reach = _PROBE_LINES * 1.4 * size

    def letters_from(top: float) -> int:
        return sum(len(word.text) for word in words if top <= word.box[1] <= top + reach)

    top = max((word.box[1] for word in words[:: len(words) // 200 + 1]), key=letters_from)
    return top - size / 2, top + reach + size


def agrees(words: Sequence[Word], seen: Sequence[Word]) -> bool:
    """Whether a layer says what OCR reads in the same place; yes where OCR is not sure itself.

    Args:
        words: of the layer, there.
        seen: what OCR read.
    """
    told = {_bare(word.text) for word in words}
    sure = [_bare(word.text) for word in seen if word.confidence >= _SURE and len(word.text) > 3]
    if len(sure) < _MIN_PROBE_WORDS:
        return True
    return sum(word in told for word in sure) >= _MIN_AGREEMENT * len(sure)


def _bare(text: str) -> str:
    return re.sub(r"\W+", "", text).casefold()


def _is_bad(character: str) -> bool:
    if ord(character) > 0xFF and not ord(character) & 0xFF:
        return True  # Latin text whose bytes were swapped; of CJK text one in 256
    return character == "�" or unicodedata.category(character) in {"Cc", "Co", "Cn", "Cs"}
