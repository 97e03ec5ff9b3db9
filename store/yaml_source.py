"""YAML of strangers: read within limits, and what is wrong in it told by line and key."""

import json
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final

import yaml

MAX_CHARACTERS: Final = 1_048_576
MAX_DEPTH: Final = 32
MAX_NODES: Final = 50_000
"""Counted as often as aliases repeat them: a page of YAML can stand for gigabytes (the billion
laughs attack)."""

# The parser in C is ten times as fast; the package has it on all common platforms.
_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class YamlSourceError(ValueError):
    """What was sent is no YAML that can be read."""

    def __init__(self, reason: str, line: int = 1):
        """Say why, and on which line (1-based)."""
        super().__init__(reason)
        self.reason = reason
        self.line = line


class PlacedError(ValueError):
    """A part of what was sent is wrong, which only what is around it can tell."""

    def __init__(self, reason: str, *place: int | str):
        """Say why, and the keys that lead to the part from what is judged."""
        super().__init__(reason)
        self.place = place


class YamlSource:
    """A mapping written in YAML."""

    def __init__(self, source: str):
        """Read it.

        Raises:
            YamlSourceError: it is no YAML, no mapping, too large, a key is there twice, or an
                alias stands inside of what it names.
        """
        if len(source) > MAX_CHARACTERS:
            raise YamlSourceError(
                f"longer than {MAX_CHARACTERS} characters; a project of that size is none"
            )
        try:
            self._check_nesting(source)
            self._root: yaml.Node | None = yaml.compose(source, Loader=_LOADER)
            _Sizes().of(self._root)
            self.content: dict[str, Any] = self._constructed()
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            raise YamlSourceError(
                f"not YAML: {error.problem or error.context}", mark.line + 1 if mark else 1
            ) from None
        except yaml.YAMLError as error:
            reason = getattr(error, "reason", None) or "a character that is not allowed"
            raise YamlSourceError(f"not YAML: {reason}", _line_at(source, error)) from None
        except (ValueError, OverflowError) as error:  # a date like 2026-02-31
            if isinstance(error, YamlSourceError):
                raise
            raise YamlSourceError(f"not YAML: {error}") from None

    @staticmethod
    def _check_nesting(source: str) -> None:
        """Before anything recurses into it."""
        depth = 0
        for number, event in enumerate(yaml.parse(source, Loader=_LOADER)):
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH or number > 4 * MAX_NODES:
                line = event.start_mark.line + 1 if event.start_mark else 1
                raise YamlSourceError(f"nested deeper than {MAX_DEPTH} levels, or too long", line)

    def _constructed(self) -> dict[str, Any]:
        if not isinstance(self._root, yaml.MappingNode):
            raise YamlSourceError("a mapping of keys is expected")
        constructor = yaml.constructor.SafeConstructor()
        return constructor.construct_document(self._root)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]  # PyYAML has no types

    def problem(self, found: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
        """What is wrong, where, and what would be right.

        Args:
            found: one of Pydantic's errors; a PlacedError in it says where.
            schema: JSON Schema of what was expected.

        Returns:
            `line` (1-based), `key` (`fields.1.type`) and `message`.
        """
        cause = found.get("ctx", {}).get("error")
        within = cause.place if isinstance(cause, PlacedError) else ()
        path, keys = _place((*found["loc"], *within), schema)
        return {
            "line": self._line(path),
            "key": ".".join(map(str, path)),
            "message": _message(found, keys),
        }

    def _line(self, path: Sequence[int | str]) -> int:
        """The 1-based line of a key, or of the nearest thing around it that is there."""
        node = self._root
        line = node.start_mark.line + 1 if node else 1
        for part in path:
            if isinstance(node, yaml.MappingNode):
                found = next(((k, v) for k, v in node.value if k.value == str(part)), None)
                if found is None:
                    break
                line, node = found[0].start_mark.line + 1, found[1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
                if part >= len(node.value):
                    break
                entry: yaml.Node = node.value[part]
                line, node = entry.start_mark.line + 1, entry
            else:
                break
        return line


def _line_at(source: str, error: yaml.YAMLError) -> int:
    position = getattr(error, "position", None)
    return source.count("\n", 0, position) + 1 if isinstance(position, int) else 1


class _Sizes:
    """How many nodes a node stands for, aliases followed."""

    def __init__(self) -> None:
        self._known: dict[int, int] = {}
        self._open: set[int] = set()

    def of(self, node: yaml.Node | None) -> int:
        """Count, and look for what must not be.

        Raises:
            YamlSourceError: too many, an alias of what is around it, or a key twice.
        """
        if node is None:
            return 0
        if id(node) in self._open:
            raise YamlSourceError("an alias stands inside of what it names", _line_of(node))
        if id(node) not in self._known:
            self._open.add(id(node))
            self._known[id(node)] = 1 + sum(self.of(part) for part in _parts(node))
            self._open.discard(id(node))
        if self._known[id(node)] > MAX_NODES:
            raise YamlSourceError(
                f"its aliases make more than {MAX_NODES} entries of it", _line_of(node)
            )
        return self._known[id(node)]


def _parts(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.SequenceNode):
        return node.value
    if not isinstance(node, yaml.MappingNode):
        return []
    seen: set[str] = set()
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
            if key.value in seen:
                raise YamlSourceError(f"the key `{key.value}` is there twice", _line_of(key))
            seen.add(key.value)
    return [part for pair in node.value for part in pair]


def _line_of(node: yaml.Node) -> int:
    return node.start_mark.line + 1


def _place(
    loc: Sequence[int | str], schema: Mapping[str, Any]
) -> tuple[list[int | str], Sequence[str]]:
    """The path of an error in the file, and the keys that are known where it is.

    Pydantic names the members of unions in the path of an error, which nobody wrote.
    """
    path: list[int | str] = []
    nodes = [schema]
    keys: Sequence[str] = []
    for index, part in enumerate(loc):
        nodes = [one for node in nodes for one in _resolved(node, schema)]
        tagged = [
            node["discriminator"]["mapping"][part]
            for node in nodes
            if part in node.get("discriminator", {}).get("mapping", {})
        ]
        if tagged:
            nodes = [{"$ref": tagged[0]}]
            continue
        nodes = [one for node in nodes for one in _members(node, schema)]
        keys = sorted({key for node in nodes for key in node.get("properties", {})})
        below = [child for node in nodes if (child := _child(node, part)) is not None]
        if not below and index < len(loc) - 1:
            continue  # the name of a member of a union
        if not below and keys == []:
            continue
        path.append(part)
        nodes = below
    return path, keys


def _resolved(node: Mapping[str, Any], schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    if "$ref" in node:
        return _resolved(schema["$defs"][node["$ref"].rpartition("/")[2]], schema)
    if "discriminator" in node:
        return [node]
    for union in ("anyOf", "oneOf"):
        if union in node:
            return [one for member in node[union] for one in _resolved(member, schema)]
    return [node]


def _members(node: Mapping[str, Any], schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What a node may be, where nothing tells which."""
    if "discriminator" not in node:
        return [node]
    return [one for member in node["oneOf"] for one in _resolved(member, schema)]


def _child(node: Mapping[str, Any], part: int | str) -> Mapping[str, Any] | None:
    if isinstance(part, int):
        return node.get("items")
    found = node.get("properties", {}).get(part)
    more = node.get("additionalProperties")
    return found if found is not None or not isinstance(more, dict) else more


def _message(found: Mapping[str, Any], keys: Sequence[str]) -> str:
    text = str(found["msg"]).removeprefix("Value error, ")
    given = found.get("input")
    match found["type"]:
        case "extra_forbidden":
            return f"there is no such key here; {instead(str(found['loc'][-1]), keys)}"
        case "missing":
            return "this key is required"
        case "literal_error" | "enum" | "union_tag_invalid":
            context = found.get("ctx", {})
            expected = str(context.get("expected") or context.get("expected_tags", ""))
            allowed = [one.strip(" '") for one in expected.replace(" or ", ", ").split(",")]
            meant = str(given.get("type", "") if isinstance(given, dict) else given)  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]  # of any YAML
            return f"{_shown(meant)} is not possible; {instead(meant, allowed)}"
        case "union_tag_not_found":
            return "the key `type` is required"
        case "time_delta_parsing" | "time_delta_type":
            return f"{_shown(given)} is no duration; write it like `30m`, `12h` or `14d`"
        case "list_type":
            return f"{_shown(given)} is no list; write it like `[{_shown(given)}]`"
        case "bool_parsing" | "bool_type":
            return f"{_shown(given)} is not possible; possible are `true`, `false`"
        case "string_pattern_mismatch":
            return f"{_shown(given)} is not possible: {text[:1].lower()}{text[1:]}"
        case _:
            return text if text[:1].islower() else f"{text[:1].lower()}{text[1:]}"


def instead(meant: str, allowed: Sequence[str]) -> str:
    """What is possible in the place of what was said, the likeliest first."""
    close = get_close_matches(meant, allowed, n=1)
    hint = f"did you mean `{close[0]}`? " if close else ""
    return f"{hint}possible are {', '.join(f'`{one}`' for one in allowed) or 'none'}"


def _shown(given: Any) -> str:
    text = json.dumps(given, default=str, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
