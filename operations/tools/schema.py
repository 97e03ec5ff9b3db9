"""JSON Schemas (draft 2020-12) by which data is asked for: checked, and read as what to look for.

Only what can be found on a page may be asked for: an object of named values, lists and tables. A
keyword that would have no effect is refused, with its place.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

MAX_BYTES = 64 * 1024
"""Of a schema, as JSON."""

MAX_DEPTH = 6
"""Of objects in objects."""

MAX_PROPERTIES = 200
"""In the whole of a schema."""

MAX_PATTERN_LETTERS = 500

_MAX_MESSAGE_LETTERS = 200

_DIALECT = "https://json-schema.org/draft/2020-12/schema"

_NOTES = frozenset({"title", "description", "examples", "default", "$comment", "deprecated"})
_CHOICES = frozenset({"enum", "const"})
_LENGTHS = frozenset({"minLength", "maxLength"})
_RANGES = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"})
_COUNTS = frozenset({"minItems", "maxItems", "uniqueItems"})

_KEYWORDS: Final[Mapping[str, frozenset[str]]] = {
    "object": _NOTES | {"properties", "required", "additionalProperties"},
    "array": _NOTES | _COUNTS | {"items"},
    "string": _NOTES | _CHOICES | _LENGTHS | {"pattern", "format"},
    "number": _NOTES | _CHOICES | _RANGES,
    "integer": _NOTES | _CHOICES | _RANGES,
    "boolean": _NOTES | {"const"},
}
"""What may be said of each type, besides `type` itself."""

_AT_THE_TOP = frozenset({"$schema", "$defs"})


class SchemaError(ValueError):
    """A schema that cannot be used: where, and why."""

    def __init__(self, pointer: str, problem: str):
        """Say what is wrong.

        Args:
            pointer: the place in the schema (RFC 6901).
            problem: what is wrong there.
        """
        super().__init__(f"at {pointer or '/'}: {problem}")


@dataclass(frozen=True)
class Node:
    """What is asked for in one place."""

    path: tuple[str, ...]
    """Names of the properties that lead to it."""
    type: str
    """`object`, `array`, `string`, `number`, `integer` or `boolean`."""
    is_nullable: bool
    title: str = ""
    description: str = ""
    format: str = ""
    pattern: str = ""
    choices: tuple[Any, ...] = ()
    """What it may be; empty where it may be anything."""
    examples: tuple[Any, ...] = ()
    step: float | None = None
    """`multipleOf`."""
    required: frozenset[str] = frozenset()
    """Properties of an object."""
    properties: Mapping[str, "Node"] = field(default_factory=dict[str, "Node"])
    """Of an object."""
    items: "Node | None" = None
    """Of an array."""

    @property
    def name(self) -> str:
        """As the property is called."""
        return self.path[-1] if self.path else ""

    def leaves(self) -> Iterator["Node"]:
        """The single values in an object, at any depth; not those of lists and tables."""
        for node in self.properties.values():
            if node.type == "object":
                yield from node.leaves()
            elif node.type != "array":
                yield node


def read_schema(schema: Mapping[str, Any]) -> Node:
    """Check a schema, and say what it asks for.

    Raises:
        SchemaError: it is not valid, asks for what no page has, or is beyond a limit.
    """
    # It was JSON when it came, unless a flow made it.
    try:
        size = len(json.dumps(schema, allow_nan=False))
        if size > MAX_BYTES:
            raise SchemaError("", f"it has {size} bytes, more than {MAX_BYTES}")
        _check_by_the_dialect(schema)
    except RecursionError:
        raise SchemaError("", f"it is more than {MAX_DEPTH} deep") from None
    except TypeError:
        raise SchemaError("", "it is no JSON") from None
    node = _Reader(schema).node(schema, "", (), 0)
    if node.type != "object":
        raise SchemaError("/type", "what is asked for must be an object")
    return node


def _check_by_the_dialect(schema: Mapping[str, Any]) -> None:
    if schema.get("$schema", _DIALECT) != _DIALECT:
        raise SchemaError("/$schema", f"it must be {_DIALECT}")
    validator = Draft202012Validator(Draft202012Validator.META_SCHEMA)
    problem = best_match(validator.iter_errors(schema))
    if problem is not None:
        pointer = "".join(f"/{_escaped(str(step))}" for step in problem.absolute_path)
        raise SchemaError(pointer, problem.message[:_MAX_MESSAGE_LETTERS])


def _escaped(step: str) -> str:
    return step.replace("~", "~0").replace("/", "~1")


class _Reader:
    def __init__(self, schema: Mapping[str, Any]):
        self._definitions = schema.get("$defs", {})
        self._count = 0

    def node(self, given: object, pointer: str, path: tuple[str, ...], depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise SchemaError(pointer, f"it is more than {MAX_DEPTH} deep")
        part, is_nullable = self._plain(given, pointer)
        kind, may_be_null = _type_of(part, pointer)
        _check_keywords(part, kind, pointer, is_top=not pointer)
        node = Node(
            path=path,
            type=kind,
            is_nullable=is_nullable or may_be_null,
            title=part.get("title", ""),
            description=part.get("description", ""),
            format=part.get("format", ""),
            pattern=_pattern(part, pointer),
            choices=_choices(part, pointer),
            examples=tuple(part.get("examples", ())),
            step=part.get("multipleOf"),
        )
        if kind == "object":
            return self._object(node, part, pointer, depth)
        if kind == "array":
            return self._array(node, part, pointer, depth)
        return node

    def _plain(self, given: object, pointer: str) -> tuple[Mapping[str, Any], bool]:
        """A part without references, and without the ways of saying that it may be null."""
        is_nullable = False
        part = _mapping(given, pointer)
        for _ in range(MAX_DEPTH):
            if "$ref" in part:
                inner: object = self._definition(part["$ref"], f"{pointer}/$ref")
                part = {**_mapping(inner, pointer), **_without(part, "$ref")}
            elif "anyOf" in part:
                choices = part["anyOf"]
                others = [one for one in choices if one != {"type": "null"}]
                if len(others) != 1 or len(choices) > 2:
                    raise SchemaError(
                        f"{pointer}/anyOf", "only one type, with or without null, can be looked for"
                    )
                is_nullable = is_nullable or len(choices) == 2
                part = {**_mapping(others[0], f"{pointer}/anyOf"), **_without(part, "anyOf")}
            else:
                return part, is_nullable
        raise SchemaError(pointer, f"references lead over more than {MAX_DEPTH} steps")

    def _definition(self, reference: str, pointer: str) -> object:
        found = re.fullmatch(r"#/\$defs/([^/]+)", reference)
        name = found[1].replace("~1", "/").replace("~0", "~") if found else ""
        if name not in self._definitions:
            raise SchemaError(pointer, "it leads to nothing in `$defs` of this schema")
        return self._definitions[name]

    def _object(self, node: Node, part: Mapping[str, Any], pointer: str, depth: int) -> Node:
        given = part.get("properties", {})
        if not given:
            raise SchemaError(pointer, "an object needs `properties`")
        if not isinstance(part.get("additionalProperties", False), bool):
            raise SchemaError(f"{pointer}/additionalProperties", "it must be true or false")
        self._count += len(given)
        if self._count > MAX_PROPERTIES:
            raise SchemaError(pointer, f"there are more than {MAX_PROPERTIES} properties")
        required = part.get("required", [])
        for name in required:
            if name not in given:
                raise SchemaError(f"{pointer}/required", f"{name!r} is no property")
        properties = {
            name: self.node(
                inner, f"{pointer}/properties/{_escaped(name)}", (*node.path, name), depth + 1
            )
            for name, inner in given.items()
        }
        return replace(node, properties=properties, required=frozenset(required))

    def _array(self, node: Node, part: Mapping[str, Any], pointer: str, depth: int) -> Node:
        if "items" not in part:
            raise SchemaError(pointer, "an array needs `items`")
        items = self.node(part["items"], f"{pointer}/items", node.path, depth + 1)
        if items.type not in {"string", "object"}:
            raise SchemaError(
                f"{pointer}/items", "a list can be of strings, or of objects: the rows of a table"
            )
        nested = [n.name for n in items.properties.values() if n.type in {"object", "array"}]
        if nested:
            raise SchemaError(
                f"{pointer}/items/properties/{_escaped(nested[0])}",
                "the cells of a table are single values",
            )
        return replace(node, items=items)


def _mapping(given: object, pointer: str) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise SchemaError(pointer, "it must be an object")
    return cast("Mapping[str, Any]", given)


def _without(part: Mapping[str, Any], word: str) -> dict[str, Any]:
    return {name: value for name, value in part.items() if name != word}


_JSON_TYPES: Final[Mapping[type, str]] = {bool: "boolean", int: "integer", float: "number"}


def _type_of(part: Mapping[str, Any], pointer: str) -> tuple[str, bool]:
    """The type that is asked for, and whether it may be null."""
    given = part.get("type")
    if given is None:
        choices = [one for one in _choices(part, pointer) if one is not None]
        kinds = {_JSON_TYPES.get(type(one), "string") for one in choices}
        if len(kinds) != 1:
            raise SchemaError(pointer, "it needs a `type`")
        return kinds.pop(), None in _choices(part, pointer)
    names = cast("list[Any]", given) if isinstance(given, list) else [given]
    others = [name for name in names if name != "null"]
    if len(others) != 1 or not isinstance(others[0], str) or others[0] not in _KEYWORDS:
        known = ", ".join(_KEYWORDS)
        raise SchemaError(
            f"{pointer}/type", f"it must be one of {known}, each with or without null"
        )
    return others[0], len(names) > 1


def _check_keywords(part: Mapping[str, Any], kind: str, pointer: str, *, is_top: bool) -> None:
    allowed = _KEYWORDS[kind] | {"type"} | (_AT_THE_TOP if is_top else frozenset[str]())
    for word in part:
        if word not in allowed:
            raise SchemaError(
                f"{pointer}/{_escaped(word)}", f"`{word}` has no effect on a value of type {kind}"
            )


def _pattern(part: Mapping[str, Any], pointer: str) -> str:
    pattern: str = part.get("pattern", "")
    if len(pattern) > MAX_PATTERN_LETTERS:
        raise SchemaError(
            f"{pointer}/pattern", f"it has more than {MAX_PATTERN_LETTERS} characters"
        )
    try:
        # Not by `regex`, which takes all memory for `((a{99}){99}){99}`: that is for a child.
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError):
        raise SchemaError(f"{pointer}/pattern", "it is no regular expression") from None
    return pattern


def _choices(part: Mapping[str, Any], pointer: str) -> tuple[Any, ...]:
    given = [part["const"]] if "const" in part else part.get("enum", [])
    if any(isinstance(one, (dict, list)) for one in given):
        raise SchemaError(f"{pointer}/enum", "only single values can be looked for")
    return tuple(given)
