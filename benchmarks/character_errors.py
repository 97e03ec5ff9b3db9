"""How many characters of a text were read wrong."""

import re
import unicodedata

import numpy as np


def plain(text: str) -> str:
    """A text without what OCR cannot know: kinds of quotes and dashes, spaces, ends of lines."""
    for several, one in (
        ("\u2018\u2019\u201a`\u00b4", "'"),
        ("\u201c\u201d\u201e", '"'),
        ("\u2010\u2011\u2013\u2014", "-"),
    ):
        text = re.sub(f"[{several}]", one, text)
    return " ".join(unicodedata.normalize("NFC", text).split())


def error_count(read: str, right: str) -> int:
    """The least number of characters to insert, delete or change (Levenshtein distance)."""
    one, two = (np.frombuffer(text.encode("utf-32-le"), np.uint32) for text in (read, right))
    steps = np.arange(len(two) + 1)
    row = steps.copy()
    for n, letter in enumerate(one, 1):
        changed = row[:-1] + (two != letter)
        below = np.minimum(row[1:] + 1, changed)
        # What is inserted runs along the row: a running minimum after its own steps are taken off.
        row = np.minimum.accumulate(np.concatenate(([n], below)) - steps) + steps
    return int(row[-1])


def error_rate(read: str, right: str) -> float:
    """Wrong characters to all characters of the right text, 0 and up."""
    return error_count(plain(read), plain(right)) / max(len(plain(right)), 1)
