"""What was filled into the form of a PDF (ISO 32000-1, 12.7), read by pypdf under its limits."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pypdf import PdfReader
from pypdf.errors import LimitReachedError, PyPdfError
from pypdf.generic import Field

from store.errors import DamagedFileError, LimitExceededError

# What it says of files that are not as they should be names their content.
logging.getLogger("pypdf").setLevel(logging.CRITICAL)

_RADIO: Final = 1 << 15
_PUSH_BUTTON: Final = 1 << 16
"""Flags of buttons (table 226)."""

_OFF: Final = "/Off"


@dataclass(frozen=True)
class FormValue:
    """A field of a form, and what is in it."""

    name: str
    kind: str
    """`text`, `checkbox`, `radio`, `choice` or `signature`."""
    value: str | bool | list[str] | None
    label: str
    page_numbers: list[int]
    """1-based."""


def read_form(path: Path) -> list[FormValue]:
    """The fields of a form that people fill in, in the order of the form.

    Args:
        path: a PDF that can be worked on and is not encrypted.

    Raises:
        DamagedFileError: the form is not as it should be.
        LimitExceededError: it is larger than any form.
    """
    try:
        with PdfReader(path) as reader:
            fields: Mapping[str, Field] = reader.get_fields() or {}
            found: list[FormValue] = []
            for name, field in fields.items():
                if kind := _kind_of(field):
                    pages = reader.get_pages_showing_field(field)
                    numbers = [
                        page.page_number + 1 for page in pages if page.page_number is not None
                    ]
                    label = str(field.get("/TU") or "")
                    found.append(FormValue(name, kind, _value_of(kind, field), label, numbers))
            return found
    except LimitReachedError as error:
        raise LimitExceededError("The form of the file is larger than any form.") from error
    except (PyPdfError, AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise DamagedFileError from error


def _kind_of(field: Field) -> str:
    """What a person fills in; empty for what is none: groups of fields, and push buttons."""
    flags = int(field.get("/Ff") or 0)
    if field.get("/FT") == "/Btn":
        if flags & _PUSH_BUTTON:
            return ""
        return "radio" if flags & _RADIO else "checkbox"
    return {"/Tx": "text", "/Ch": "choice", "/Sig": "signature"}.get(str(field.get("/FT")), "")


def _value_of(kind: str, field: Field) -> str | bool | list[str] | None:
    value: Any = field.get("/V")
    if kind == "signature":
        return value is not None
    if kind == "checkbox":
        return value not in {None, _OFF}
    if value is None or value == _OFF:
        return None
    if isinstance(value, list):
        return [str(one) for one in value]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]  # of the file
    return str(value).removeprefix("/") if kind == "radio" else str(value)
