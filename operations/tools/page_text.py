"""Words as one text, in which each character knows its word."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence

from store.fields import Word


class PageText:
    """A text made of words, for patterns to look through."""

    def __init__(self, words: Sequence[Word], ends: Mapping[int, str]):
        """Put words together.

        Args:
            words: in order.
            ends: what comes after a word, by its identity, where it is no space.
        """
        parts: list[str] = []
        self._words = words
        self._starts: list[int] = []
        self._ends: list[int] = []
        at = 0
        for word in words:
            after = ends.get(id(word), " ")
            parts += [word.text, after]
            self._starts.append(at)
            self._ends.append(at + len(word.text))
            at += len(word.text) + len(after)
        self.text = "".join(parts)

    def words_of(self, start: int, end: int) -> Sequence[Word]:
        """The words of which the text has a part from `start` to `end`."""
        return self._words[bisect_right(self._ends, start) : bisect_left(self._starts, end)]
