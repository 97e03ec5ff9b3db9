"""By what a page is known: phrases and patterns that stand on it."""

import re
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from functools import cached_property
from pathlib import Path

import regex

from operations.tools.step_files import words_in
from store.errors import LimitExceededError
from store.fields import PageWords, Word

PATTERN_SECONDS = 2.0
"""How long a pattern may take on one page."""

_MIN_ALIKE = 0.82
_MIN_FUZZY_LETTERS = 5
"""Shorter words must be the same, longer ones may have a letter that OCR got wrong."""

_OCR = "ocr"
_TOKEN = re.compile(r"\w+")


class PageSigns:
    """A page, to be asked how sure it is that something stands on it."""

    def __init__(self, page: PageWords):
        """Of the words of a page."""
        self.page = page

    @classmethod
    def of_file(cls, path: Path) -> "PageSigns":
        """Of a file of words that `read-pages` wrote."""
        return cls(words_in(path))

    @cached_property
    def text(self) -> str:
        """Lines of words."""
        parts: list[str] = []
        line = None
        for word in self.page.words:
            parts.append("" if line is None else " " if word.line == line else "\n")
            parts.append(word.text)
            line = word.line
        return "".join(parts)

    @cached_property
    def _tokens(self) -> list[tuple[str, float]]:
        return [
            (token, word.confidence)
            for word in self.page.words
            for token in _TOKEN.findall(word.text.casefold())
        ]

    @cached_property
    def _positions(self) -> dict[str, list[int]]:
        positions: dict[str, list[int]] = {}
        for position, (token, _) in enumerate(self._tokens):
            positions.setdefault(token, []).append(position)
        return positions

    def has_phrase(self, phrase: str) -> float:
        """How sure it is that a word or a phrase is on the page, any case: 0..1."""
        wanted = _TOKEN.findall(phrase.casefold())
        if not wanted:
            return 0.0
        return max(
            (
                alike * self._rest(wanted, start)
                for token, alike in self._alike(wanted[0])
                for start in self._positions[token]
            ),
            default=0.0,
        )

    def _rest(self, wanted: Sequence[str], start: int) -> float:
        found = self._tokens[start : start + len(wanted)]
        if len(found) < len(wanted):
            return 0.0
        sure = found[0][1]
        for (token, confidence), want in zip(found[1:], wanted[1:], strict=True):
            sure = min(sure, confidence * (1.0 if token == want else self._likeness(token, want)))
        return sure

    def _alike(self, wanted: str) -> Iterable[tuple[str, float]]:
        if wanted in self._positions:
            yield wanted, 1.0
        elif self.page.method == _OCR and len(wanted) >= _MIN_FUZZY_LETTERS:
            for token in self._positions:
                if alike := self._likeness(token, wanted):
                    yield token, alike

    def _likeness(self, token: str, wanted: str) -> float:
        if self.page.method != _OCR or min(len(token), len(wanted)) < _MIN_FUZZY_LETTERS:
            return 0.0
        matcher = SequenceMatcher(None, token, wanted, autojunk=False)
        if matcher.real_quick_ratio() < _MIN_ALIKE or matcher.quick_ratio() < _MIN_ALIKE:
            return 0.0
        ratio = matcher.ratio()
        return ratio if ratio >= _MIN_ALIKE else 0.0

    def has_pattern(self, pattern: str) -> float:
        """How sure it is that a regular expression is found on the page: 0..1.

        Raises:
            LimitExceededError: it takes too long.
        """
        compiled = regex.compile(pattern, regex.MULTILINE)
        try:
            found = compiled.search(self.text, timeout=PATTERN_SECONDS)
        except TimeoutError:
            raise LimitExceededError(
                f"The pattern {pattern!r} takes too long on page {self.page.number}. Make it"
                " simpler.",
                pattern=pattern,
                page_number=self.page.number,
            ) from None
        if found is None:
            return 0.0
        return min((word.confidence for word in self._words(*found.span())), default=1.0)

    def _words(self, start: int, end: int) -> Iterable[Word]:
        at = 0
        for word in self.page.words:
            if at < end and at + len(word.text) > start:
                yield word
            at += len(word.text) + 1
