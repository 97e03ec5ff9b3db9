"""The text layer of a PDF page: its words, and whether they can be trusted."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from enum import StrEnum

from operations.tools.layout import around
from operations.tools.pdf import Character
from store.fields import Box, Word


class Quality(StrEnum):
    """What a text layer is worth."""

    GOOD = "good"
    NONE = "none"
    """There is too little to call it one; or a scan that only has a stamp or a header."""
    GARBAGE = "garbage"
    """Characters without meaning: fonts without a mapping, bad OCR."""


_MIN_CHARACTERS = 16
_SCAN_COVER_RATIO = 0.5
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


def words_of(characters: Iterable[Character | None], width: int, height: int) -> list[Word]:
    """The words of a text layer, as it has them in order; none that lies outside of the page."""
    words: list[Word] = []
    letters: list[Character] = []
    for character in [*characters, None]:
        if letters and (character is None or not _goes_on(letters[-1].box, character.box)):
            box = around(letter.box for letter in letters)
            text = unicodedata.normalize("NFC", "".join(letter.text for letter in letters))
            if 0 <= (box[0] + box[2]) / 2 <= width and 0 <= (box[1] + box[3]) / 2 <= height:
                words.append(Word(text=text, box=box, confidence=1.0))
            letters = []
        if character is not None:
            letters.append(character)
    return words


def _goes_on(last: Box, following: Box) -> bool:
    """Whether two characters touch, or nearly; in any direction, since text may be turned."""
    size = max(min(last[3] - last[1], following[3] - following[1]), 1.0)
    apart = (max(last[n], following[n]) - min(last[n + 2], following[n + 2]) for n in (0, 1))
    return max(apart) <= _JOIN_RATIO * size


def judge(words: Sequence[Word], image_cover_ratio: float, page_height: int) -> Quality:
    """Say what a text layer is worth.

    Args:
        words: of the layer.
        image_cover_ratio: how much of the page its largest image covers.
        page_height: of the image whose pixels the boxes are in.
    """
    text = _FILLERS.sub(" ", " ".join(word.text for word in words))
    tokens = text.split()
    characters = "".join(tokens)
    if len(characters) < _MIN_CHARACTERS:
        return Quality.NONE
    is_scan = image_cover_ratio >= _SCAN_COVER_RATIO
    if is_scan and len(characters) < _STAMP_CHARACTERS:
        covered = sum({round(w.box[1], -1): w.box[3] - w.box[1] for w in words}.values())
        if covered < _STAMP_HEIGHT_RATIO * page_height:
            return Quality.NONE
    return Quality.GARBAGE if _is_garbage(tokens, characters, is_scan=is_scan) else Quality.GOOD


def _is_garbage(tokens: Sequence[str], characters: str, *, is_scan: bool) -> bool:
    bad = sum(_is_bad(character) for character in characters) / len(characters)
    alphanumeric = sum(character.isalnum() for character in characters) / len(characters)
    lone = sum(len(token) == 1 for token in tokens) / len(tokens)
    wordlike = sum(bool(_WORDLIKE.search(token)) for token in tokens) / len(tokens)
    if not is_scan:
        # Without a scan OCR would read what is drawn, so only what cannot be text is garbage.
        return bad > _MAX_BAD_RATIO_WITHOUT_SCAN
    return (
        bad > _MAX_BAD_RATIO
        or alphanumeric < _MIN_ALPHANUMERIC_RATIO
        or lone > _MAX_LONE_RATIO
        or (wordlike < _MIN_WORDLIKE_RATIO and alphanumeric < _SURELY_ALPHANUMERIC_RATIO)
    )


def _is_bad(character: str) -> bool:
    if ord(character) > 0xFF and not ord(character) & 0xFF:
        return True  # Latin text whose bytes were swapped; of CJK text one in 256
    return character == "�" or unicodedata.category(character) in {"Cc", "Co", "Cn", "Cs"}
