"""What the form of a task sends: the names of its inputs, and how they are read back."""

import json
import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.datastructures import FormData

from api.review_pages.field_view import Entered, PickedPlace
from store.errors import InputError

BLOCK_PREFIX = "block."
"""Before the name of a block: what is typed into it."""

CHOICE_PREFIX = "choice."
"""Before the name of a block of which several things are chosen: one of them, or nothing."""

ROW_PREFIX = "row."
"""Before the index of a row, the name of a column, and the name of a block that has rows."""

PLACE_PREFIX = "place."
"""In the place of `field.`: where on which page the value was picked."""

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
    places: Mapping[tuple[int, str], PickedPlace] = field(
        default_factory=dict[tuple[int, str], PickedPlace]
    )
    """document number and field name, of a cell with its row and column (`items.0.amount`) -> where
    it was picked."""
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
    places: dict[tuple[int, str], PickedPlace] = {}
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
        elif key.startswith(PLACE_PREFIX):
            if text:
                places[int(number), rest] = read_place(text)
        elif key.startswith(ROW_PREFIX):
            column, _, name = rest.partition(".")
            tables[DATA, name][int(number)][column] = text
        elif key.startswith("field."):
            name, *cell = [*rest.split("."), "", ""][:3]
            if cell[0].isdecimal():
                tables[int(number), name][int(cell[0])][cell[1]] = text
            else:
                values[int(number)][name] = text
    cells: dict[tuple[int, str], PickedPlace] = {}
    for (number_, name), rows in tables.items():
        values[number_][name] = [rows[index] for index in sorted(rows)]
        for row, index in enumerate(sorted(rows)):
            for column in rows[index]:
                if place := places.pop((number_, f"{name}.{index}.{column}"), None):
                    cells[number_, f"{name}.{row}.{column}"] = place
    for name, options in chosen.items():
        values[DATA][name] = json.dumps(options, ensure_ascii=False) if options else ""
    return Typed(values, places | cells, arrangement, types)


def read_place(text: str) -> PickedPlace:
    """Where something was picked: page number, left, top, right, bottom.

    Raises:
        InputError: it is nothing of the kind.
    """
    try:
        page, left, top, right, bottom = map(float, text.split())
    except ValueError:
        page = left = top = right = bottom = math.nan
    if not all(map(math.isfinite, (page, left, top, right, bottom))):
        raise InputError("The place of a value cannot be read. Load the page again.")
    return PickedPlace(int(page), (left, top, right, bottom))
