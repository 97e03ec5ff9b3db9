"""Where the labels of fields stand on pages, though OCR may have got a letter of them wrong."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

from operations.tools.layout import Line, Segment, lines_of
from operations.tools.value_types import alike
from store.fields import Box, PageWords, Word

_PART_OF_PHRASE = 0.7
"""`Total` in `Sub total`, `Net` in `Net weight`."""

_LATER_LABEL = 0.01
"""For each label of a field that comes before this one."""

_EDGES = re.compile(r"^\W+|\W+$")


@dataclass(frozen=True, eq=False)
class Row:
    """A line across a page."""

    page: PageWords
    page_index: int
    """Of the document, 0-based."""
    index: int
    """On its page, 0-based."""
    line: Line

    @cached_property
    def words(self) -> list[Word]:
        """From left to right."""
        return [word for segment in self.line for word in segment.words]

    @cached_property
    def segment_of(self) -> list[int]:
        """For each word the index of its segment."""
        return [n for n, segment in enumerate(self.line) for _ in segment.words]


@dataclass(frozen=True)
class Place:
    """A label on a page."""

    row: Row
    start: int
    """Index of its first word in the row."""
    end: int
    """Index after its last word."""
    score: float
    """How well it is the label, and nothing else."""


def rows_of(pages: Sequence[PageWords]) -> list[Row]:
    """The lines of all pages, in order."""
    return [
        Row(page, page_index, index, line)
        for page_index, page in enumerate(pages)
        for index, line in enumerate(lines_of(page.words))
    ]


class Labels:
    """The labels of all fields of a project on the pages of a document."""

    def __init__(self, rows: Sequence[Row], labels: Mapping[str, Sequence[str]]):
        """Find them, all at once: of labels in one place the longest counts.

        Args:
            rows: of the document.
            labels: of each field, by its name.
        """
        words = WordIndex(rows)
        known: dict[str, list[Place]] = {}
        found: list[tuple[str, Place]] = []
        for name, texts in labels.items():
            for number, text in enumerate(texts):
                if text not in known:
                    known[text] = list(words.places(text))
                found.extend(
                    (name, replace(p, score=p.score * (1 - number * _LATER_LABEL)))
                    for p in known[text]
                )
        spans: defaultdict[int, set[tuple[int, int]]] = defaultdict(set)
        for _, place in found:
            spans[id(place.row)].add((place.start, place.end))
        self._of: defaultdict[str, list[Place]] = defaultdict(list)
        self._starts: defaultdict[int, set[int]] = defaultdict(set)
        for name, place in found:
            if not _is_inside(place, spans[id(place.row)]):
                self._of[name].append(place)
                self._starts[id(place.row)].add(place.start)

    def of(self, name: str) -> Sequence[Place]:
        """The places of the labels of a field."""
        return self._of.get(name, [])

    def next_start(self, row: Row, start: int) -> int:
        """Index of the word in a row, from `start` on, at which another label begins."""
        starts = (at for at in self._starts.get(id(row), ()) if at >= start)
        return min(starts, default=len(row.words))

    def last_start(self, row: Row, end: int) -> int:
        """Index of the word before `end` at which the label before begins; 0 for none."""
        starts = (at for at in self._starts.get(id(row), ()) if at < end)
        return max(starts, default=0)

    def is_among(self, row: Row, words: Iterable[Word]) -> bool:
        """Whether a label begins in these words of a row."""
        begin = {id(row.words[at]) for at in self._starts.get(id(row), ())}
        return any(id(word) in begin for word in words)


def _is_inside(place: Place, spans: Iterable[tuple[int, int]]) -> bool:
    length = place.end - place.start
    return any(
        start <= place.start and place.end <= end and end - start > length for start, end in spans
    )


class WordIndex:
    """Where each word of a document stands."""

    def __init__(self, rows: Sequence[Row]):
        """Note each word, without the marks around it and without its case."""
        self._at: defaultdict[str, list[tuple[Row, int]]] = defaultdict(list)
        self._bare: dict[int, list[str]] = {}
        for row in rows:
            self._bare[id(row)] = [bare(word.text) for word in row.words]
            for index, word in enumerate(self._bare[id(row)]):
                self._at[word].append((row, index))
        # Words with common pairs of letters: the few that are worth a comparison.
        self._with_pair: defaultdict[str, list[str]] = defaultdict(list)
        for word in self._at:
            for pair in _pairs(word):
                self._with_pair[pair].append(word)
        self._alike: dict[str, dict[str, float]] = {}

    def places(self, label: str) -> Iterator[Place]:
        """Where a label stands, within one segment of a row."""
        wanted = [plain for word in label.split() if (plain := bare(word))]
        if not wanted:
            return
        scores = [self.like(word) for word in wanted]
        for first in scores[0]:
            for row, start in self._at[first]:
                end = start + len(wanted)
                words = self._bare[id(row)][start:end]
                if len(words) < len(wanted) or len(set(row.segment_of[start:end])) > 1:
                    continue
                score = min(of.get(word, 0.0) for of, word in zip(scores, words, strict=True))
                if score:
                    yield Place(row, start, end, score * _alone(row, start))

    def like(self, wanted: str) -> Mapping[str, float]:
        """The words of the document that are like one of a label, and how much, up to 1.

        Args:
            wanted: bare, as the words of the answer.
        """
        if wanted not in self._alike:
            pairs = _pairs(wanted)
            common = Counter(word for pair in pairs for word in self._with_pair[pair])
            # A wrong letter spoils two pairs, and one letter in five may be wrong.
            near = (w for w, n in common.items() if n >= max(1, len(pairs) - 2 * len(wanted) // 5))
            scored = {word: alike(word, wanted) for word in near}
            self._alike[wanted] = {word: score for word, score in scored.items() if score}
            if wanted in self._at:
                self._alike[wanted][wanted] = 1.0
        return self._alike[wanted]


def _pairs(word: str) -> set[str]:
    return {word[n : n + 2] for n in range(len(word) - 1)}


@lru_cache(maxsize=16_384)
def bare(word: str) -> str:
    """A word without the marks around it and without its case."""
    return _EDGES.sub("", word).casefold()


def _alone(row: Row, start: int) -> float:
    """Whether a label begins a phrase, or is the rest of another one."""
    if start == 0 or row.segment_of[start - 1] != row.segment_of[start]:
        return 1.0
    before = row.words[start - 1].text
    return 1.0 if not before[-1].isalpha() else _PART_OF_PHRASE


def is_under(segment: Segment, label: Box) -> bool:
    """Whether words stand straight under a label, or over it."""
    return min(segment.box[2], label[2]) - max(segment.box[0], label[0]) > 0


def without_colon(words: Sequence[Word]) -> Sequence[Word]:
    """The words after a label, without the marks that belong to it."""
    kept = list(words)
    while kept and not any(letter.isalnum() or letter in _BEGINNINGS for letter in kept[0].text):
        kept.pop(0)
    return kept


_BEGINNINGS = "€$£¥₹(-\u2212+[\u2610\u2611\u2612\u25a1\u2713\u2714\u2717\u2718"
"""What a value may be or begin with besides letters and digits."""
