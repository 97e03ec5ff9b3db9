"""The fields of a project file: what is to be found, and what must hold of it."""

import re
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from store.fields import FieldType

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,49}$")]


class Part(BaseModel):
    """A part of a project file."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, frozen=True)


class FieldPart(Part):
    """A field to find."""

    name: Name
    """Its name in the data."""
    label: str = ""
    """What people read; the name when omitted."""
    type: FieldType = FieldType.TEXT
    """How its text is read."""
    required: bool = False
    """A document without it is not valid."""
    labels: list[str] = []
    """What stands before or above the value on the page, any case."""
    pattern: str = ""
    """Regular expression of the value; with a group, the group is the value."""
    confidence_threshold: float = Field(default=0.7, ge=0, le=1)
    """A person confirms what is less sure than this."""

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        return pattern

    @model_validator(mode="after")
    def _can_be_found(self) -> "FieldPart":
        if not self.labels and not self.pattern:
            raise ValueError("give `labels`, a `pattern`, or both, else it is never found")
        return self

    @property
    def title(self) -> str:
        """What people read."""
        return self.label or self.name.replace("_", " ").replace("-", " ").capitalize()


class SumPart(Part):
    """Fields that add up."""

    parts: list[Name] = Field(min_length=1)
    """Names of the fields that are added."""
    total: Name
    """Name of the field that must be their sum."""
