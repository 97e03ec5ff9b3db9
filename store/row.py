"""What the classes of the tables have in common: a new row is made without ceremony."""

from collections.abc import Callable
from typing import Any, ClassVar, cast

from sqlmodel import SQLModel


class Row(SQLModel):
    """A row of a table.

    SQLModel sets each column of a new row twice, through pydantic and through SQLAlchemy's
    events, though neither checks anything of a table; that was a tenth of what taking a task in
    cost. A row that is in no session yet has no history to keep: its values are put in place.
    """

    defaults: ClassVar[dict[str, Callable[[], Any]]] = {}
    """What makes the value of a column that is left out."""

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """Find the defaults, once its columns are known.

        Raises:
            TypeError: a default is one that rows would share.
        """
        cls.defaults = {
            name: cast("Callable[[], Any]", field.default_factory) or _always(field.default)
            for name, field in cls.model_fields.items()
            if not field.is_required()
        }

    def __init__(self, **values: Any) -> None:
        """Make a row; a column that is left out gets its default.

        Args:
            values: by the names of columns.

        Raises:
            TypeError: there is no such column.
        """
        if unknown := values.keys() - type(self).model_fields.keys():
            raise TypeError(f"{type(self).__name__} has no {', '.join(sorted(unknown))}")
        for name, default in self.defaults.items():
            if name not in values:
                values[name] = default()
        vars(self).update(values)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set a column as SQLAlchemy does; what is none, pydantic refuses."""
        if name in type(self).__pydantic_fields__:
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)


def _always(value: Any) -> Callable[[], Any]:
    hash(value)  # one that can be changed would be changed in all rows
    return lambda: value
