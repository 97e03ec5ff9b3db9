"""Projects that are made of a taxonomy: what is to be found comes with each task (Innodata).

A taxonomy is a list of data points, or of document types; each is a word, or an object with the
keys that a project file has for it. The keys of the metadata are those of wire/innodata.md; they
may be written with a dot (`mapping.taxonomy`) or one in the other (`{"mapping": {"taxonomy"}}`).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml
from jsonschema import Draft202012Validator

from store.errors import FieldsInvalidError, ProjectFileError
from store.project_file import parse_project_file

Metadata = Mapping[str, Any]

_THRESHOLD: Final = {
    "type": "number",
    "minimum": 0,
    "maximum": 1,
    "default": 1,
    "description": "A person looks at what is less sure than this; 1: at everything.",
}
_LISTED: Final = {"type": "array", "minItems": 1, "maxItems": 200}
_POINT: Final = {
    "anyOf": [
        {"type": "string", "minLength": 1},
        {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}},
    ]
}


@dataclass(frozen=True)
class TaxonomyType:
    """A kind of task whose project is made of its taxonomy."""

    name: str
    title: str
    description: str
    taxonomy: str
    """Key of the metadata."""
    properties: Mapping[str, Mapping[str, Any]]
    """What the metadata may have, in JSON Schema."""
    build: Callable[[Metadata], Mapping[str, Any]]
    """The parts of the project file that the metadata speaks of."""

    @property
    def content_role(self) -> str:
        """What the taxonomy is called among the contents of a task."""
        return self.taxonomy.replace(".", "-") + "-json"

    @property
    def schema(self) -> dict[str, Any]:
        """What the metadata must have, as JSON Schema."""
        properties = {name: dict(one) for name, one in self.properties.items()}
        return {"type": "object", "properties": properties, "required": [self.taxonomy]}

    @property
    def project_file(self) -> str:
        """The project under which its tasks are, which has no task of its own."""
        return _written(self, {"fields": [_point("Title")]})

    def taxonomy_in(self, metadata: Metadata) -> Any:
        """The taxonomy, as it was sent; None when there is none."""
        return _at(metadata, self.taxonomy)

    def read(self, metadata: Metadata) -> dict[str, Any]:
        """The keys that the type knows, however they are written.

        Raises:
            FieldsInvalidError: one is missing or not as the schema says.
        """
        known = {
            name: value for name in self.properties if (value := _at(metadata, name)) is not None
        }
        schema = Draft202012Validator(self.schema)
        faults: dict[str, str] = {}
        for error in schema.iter_errors(known):
            if error.validator == "required":
                faults[self.taxonomy] = "is required for this type"
            else:
                name = str(error.absolute_path[0])
                faults.setdefault(name, f"does not fit: {_reason(error.message)}")
        if faults:
            raise FieldsInvalidError(
                f"The metadata does not fit the type {self.name}.", fields=faults
            )
        return known

    def changed(self, before: Metadata, sent: Metadata) -> dict[str, Any]:
        """Metadata in the place of that of a task: what the type knows stays unless it is sent.

        Raises:
            FieldsInvalidError: what was sent is not as the schema says.
        """
        kept = {
            name: value
            for name in self.properties
            if _at(sent, name) is None and (value := _at(before, name)) is not None
        }
        changed = {**sent, **kept}
        self.read(changed)
        return changed

    def project_file_of(self, metadata: Metadata) -> str:
        """The project file of a task with this metadata.

        Raises:
            FieldsInvalidError: the metadata is not as the type needs it.
        """
        known = self.read(metadata)
        try:
            source = _written(self, self.build(known))
            parse_project_file(source)
        except ProjectFileError as error:
            # Its lines are of a file that the sender does not have; its keys say enough.
            told = "; ".join(
                f"{one['key']}: {one['message']}" for one in error.details.get("problems", [])
            )
            raise FieldsInvalidError(
                f"The taxonomy is not valid: {told}", fields={self.taxonomy: told}
            ) from None
        return source


def _reason(message: str) -> str:
    return message if len(message) <= 200 else f"{message[:200]} ..."


def _at(metadata: Metadata, name: str) -> Any:
    """A member, by its name with dots or along the path that they make."""
    if metadata.get(name) is not None:
        return metadata[name]
    value: Any = metadata
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]  # of JSON
    return value  # pyright: ignore[reportUnknownVariableType]  # as above


def _written(kind: TaxonomyType, parts: Mapping[str, Any]) -> str:
    content = {"version": 1, "name": kind.name, "title": kind.title, **parts}
    return yaml.safe_dump(content, allow_unicode=True, sort_keys=False)


_NO_WORD: Final = re.compile(r"[^a-z0-9]+")


def _point(given: Any, threshold: float = 1.0) -> dict[str, Any]:
    """A field of a project file: what is called so is looked for beside that word."""
    point = {"name": given} if isinstance(given, str) else dict(given)
    spoken = str(point.pop("name"))
    word = _NO_WORD.sub("_", spoken.casefold()).strip("_")
    name = (word if word[:1].isalpha() else f"point_{word}")[:50].strip("_")
    point = {"name": name, "label": spoken, "confidence_threshold": threshold, **point}
    can_be_found = {"labels", "pattern", "region", "columns"} & set(point)
    return point if can_be_found else {**point, "labels": [spoken]}


def _review(threshold: float) -> str:
    return "always" if threshold >= 1 else "when_needed"


_READ_MODES: Final = {True: "force", False: "skip"}


def _of_data_points(known: Metadata) -> Mapping[str, Any]:
    threshold = float(known.get("mapping.high_confidence_threshold", 1))
    points: Sequence[Any] = known["mapping.taxonomy"]
    parts: dict[str, Any] = {
        "fields": [_point(one, threshold) for one in points],
        "review": _review(threshold),
    }
    if "text-extraction.ocr" in known:
        parts["read"] = {"mode": _READ_MODES[known["text-extraction.ocr"]]}
    return parts


def _document_type(given: Any, threshold: float) -> dict[str, Any]:
    kind = {"name": given} if isinstance(given, str) else dict(given)
    spoken = str(kind.pop("name"))
    name = _NO_WORD.sub("_", spoken.casefold()).strip("_")[:50]
    fields = [_point(one, threshold) for one in kind.pop("fields", ())]
    kind = {"name": name, "title": spoken, **kind, "fields": fields}
    return kind if {"keywords", "patterns"} & set(kind) else {**kind, "keywords": {spoken: 3}}


def _of_document_types(known: Metadata) -> Mapping[str, Any]:
    threshold = float(known.get("indexing.high_confidence_threshold", 1))
    kinds: Sequence[Any] = known["indexing.taxonomy"]
    return {
        "document_types": [_document_type(one, threshold) for one in kinds],
        "classify": {"confidence_threshold": threshold},
        "review": _review(threshold),
    }


TAXONOMY_TYPES: Final[Mapping[str, TaxonomyType]] = {
    kind.name: kind
    for kind in (
        TaxonomyType(
            name="data-point-extraction",
            title="Data point extraction",
            description="Find data points on a document, and have them confirmed.",
            taxonomy="mapping.taxonomy",
            properties={
                "mapping.taxonomy": {
                    **_LISTED,
                    "items": _POINT,
                    "description": "The data points: a word each, which stands beside it, or an"
                    " object with the keys of a field of a project file.",
                },
                "mapping.high_confidence_threshold": _THRESHOLD,
                "text-extraction.ocr": {
                    "type": "boolean",
                    "description": "true: read by OCR; false: the text layer alone; omitted: the"
                    " text layer where it is good, else OCR.",
                },
            },
            build=_of_data_points,
        ),
        TaxonomyType(
            name="indexing",
            title="Indexing",
            description="Tell of which type documents are, and find their data points.",
            taxonomy="indexing.taxonomy",
            properties={
                "indexing.taxonomy": {
                    **_LISTED,
                    "maxItems": 100,
                    "items": _POINT,
                    "description": "The types: a word each, which stands on it, or an object with"
                    " the keys of a document type of a project file.",
                },
                "indexing.high_confidence_threshold": _THRESHOLD,
            },
            build=_of_document_types,
        ),
    )
}
"""By their names."""
