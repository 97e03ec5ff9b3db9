"""What OCR made of the words that a template of invoice2data knows, put right.

Templates want keywords and labels letter for letter. So what is nearly a word of the template is
written as the template has it, stray marks are left out, and parts of a word are joined. What
is no word of the template stays as it was read.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from operations.tools.label_places import WordIndex, bare
from operations.tools.tidy_words import STRAY_EDGES
from store.fields import PageWords, Word
from store.templates import patterns_of

_PARTED = re.compile(r"(?<=[$€£¥₹])(?=\d)|(?<=\d[.,]\d\d)(?=[A-Za-z]+$)")
"""Between an amount and what belongs to it, where OCR sees no space: `$ 9`, `1.00 kg`."""

_CLEAR = 0.8
"""A word that OCR is this sure of says what was read."""

_DIGITS: Mapping[str, str] = {
    letter: digit
    for letters, digit in (("OoQ", "0"), ("Il|", "1"), ("Zz", "2"), ("Ss", "5"), ("B", "8"))
    for letter in letters
}
"""Letters that stand for a digit among digits."""

_DIGIT_SHARE = 0.5

_MANY = r"[*+?]\??|\{\d*,?\d*\}\??"
_PARTS = re.compile(
    rf"(?P<space>(?:\\s|\s)(?:{_MANY})?|\^|\$|\\[AbBZ]|\|)"
    rf"|(?P<group>\(\?P<\w+>|\(\?[a-zA-Z]+\)|\(\?(?::|=|!|<=|<!)|\(|\)(?:{_MANY})?)"
    r"|\\(?P<escaped>[^\w\s])|\[(?P<one>[^\]\\^\w])\]"
    r"|(?P<wild>\\.|\[(?:\\.|[^\]\\])*\]|\.)"
    rf"|(?P<many>{_MANY})"
    r"|(?P<plain>.)",
    re.DOTALL,
)
"""A regular expression, part by part."""


def words_of_template(template: Mapping[str, Any]) -> list[str]:
    """The words that its keywords and patterns say letter for letter, each once."""
    keywords = template.get("keywords") or []
    found = [word for keyword in keywords for word in str(keyword).split()]
    for pattern in patterns_of(template):
        found += _words_of_pattern(pattern)
    return [word for word in dict.fromkeys(found) if bare(word)]


def _words_of_pattern(pattern: str) -> Iterator[str]:
    """What stands between spaces and groups in a pattern, where each of its letters is said."""
    letters: list[str] = []
    is_said = True
    for part in _PARTS.finditer(pattern):
        letter = part["plain"] or part["escaped"] or part["one"]
        if letter:
            letters.append(letter)
        elif part["space"] or part["group"]:
            if is_said and letters:
                yield "".join(letters)
            letters, is_said = [], True
        else:  # a wildcard, or so many of what was before
            is_said = False
    if is_said and letters:
        yield "".join(letters)


@dataclass(frozen=True)
class Mending:
    """How words are written other than they were read."""

    texts: Mapping[int, str] = field(default_factory=dict[int, str])
    """The identity of a word -> what it is to say; nothing at all for one that is none."""
    guessed: frozenset[int] = frozenset()
    """Of the words of which letters are other than was read."""

    def text_of(self, word: Word) -> str:
        """What a word says."""
        return self.texts.get(id(word), word.text)


NOTHING_MENDED = Mending()


def mended(
    pages: Sequence[PageWords],
    index: WordIndex,
    template: Mapping[str, Any],
    *,
    is_parted: bool = False,
    with_digits: bool = False,
) -> Mending:
    """Put right what a template would not know again.

    Args:
        pages: read by OCR.
        index: of their words.
        template: whose words are looked for.
        is_parted: put spaces between amounts and their currency or unit.
        with_digits: take letters among digits for digits.
    """
    nearest = _nearest(index, words_of_template(template))
    texts: dict[int, str] = {}
    guessed: set[int] = set()
    for word in (word for page in pages for word in page.words):
        said = STRAY_EDGES.sub("", word.text)
        known = nearest.get(bare(said))
        if known and word.confidence < _CLEAR:
            said = _written_as(said, known)
        elif with_digits:
            said = _with_digits(said)
        if bare(said) != bare(word.text):
            guessed.add(id(word))
        if is_parted:
            said = _PARTED.sub(" ", said)
        if said != word.text:
            texts[id(word)] = said
    return Mending(texts, frozenset(guessed))


def _nearest(index: WordIndex, known: Sequence[str]) -> Mapping[str, Sequence[str]]:
    """For words of the pages those of the template that they are, or that they are most like."""
    best: dict[str, tuple[float, list[str]]] = {}
    for word in known:
        for like, score in index.like(bare(word)).items():
            if score < 1 and any(letter.isdigit() for letter in word):
                continue  # another number is another thing
            before = best.get(like, (0.0, []))
            if score > before[0]:
                best[like] = score, [word]
            elif score == before[0]:
                before[1].append(word)
    return {like: words for like, (_, words) in best.items()}


def _written_as(said: str, known: Sequence[str]) -> str:
    """A word as the template has it; what it has at its edges besides stays."""
    if any(word in said for word in known):
        return said
    inner = re.search(r"\w(?:.*\w)?", said, re.DOTALL)
    word = known[0]
    core = re.search(r"\w(?:.*\w)?", word, re.DOTALL)
    if inner is None or core is None:
        return said
    before = word[: core.start()] or said[: inner.start()]
    return before + core[0] + (word[core.end() :] or said[inner.end() :])


def _with_digits(text: str) -> str:
    letters = [letter for letter in text if letter.isalnum()]
    digits = sum(letter.isdigit() for letter in letters)
    if digits == len(letters) or digits < _DIGIT_SHARE * len(letters):
        return text
    other = [letter for letter in letters if not letter.isdigit()]
    if not all(letter in _DIGITS for letter in other):
        return text
    return "".join(_DIGITS.get(letter, letter) for letter in text)
