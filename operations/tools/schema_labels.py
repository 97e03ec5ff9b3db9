"""What might stand on a page beside a value, and what it looks like, as a JSON Schema tells."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from operations.tools.schema import Node
from operations.tools.values import DATE

_LETTER_TO_CAPITAL = re.compile(r"(?<=[a-z\d])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_BETWEEN = re.compile(r"[\s_\-./]+")
_QUOTED = re.compile(r"[\"'`\u201c\u2018]([^\"'`\u201d\u2019]{2,40})[\"'`\u201d\u2019]")

_LABEL_WORDS = 4
"""A description of more words is a sentence, not a label."""

_OTHER_WORDS: Final[tuple[tuple[str, ...], ...]] = (
    ("number", "no", "nr", "num", "#"),
    ("quantity", "qty", "count", "units"),
    ("amount", "amt"),
    ("telephone", "phone", "tel"),
    ("email", "e-mail", "mail"),
    ("reference", "ref"),
    ("account", "acct"),
    ("identifier", "id"),
    ("price", "rate"),
    ("description", "item", "details", "article", "product"),
    ("total", "sum"),
    ("vat", "tax"),
    ("customer", "client"),
    ("supplier", "vendor", "seller"),
)
"""Words of which documents have one where a schema has another."""

_LITTLE_MEANING = frozenset({"amount", "value", "name", "of", "the", "is"})


def words_of_name(name: str) -> list[str]:
    """`invoiceNumber`, `invoice_number`, `invoice-number`: invoice, number."""
    return [word for word in _BETWEEN.split(_LETTER_TO_CAPITAL.sub(" ", name).lower()) if word]


def labels_of(node: Node) -> list[str]:
    """What may stand beside the value, the likeliest first."""
    own = [node.title, " ".join(words_of_name(node.name)), *_QUOTED.findall(node.description)]
    if len(node.description.split()) <= _LABEL_WORDS:
        own.append(node.description.rstrip("."))
    return _once(variant for label in own for variant in _variants(label))


def _variants(label: str) -> Iterator[str]:
    words = label.split()
    if not words:
        return
    yield label
    for index, word in enumerate(words):
        for same in _OTHER_WORDS:
            if word.lower() in same:
                for other in same:
                    yield " ".join([*words[:index], other, *words[index + 1 :]])


def _once(labels: Iterable[str]) -> list[str]:
    return list({label.casefold(): label for label in reversed([*labels])}.values())[::-1]


def lesser_labels(node: Node, others: Iterable[Node]) -> list[str]:
    """Parts of the name that still tell it from what else is asked for.

    Args:
        node: whose labels are wanted.
        others: all that is asked for.
    """
    words = words_of_name(node.name)
    taken = {
        word
        for other in others
        if other is not node
        for word in (*words_of_name(other.name), *words_of_name(other.title))
    }
    telling = {words[-1], words[0]} - taken - _LITTLE_MEANING if len(words) > 1 else set[str]()
    return [label for word in words if word in telling for label in _variants(word)]


_FORMATS: Final[dict[str, str]] = {
    "email": r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+",
    "uri": r"(?:https?|ftp)://[^\s<>\"]+[^\s<>\".,;)]|mailto:\S+@\S+",
    "uuid": r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
    "ipv4": r"\d{1,3}(?:\.\d{1,3}){3}",
    "time": r"\d{1,2}:\d{2}(?::\d{2})?(?:\s?[AaPp]\.?[Mm]\b\.?)?"
    r"(?:\s?(?:Z|UTC|GMT|[+-]\d{2}:\d{2}))?",
}

TIME: Final = re.compile(
    r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2}))?"
    r"(?:\s?(?P<half>[AaPp])\.?[Mm]\b\.?)?(?:\s?(?P<zone>Z|UTC|GMT|[+-]\d{2}:\d{2}))?"
)
"""A time of the day in running text."""

_SHAPE_RUNS = re.compile(r"[A-Z]+|[a-z]+|\d+|.")


_NO_MORE = r"(?![\w/-]|\.\d)"
_NO_MORE_BUT_A_TIME = r"(?![a-su-z\d/-]|\.\d)"


def pattern_of(node: Node) -> str:
    """What the value looks like, as a regular expression; empty where nothing tells.

    Where there is a group, the first is the value.
    """
    if node.pattern:
        return _unanchored(node.pattern)
    if node.choices and node.type == "string":
        return one_of([str(choice) for choice in node.choices if choice is not None])
    if node.format == "date-time":
        day = DATE.pattern.replace(_NO_MORE, _NO_MORE_BUT_A_TIME)
        return rf"(?i)({day}[T,\s]+(?:at\s+|um\s+)?{_FORMATS['time']})"
    if node.format in _FORMATS:
        return rf"(?<![\w@.])(?:{_FORMATS[node.format]})(?![\w@])"
    return _shape_of([str(example) for example in node.examples if example is not None])


def one_of(choices: Sequence[str]) -> str:
    """Any of these, in any case, with any space between words."""
    found = [
        r"\s+".join(re.escape(word) for word in choice.split())
        for choice in sorted(choices, key=len, reverse=True)
        if choice.strip()
    ]
    return rf"(?i)(?<!\w)(?:{'|'.join(found)})(?!\w)" if found else ""


def _unanchored(pattern: str) -> str:
    """A pattern for a whole value, as one that finds it in running text."""
    inner = pattern.removeprefix("^")
    if inner.endswith("$") and not re.search(r"(?<!\\)(?:\\\\)*\\\$$", inner):
        inner = inner[:-1]
    is_whole = inner != pattern
    return rf"(?<!\S)((?:{inner}))(?=[\s.,;)]|$)" if is_whole else f"((?:{inner}))"


def _shape_of(examples: Sequence[str]) -> str:
    """What codes like `AB-1001` have in common; empty where they are none."""
    shapes = {_shape(example) for example in examples}
    is_code = all(re.search(r"\d", e) and not re.search(r"\s", e) for e in examples)
    if not examples or not is_code or len(shapes) > 3:
        return ""
    return rf"(?<![\w-])(?:{'|'.join(sorted(shapes))})(?![\w-])"


def _shape(example: str) -> str:
    return "".join(_run(run) for run in _SHAPE_RUNS.findall(example))


def _run(run: str) -> str:
    for kind, one in ((str.isdigit, r"\d"), (str.isupper, "[A-Z]"), (str.islower, "[a-z]")):
        if kind(run):
            return f"{one}{{{len(run)}}}"
    return re.escape(run)


# Marks that are set in the boxes of forms, and those that are left empty.
_SET, _EMPTY = (
    r"[\u2611\u2612\u2713\u2714\u2717\u2718]|\[\s?[xX\u2713]\s?\]|(?<!\w)[xX](?!\w)",
    (r"[\u2610\u25a1]|\[\s?_?\s?\]|\(\s?\)"),
)
TRUE: Final = re.compile(rf"\s*(?:{_SET}|(?i:yes|true|on|ja|oui|si|s\u00ed)\b)")
FALSE: Final = re.compile(rf"\s*(?:{_EMPTY}|(?i:no|false|off|nein|non)\b)")


def box_before(labels: Sequence[str]) -> str:
    """A box to tick, before one of these labels; the group is the box."""
    said = one_of(labels).removeprefix("(?i)(?<!\\w)")
    return rf"({_SET}|{_EMPTY})\s?(?i:{said})" if said else ""
