from uuid import uuid4

import pytest

from api.v1.files import attachment, short_name
from api.v1.words import STATUS, task_of
from store.activity import EVENT_TYPES
from store.lifecycle import ACTIVITY_OF, FINAL
from store.models import Task
from store.states import Event, State


def test_every_state_has_a_word():
    assert set(STATUS) == set(State)


def test_a_task_is_completed_or_failed_exactly_when_it_has_ended():
    ended = {state for state, word in STATUS.items() if word in {"completed", "failed"}}
    assert ended == FINAL


def test_programs_are_told_of_every_end_of_a_task():
    ends = {Event.FINISH, Event.FILTER, Event.DISCARD, Event.FAIL, Event.TIME_OUT, Event.CANCEL}
    assert {ACTIVITY_OF[event] for event in ends} <= set(EVENT_TYPES)


@pytest.mark.parametrize("state", State)
def test_a_result_is_shown_exactly_when_the_task_has_ended(state: State):
    row = Task(organization_id=uuid4(), operation="extract-text", state=state, result={"a": 1})
    assert task_of(row).result == ({"a": 1} if state in FINAL else {})


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("letter.pdf", "letter.pdf"),
        ('a"b\\c%d.pdf', "a_b_c_d.pdf"),
        ("r\u00e9sum\u00e9 \u2013 1.pdf", "r_sum_ _ 1.pdf"),
        ("a\r\nSet-Cookie: x", "a__Set-Cookie: x"),
    ],
)
def test_a_name_cannot_leave_its_header(name: str, plain: str):
    value = attachment(name)
    assert value.startswith(f"attachment; filename=\"{plain}\"; filename*=UTF-8''")
    assert value.isascii()
    assert value.isprintable()


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("a.pdf", "a.pdf"),
        ("x" * 60, "x" * 50),
        ("x" * 60 + ".jpeg", "x" * 45 + ".jpeg"),
        ("x." + "y" * 60, "x." + "y" * 48),
        ("", "file"),
    ],
)
def test_a_long_name_is_cut_and_keeps_its_ending(name: str, short: str):
    assert short_name(name) == short
