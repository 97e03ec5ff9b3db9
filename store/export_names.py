"""Names of files by a template: safe on every file system, and no two the same."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

FACTS: Final = ("task", "project", "document_type", "document", "input")
"""What a template can name beside fields and blocks; these go first."""

MISSING: Final = "missing"
"""Stands in a name for a value that is not there."""

MAX_STEM_BYTES: Final = 180
"""Of a name without its ending, in UTF-8. File systems take 255 for all of it (NAME_MAX of POSIX
on Linux, macOS, NTFS in characters): what tells names apart and an ending still fit."""

_MAX_VALUE_CHARACTERS: Final = 100

_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")

_FORBIDDEN: Final = frozenset('<>:"/\\|?*{}')
"""What Windows takes in no name, the separators of paths everywhere, and our own braces.

Source: Microsoft, "Naming Files, Paths, and Namespaces".
"""

_RESERVED: Final = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])", re.IGNORECASE
)
"""Names of devices, with any ending. Source: as above."""


def placeholders_of(template: str) -> list[str]:
    """What stands in braces in a template.

    Raises:
        ValueError: a brace is alone, or a character stands outside of braces that no file name
            can have.
    """
    literal = _PLACEHOLDER.sub("", template)
    if wrong := sorted({c for c in literal if c in _FORBIDDEN or not c.isprintable()}):
        shown = " ".join(c if c.isprintable() else f"U+{ord(c):04X}" for c in wrong)
        raise ValueError(
            f"no file name can have this in it: {shown}; names of fields stand in braces, like"
            " `{document_type}-{invoice_number}`"
        )
    return _PLACEHOLDER.findall(template)


def check_template(template: str, single: Mapping[str, bool]) -> None:
    """See that a template names what there is.

    Args:
        template: of names of files.
        single: names of fields and blocks -> whether each has one plain value.

    Raises:
        ValueError: it names something else, or a list.
    """
    for name in placeholders_of(template):
        if name in FACTS:
            continue
        if name not in single:
            possible = ", ".join(f"`{one}`" for one in [*FACTS, *sorted(single)])
            raise ValueError(f"there is no `{name}`; possible are {possible}")
        if not single[name]:
            raise ValueError(f"`{name}` is a list, which fits into no file name")


def filled(template: str, values: Mapping[str, Any]) -> str:
    """A file name, without its ending, that every file system takes.

    Args:
        template: as `placeholders_of` takes it.
        values: by the names that stand in braces; what is not there is named as missing.
    """
    return safe_stem(_PLACEHOLDER.sub(lambda found: _as_text(values.get(found[1])), template))


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)[:_MAX_VALUE_CHARACTERS] if value not in (None, "") else MISSING


def safe_stem(text: str) -> str:
    """A text as a file name without its ending: what no name can have becomes `-`."""
    text = unicodedata.normalize("NFC", text)
    text = "".join("-" if c in _FORBIDDEN else c if c.isprintable() else " " for c in text)
    # Windows drops dots and spaces at the end; a dot at the beginning hides a file elsewhere.
    text = cut(" ".join(text.split()).strip(" ."), MAX_STEM_BYTES) or MISSING
    return f"_{text}" if _RESERVED.fullmatch(text.split(".")[0].strip()) else text


def cut(text: str, max_bytes: int) -> str:
    """A text of at most so many bytes in UTF-8, no character cut in two."""
    return text.encode()[:max_bytes].decode(errors="ignore").rstrip(" .")


def told_apart(names: Sequence[str]) -> list[str]:
    """Names of files, those that are there already with a number: `a.pdf`, `a-2.pdf`.

    Upper and lower case are no difference: some file systems see none.
    """
    taken: set[str] = set()
    next_number: defaultdict[str, int] = defaultdict(lambda: 1)
    kept: list[str] = []
    for name in names:
        same = name.casefold()
        while (candidate := numbered(name, next_number[same])).casefold() in taken:
            next_number[same] += 1
        taken.add(candidate.casefold())
        kept.append(candidate)
    return kept


def numbered(name: str, number: int | str) -> str:
    """A name of a file with something before its ending that tells it from others; 1 is itself."""
    if number == 1:
        return name
    stem, dot, ending = name.rpartition(".")
    return f"{stem}-{number}{dot}{ending}" if dot else f"{name}-{number}"
