"""The blocks of a queue, as Human Lambdas writes them down, and as a project file does."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from store.blocks import BlockPart, BoundingBoxesBlock, ChoosingBlock, FormSequenceBlock
from store.storable import storable_json

BlockType = Literal[
    "binary",
    "text",
    "number",
    "date",
    "email",
    "link",
    "image",
    "audio",
    "video",
    "pdf",
    "embed",
    "list",
    "single_selection",
    "multiple_selection",
    "form_sequence",
    "text_sequence",
    "named_entity_recognition",
    "rich_text",
    "bounding_boxes",
]
"""The types of `store/blocks.py`, spelt out for type checkers; a test compares them."""

_WORDS: Final[Mapping[str, str]] = {"required": "is_required", "of": "subtype", "blocks": "data"}
"""Settings that are called otherwise there; all others have one name."""

_OURS: Final = {theirs: ours for ours, theirs in _WORDS.items()}

_WITHOUT_EFFECT: Final = frozenset(
    {
        *("value", "entities", "history", "format", "use_placeholder", "allow_edits"),
        *("delete_disabled", "edit_disabled", "ordering_disabled"),
    }
)
"""Settings of Human Lambdas' own pages; clients send them back as they got them."""


class BlockBody(BaseModel):
    """A block, as it is sent. Its settings are in the member that is named like its type.

    Members that Papertray has no use for are passed over, as Human Lambdas does.
    """

    model_config = ConfigDict(
        extra="allow",
        use_attribute_docstrings=True,
        json_schema_extra={"additionalProperties": {"type": "object"}},
    )

    id: str | int
    """Its name in the data."""
    name: str = Field(min_length=1, max_length=200)
    """What people read."""
    type: BlockType

    @model_validator(mode="before")
    @classmethod
    def _can_be_kept(cls, value: Any) -> Any:
        return storable_json(value) if isinstance(value, dict) else value

    @property
    def settings(self) -> Any:
        """What its type has beside: placeholder, read_only, is_required, options ..."""
        return (self.model_extra or {}).get(self.type) or {}


def block_of(body: BlockBody) -> dict[str, Any]:
    """A block as it stands in a project file.

    Raises:
        ValueError: its settings are no object, or a form in it has a block that is none.
    """
    given = body.settings
    if not isinstance(given, dict):
        raise ValueError(f"`{body.type}` must be an object: the settings of the block")  # noqa: TRY004  # it is about what was sent
    settings: dict[str, Any] = {
        _OURS.get(str(name), str(name)): value
        for name, value in given.items()  # pyright: ignore[reportUnknownVariableType]  # of JSON
        if name not in _WITHOUT_EFFECT and value is not None
    }
    if "placeholder" in settings:
        settings["placeholder"] = _text(settings["placeholder"])
    if isinstance(settings.get("options"), list):
        settings["options"] = [_option(one) for one in settings["options"]]
    if isinstance(settings.get("blocks"), list):
        inner = [BlockBody.model_validate(one) for one in settings["blocks"]]
        settings["blocks"] = [block_of(one) for one in inner]
    if body.type == "bounding_boxes":
        settings.setdefault("unit", "fraction")
    return {"name": str(body.id), "label": body.name, "type": body.type, **settings}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else str(value).lower()


def _option(option: Any) -> Any:
    if not isinstance(option, dict):
        return str(option)
    return {name: str(option[name]) for name in ("id", "name") if name in option}


def members_of(block: BlockPart) -> dict[str, Any]:
    """A block as Human Lambdas shows it; settings that it has not are there under our names."""
    content = block.model_dump(exclude={"name", "label", "type"}, exclude_defaults=True)
    kept = {"placeholder": block.placeholder, "read_only": block.read_only}
    settings: dict[str, Any] = {**kept, "required": block.required, **content}
    if isinstance(block, ChoosingBlock):
        settings["options"] = [{"id": one.id, "name": one.title} for one in block.options]
    if isinstance(block, BoundingBoxesBlock):
        settings["unit"] = block.unit
    if isinstance(block, FormSequenceBlock):
        settings["blocks"] = blocks_shown(block.blocks)
    kind: str = getattr(block, "type")  # noqa: B009  # of all types that there are
    named = {_WORDS.get(name, name): value for name, value in settings.items()}
    return {"id": block.name, "name": block.title, "type": kind, kind: named}


def blocks_shown(blocks: Sequence[BlockPart]) -> list[dict[str, Any]]:
    """Blocks as Human Lambdas shows them."""
    return [members_of(block) for block in blocks]
