"""Templates of invoice2data in a project file: which are taken, and a project made for them.

Source: https://invoice2data.readthedocs.io, template format of release 1.0.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import yaml
from pydantic import AfterValidator, BeforeValidator, Field

REQUIRED: Final = ("date", "amount", "invoice_number", "issuer")
"""What invoice2data requires where a template does not say."""

_PARSERS: Final = ("lines", "regex", "static")
_PATTERNS: Final = frozenset(
    {"regex", "start", "end", "line", "first_line", "last_line", "skip_line", "body", "header"}
)
"""Keys whose values are patterns, wherever they stand."""

_MAX_PATTERN_CHARACTERS = 5000


Templated = TypeVar("Templated", bound=Sequence[Mapping[str, Any]])


def _are_given(value: Any) -> Any:
    if isinstance(value, str):
        raise ValueError(  # noqa: TRY004  # Pydantic takes no other
            "a folder is only known to `papertray projects install FILE`, which takes its"
            " templates; give the templates themselves as a list"
        )
    return value


def _are_right(templates: Templated) -> Templated:
    for number, template in enumerate(templates, 1):
        name = template.get("template_name") or template.get("issuer") or number
        for problem in template_problems(template):
            raise ValueError(f"template {name}: {problem}")
    return templates


Templates = Annotated[
    list[dict[str, Any]],
    BeforeValidator(_are_given, json_schema_input_type=str | list[dict[str, Any]]),
    AfterValidator(_are_right),
    Field(max_length=500),
]
"""Templates; in a file beside which they are, the name of their folder."""


def template_problems(template: Mapping[str, Any]) -> list[str]:
    """What is wrong with a template; empty when nothing is."""
    return list(_found_problems(template))


def _found_problems(template: Mapping[str, Any]) -> Iterator[str]:
    keywords = template.get("keywords")
    words = keywords if isinstance(keywords, list) else [keywords]
    if not words or not all(isinstance(word, str) and word for word in words):
        yield "`keywords` must be one text or more, by which its invoices are known"
    fields = template.get("fields")
    if not isinstance(fields, dict):
        yield "`fields` must be a mapping"
        return
    if "camelot" in template:
        yield "`camelot` is not possible: it opens the PDF anew; give the table as `lines`"
    for name, setting in fields.items():
        if isinstance(setting, dict) and setting.get("parser") not in _PARSERS:
            yield f"field {name}: `parser` must be one of {', '.join(_PARSERS)}"
    for where, pattern in _patterns(template):
        yield from (f"{where}: {fault}" for fault in _faults(pattern))


def patterns_of(template: Mapping[str, Any]) -> list[str]:
    """The regular expressions of a template, wherever they stand in it."""
    return [pattern for _, pattern in _patterns(template) if isinstance(pattern, str)]


def _patterns(template: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Where a pattern stands, and the pattern; it may be anything where it is not right."""
    for name, setting in template["fields"].items():
        if not isinstance(setting, dict) and not str(name).startswith("static_"):
            given = setting if isinstance(setting, list) else [setting]
            yield from ((f"field {name}", pattern) for pattern in given)
    for where, found in _nested(template):
        given = found if isinstance(found, list) else [found]
        yield from ((where, pattern) for pattern in given)


def _faults(pattern: Any) -> Iterator[str]:
    if not isinstance(pattern, str) or len(pattern) > _MAX_PATTERN_CHARACTERS:
        yield f"a pattern must be text of at most {_MAX_PATTERN_CHARACTERS} characters"
        return
    try:
        re.compile(pattern)  # the engine with which invoice2data runs it
    except (re.error, RecursionError, OverflowError) as error:
        yield f"not a regular expression: {error}"


def _nested(node: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(node, list):
        for entry in node:
            yield from _nested(entry, where)
    elif isinstance(node, dict):
        for key, value in node.items():
            path = f"{where}.{key}" if where else str(key)
            if key in _PATTERNS and isinstance(value, str | list):
                yield path, value
            else:
                yield from _nested(value, path)


# Folders


def read_templates(folder: Path) -> list[dict[str, Any]]:
    """The templates of a folder and all below it, as invoice2data reads them.

    Raises:
        ValueError: there is none, or one cannot be read; the text says which.
    """
    found: list[dict[str, Any]] = []
    paths = sorted(path for path in folder.rglob("*") if path.suffix in {".yml", ".yaml", ".json"})
    for path in paths:
        try:
            text = path.read_text(encoding="utf-8")
            content = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
        except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
            raise ValueError(f"{path.name} cannot be read: {str(error).splitlines()[0]}") from error
        if not isinstance(content, dict):
            raise ValueError(f"{path.name} is no template: it must be a mapping of keys")  # noqa: TRY004  # of the file
        found.append({"template_name": path.name, **content})
    if not found:
        raise ValueError(f"there are no templates (*.yml, *.yaml, *.json) in {folder}")
    return found


def with_templates(source: str, beside: Path) -> str:
    """A project file with the templates of its folder in the place of the folder's name.

    Args:
        source: text of the file; what cannot be read is given back for others to say so.
        beside: the folder in which the file stands.

    Raises:
        ValueError: the templates cannot be read.
    """
    try:
        root = yaml.compose(source, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError):
        return source
    node = _child(_child(root, "extract"), "templates")
    if not isinstance(node, yaml.ScalarNode):
        return source
    templates = read_templates(beside / node.value)
    # On one line, so that errors further down are told with the lines of the file.
    written = json.dumps(templates, ensure_ascii=False, default=str)
    return source[: node.start_mark.index] + written + source[node.end_mark.index :]


def _child(node: yaml.Node | None, key: str) -> yaml.Node | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for name, value in node.value if name.value == key), None)


# A project for templates


def project_for(templates: Sequence[Mapping[str, Any]], name: str, folder: str) -> str:
    """A project file that finds what these templates find.

    Args:
        templates: as `read_templates` gives them.
        name: of the project.
        folder: of the templates, seen from where the file will be.

    Raises:
        ValueError: a template is not right; the text says which, and why.
    """
    _are_right(templates)
    kinds: dict[str, dict[str, Any]] = {}
    for template in templates:
        for field, kind in _fields_of(template):
            _merge(kinds.setdefault(field, kind), kind)
    required = [_required(template) for template in templates]
    names: dict[str, str] = {}
    for field in kinds:
        names[field] = _name_of(field, names.values())
    fields = [
        {
            "name": names[field],
            **kind,
            "template_field": field,
            **({"required": True} if all(field in some for some in required) else {}),
        }
        for field, kind in kinds.items()
    ]
    content = {
        "name": name,
        "document_type": "invoice",
        "extract": {"templates": folder},
        "fields": fields,
    }
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)


def _fields_of(template: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "issuer", {"type": "text"}
    yield "currency", {"type": "text"}
    for key, setting in template["fields"].items():
        name = str(key).removeprefix("static_").removeprefix("sum_")
        if isinstance(setting, dict) and setting.get("parser") == "lines":
            yield name, _table(setting)
        else:
            yield name, {"type": _type_of(name, setting)}
    if isinstance(template.get("lines"), dict):
        yield "lines", _table(template["lines"])
    for table in template.get("tables") or []:
        for name in _groups(table.get("body")):
            yield name, {"type": _type_of(name, {})}


def _type_of(name: str, setting: Any) -> str:
    declared = setting.get("type") if isinstance(setting, dict) else None
    if declared in {"date", "datetime"} or name.startswith("date") or name.endswith("date"):
        return "date"
    if name.startswith("amount") or "price" in name:
        return "money"
    return "number" if declared in {"int", "float"} else "text"


def _table(setting: Mapping[str, Any]) -> dict[str, Any]:
    patterns = [found for _, found in _nested(setting)]
    texts = [p for found in patterns for p in (found if isinstance(found, list) else [found])]
    names = dict.fromkeys(name for text in texts for name in _groups(text))
    types = setting.get("types") or {}
    columns = [
        {"name": _name_of(name, ()), "type": _type_of(name, {"type": types.get(name)})}
        for name in names
    ]
    return {"type": "table", "columns": columns} if columns else {"type": "text"}


def _groups(pattern: Any) -> list[str]:
    return list(re.compile(pattern).groupindex) if isinstance(pattern, str) else []


def _merge(into: dict[str, Any], kind: Mapping[str, Any]) -> None:
    """Two templates may give a field different types: text takes both; tables join columns."""
    if into["type"] == kind["type"] == "table":
        known = {column["name"] for column in into["columns"]}
        into["columns"] += [one for one in kind["columns"] if one["name"] not in known]
    elif into["type"] != kind["type"]:
        into.pop("columns", None)
        into["type"] = "text"


def _required(template: Mapping[str, Any]) -> Sequence[str]:
    return template.get("required_fields") or REQUIRED


def _name_of(field: str, taken: Any) -> str:
    plain = re.sub(r"[^a-z0-9_-]", "_", field.lower())[:45]
    plain = plain if plain[:1].isalpha() else f"f_{plain}"
    number, name = 1, plain
    while name in set(taken):
        number += 1
        name = f"{plain}_{number}"
    return name
