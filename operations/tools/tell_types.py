"""Of which type a document is, by what speaks for each."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from operations.tools.job import page_done
from operations.tools.page_signs import PageSigns
from store.project_file import DocumentTypePart
from store.project_sorting import UNKNOWN

_LATER_PAGE = 0.5
"""What a document is says its first page; what its others say counts less."""


class FoundType(BaseModel):
    """What a document was found to be."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    document_type: str
    """The likeliest type; `unknown` where nothing speaks for any."""
    confidence: float = Field(ge=0, le=1)
    """From how much speaks for it, and how much more than for the next."""


def tell_types(
    documents: Sequence[Sequence[Path]], types: Sequence[DocumentTypePart]
) -> list[FoundType]:
    """The type of each document.

    Args:
        documents: for each the files of words of its pages, in order.
        types: those that are possible.

    Raises:
        LimitExceededError: a pattern takes too long.
    """
    return [_tell(pages, types) for pages in documents]


def _tell(pages: Sequence[Path], types: Sequence[DocumentTypePart]) -> FoundType:
    scores = dict.fromkeys((one.name for one in types), 0.0)
    found: dict[tuple[str, str], float] = {}
    for index, path in enumerate(pages):
        page, counts = PageSigns.of_file(path), _LATER_PAGE if index else 1.0
        for one in types:
            for phrase in one.keywords:
                key = (one.name, phrase)
                found[key] = max(found.get(key, 0.0), counts * page.has_phrase(phrase))
            for pattern in one.patterns:
                key = (one.name, f"/{pattern}/")
                found[key] = max(found.get(key, 0.0), counts * page.has_pattern(pattern))
        page_done()
    for one in types:
        weights = {**one.keywords, **{f"/{p}/": weight for p, weight in one.patterns.items()}}
        scores[one.name] = sum(
            weight * found.get((one.name, sign), 0.0) for sign, weight in weights.items()
        )
    ranked = sorted(scores.items(), key=lambda item: -item[1])
    best, score = ranked[0]
    if score <= 0:
        return FoundType(document_type=UNKNOWN, confidence=0.0)
    next_best = max(ranked[1][1], 0.0) if len(ranked) > 1 else 0.0
    # Each unit of weight halves the doubt; what speaks for another type takes its share.
    return FoundType(document_type=best, confidence=(1 - 0.5**score) * score / (score + next_best))
