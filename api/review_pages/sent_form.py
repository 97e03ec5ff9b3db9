"""What the form of a task sends: the names of its inputs, and how they are read back."""

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.datastructures import FormData

from api.review_pages.field_view import Entered

BLOCK_PREFIX = "block."
"""Before the name of a block: what is typed into it."""

CHOICE_PREFIX = "choice."
"""Before the name of a block of which several things are chosen: one of them, or nothing."""

ROW_PREFIX = "row."
"""Before the index of a row, the name of a column, and the name of a block that has rows."""

TYPE_PREFIX = "type."
"""Before the number of a document: its type."""

DATA = 0
"""The number of the document that is none, but the data of a task."""


@dataclass(frozen=True)
class Typed:
    """What a person sent that was not taken: it is shown again, with the reasons."""

    values: Mapping[int, Mapping[str, Entered]] = field(
        default_factory=dict[int, dict[str, Entered]]
    )
    """document number -> field name -> what was entered; 0 -> block name -> what was entered."""
    arrangement: str | None = None
    """The documents, as they were written down."""
    types: Mapping[int, str] = field(default_factory=dict[int, str])
    """document number -> its type."""
    reasons: Mapping[str, str] = field(default_factory=dict[str, str])
    """field or block name, of several documents with its number (`2.total`) -> why it was not
    taken."""


def read_sent(form: FormData) -> Typed:
    """What is in a form, its inputs named as `field_view.py` and `block_view.py` name them."""
    values: defaultdict[int, dict[str, Entered]] = defaultdict(dict)
    tables: defaultdict[tuple[int, str], defaultdict[int, dict[str, str]]]
    tables = defaultdict(lambda: defaultdict(dict))
    chosen: defaultdict[str, list[str]] = defaultdict(list)
    types: dict[int, str] = {}
    arrangement = None
    for key, sent in form.multi_items():
        if not isinstance(sent, str):
            continue
        text = sent.replace("\r\n", "\n")  # browsers send line ends so; the store has LF
        number, _, rest = key.partition(".")[2].partition(".")
        if key.startswith(BLOCK_PREFIX):
            values[DATA][key.removeprefix(BLOCK_PREFIX)] = text
        elif key.startswith(CHOICE_PREFIX):
            chosen[key.removeprefix(CHOICE_PREFIX)] += [text] if text else []
        elif key == "arrangement":
            arrangement = text
        elif not number.isdecimal():
            continue
        elif key.startswith(TYPE_PREFIX):
            types[int(number)] = text
        elif key.startswith(ROW_PREFIX):
            column, _, name = rest.partition(".")
            tables[DATA, name][int(number)][column] = text
        elif key.startswith("field."):
            name, *cell = [*rest.split("."), "", ""][:3]
            if cell[0].isdecimal():
                tables[int(number), name][int(cell[0])][cell[1]] = text
            else:
                values[int(number)][name] = text
    for (number_, name), rows in tables.items():
        values[number_][name] = [rows[index] for index in sorted(rows)]
    for name, options in chosen.items():
        values[DATA][name] = json.dumps(options, ensure_ascii=False) if options else ""
    return Typed(values, arrangement, types)
