"""What a project file says of sorting: documents are cut out, told apart, grouped and filtered."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from store.project_fields import Name, Part, must_compile
from store.yaml_source import PlacedError

UNKNOWN: Final = "unknown"
"""The type of a document that is of none of the project's types."""

Threshold = Annotated[float, Field(ge=0, le=1)]
"""0..1: what is less sure is looked at by a person."""

TypeName = Annotated[str, Field(min_length=1, max_length=50, pattern=r"^\S(.*\S)?$")]
"""What documents are called in the data."""

Pattern = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(must_compile)]
"""A regular expression of the `regex` library."""


class Automation(StrEnum):
    """How far the machine goes in a step."""

    NONE = "none"  #: the step is a person's
    PREDICT = "predict"  #: the machine proposes, a person always looks
    PROCESS = "process"  #: what is sure enough goes on without a person


class SegmentBy(StrEnum):
    """By what the documents of a file are told apart."""

    BARCODE = "barcode"
    BLANK_PAGE = "blank_page"
    FIRST_PAGE = "first_page"
    PAGE_COUNT = "page_count"


class SegmentPart(Part):
    """How a file is cut into documents."""

    by: SegmentBy
    """barcode, blank_page: pages that were put between; first_page: what stands on the first page
    of each; page_count: so many pages each."""
    automation: Automation = Automation.PROCESS
    """none: a person cuts; predict: a person always looks; process: only where it is not sure."""
    confidence_threshold: Threshold = 0.7
    """A person looks at what is less sure than this."""
    barcode_text: str = Field(default="", max_length=1000)
    """by barcode: what it says, the whole of it; any will do when empty."""
    separator_page: Literal["drop", "first", "last"] = "drop"
    """by barcode or blank_page: drop: leave it out; first: it begins the document behind it; last:
    it ends the one before."""
    max_ink_ratio: float = Field(default=0.0002, ge=0, le=1)
    """by blank_page: how much of such a page may be dark, for specks of dust."""
    first_page_patterns: list[Pattern] = Field(default=[], max_length=100)
    """by first_page: regular expressions; a page on which one of them is found begins a
    document."""
    page_count: int | None = Field(default=None, ge=1, le=10_000)
    """by page_count: how many pages each document has."""

    @model_validator(mode="after")
    def _each_has_an_effect(self) -> "SegmentPart":
        for key, kinds in _KEYS_OF.items():
            if key in self.model_fields_set and self.by not in kinds:
                raise PlacedError(
                    f"`{key}` is without effect where `by` is {self.by.value}; leave it out", key
                )
        for key, kind in _NEEDED_BY.items():
            if self.by is kind and not getattr(self, key):
                raise ValueError(f"`by: {kind.value}` needs `{key}`")
        return self


_KEYS_OF: Final[Mapping[str, frozenset[SegmentBy]]] = {
    "barcode_text": frozenset({SegmentBy.BARCODE}),
    "separator_page": frozenset({SegmentBy.BARCODE, SegmentBy.BLANK_PAGE}),
    "max_ink_ratio": frozenset({SegmentBy.BLANK_PAGE}),
    "first_page_patterns": frozenset({SegmentBy.FIRST_PAGE}),
    "page_count": frozenset({SegmentBy.PAGE_COUNT}),
}
_NEEDED_BY: Final[Mapping[str, SegmentBy]] = {
    "first_page_patterns": SegmentBy.FIRST_PAGE,
    "page_count": SegmentBy.PAGE_COUNT,
}


class ClassifyPart(Part):
    """How the type of a document is found out."""

    automation: Automation = Automation.PROCESS
    """none: a person says it; predict: a person always looks; process: only where it is not
    sure."""
    confidence_threshold: Threshold = 0.7
    """A person looks at what is less sure than this."""
    unknown: Literal["review", "keep"] = "review"
    """Of documents of no type: review: a person looks; keep: they go on without fields."""


class GroupPart(Part):
    """Which documents of a file belong together."""

    by: Name
    """Name of the field by whose value; documents without it stay alone."""
    automation: Literal[Automation.PREDICT, Automation.PROCESS] = Automation.PROCESS
    """predict: a person always looks; process: only where the value is not sure."""


class FilterPart(Part):
    """What is taken out: a task of which nothing is left ends as filtered."""

    blank: bool = False
    """Documents with nothing on their pages."""
    duplicates: bool = False
    """Files whose very bytes came to this project before."""
    document_types: list[TypeName] = Field(default=[], max_length=100)
    """Where it is given, documents of all other types."""
    min_pages: int = Field(default=1, ge=1)
    """Documents with fewer pages."""
    max_pages: int | None = Field(default=None, ge=1)
    """Documents with more pages."""

    @model_validator(mode="after")
    def _lets_something_through(self) -> "FilterPart":
        if self.max_pages is not None and self.max_pages < self.min_pages:
            raise PlacedError(
                "`max_pages` is less than `min_pages`: that filters everything", "max_pages"
            )
        return self
