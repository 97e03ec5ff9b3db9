"""New rows: what they have before anybody writes them."""

from uuid import uuid4

import pytest
from sqlmodel import Field

from store import columns
from store.models import Project, Team
from store.row import Row


def test_a_column_that_is_left_out_has_its_default_at_once() -> None:
    organization = uuid4()
    one = Team(name="a", organization_id=organization)
    other = Team(name="b", organization_id=organization)
    assert (one.name, one.created_at is None) == ("a", False)
    assert one.id != other.id


def test_no_two_rows_share_a_default() -> None:
    class Noted(Row):
        notes: dict[str, str] = columns.json()

    one, other = Noted(), Noted()
    one.notes["a"] = "b"
    assert other.notes == {}


def test_a_default_that_rows_would_share_is_refused() -> None:
    with pytest.raises(TypeError, match="unhashable"):

        class Shared(Row):  # pyright: ignore[reportUnusedClass]  # it does not come to be
            notes: dict[str, str] = Field(default={})


def test_what_is_no_column_is_refused() -> None:
    with pytest.raises(TypeError, match="Project has no colour"):
        Project(name="a", organization_id=uuid4(), colour="red")  # pyright: ignore[reportCallIssue]  # that is the point
    project = Project(name="a", organization_id=uuid4())
    with pytest.raises(ValueError, match="colour"):
        project.colour = "red"  # pyright: ignore[reportAttributeAccessIssue]  # as above
