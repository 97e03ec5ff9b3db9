"""Files that one step of a flow wrote for another, read again.

A flow hands on what it made itself; on the command line any file may be named.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, TypeAdapter, ValidationError

from store.errors import InputError
from store.fields import PageWords


class _Value(BaseModel):
    value: Any


class _Field(BaseModel):
    type: str
    value: Any
    rows: list[dict[str, "_Field"]] = []


class _Fields(BaseModel):
    fields: dict[str, _Value]


class _Document(BaseModel):
    number: int
    document_type: str
    page_numbers: list[int]
    fields: dict[str, _Field]


_WITH_FIELDS: Final = TypeAdapter(list[_Fields])
_DOCUMENTS: Final = TypeAdapter(list[_Document])


def words_in(path: Path) -> PageWords:
    """The words of a page.

    Raises:
        InputError: it is no file of words.
    """
    try:
        return PageWords.model_validate_json(path.read_bytes())
    except ValidationError:
        raise _not_made_by("read-pages", "of the words of a page") from None


def documents_in(path: Path) -> list[dict[str, Any]]:
    """Documents, each with its number, type, pages and fields.

    Raises:
        InputError: it is no list of documents.
    """
    return _checked(path, _DOCUMENTS)


def fields_in(path: Path) -> list[dict[str, Any]]:
    """The fields of each document, by their names.

    Raises:
        InputError: it is no list of what has fields.
    """
    return [document["fields"] for document in _checked(path, _WITH_FIELDS)]


def values_in(path: Path) -> Mapping[str, Any]:
    """The values of a task of data, by their names.

    Raises:
        InputError: it is no JSON object.
    """
    try:
        values: Any = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise InputError("The source is no JSON object. Give one: each value by its name.")
    return values  # pyright: ignore[reportUnknownVariableType]  # of JSON


def must_number(sources: int, wanted: int, what: str) -> None:
    """See that there are as many sources as the parameters tell of.

    Raises:
        InputError: there are fewer or more.
    """
    if sources != wanted:
        raise InputError(
            f"There are {sources} {what}, and by the parameters {wanted}. Name one for each page."
        )


def _checked(path: Path, form: TypeAdapter[Any]) -> list[dict[str, Any]]:
    content = path.read_bytes()
    try:
        form.validate_json(content)
    except ValidationError:
        raise _not_made_by("extract-fields", "of documents") from None
    return json.loads(content)


def _not_made_by(operation: str, what: str) -> InputError:
    return InputError(f"A source is no file {what}. Give what `{operation}` wrote.")
