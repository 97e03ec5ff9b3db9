import re
from datetime import timedelta

import pytest

from api.review_pages import words
from store.fields import FieldType, FieldValue
from store.ids import now
from store.lifecycle import ACTIVITY_OF, FINAL
from store.project_fields import FieldPart
from store.states import State


def test_every_state_has_a_tone() -> None:
    assert set(words.TONE_OF) == set(State)
    assert {words.TONE_OF[state] for state in FINAL} == {"sure", "quiet", "invalid"}


def test_every_activity_has_words() -> None:
    for activity in ACTIVITY_OF.values():
        assert re.fullmatch(r"[A-Z][a-z ]+", words.activity_words(activity))
    amended = {"task.created", "task.audited", "task.assigned", "task.left"}
    assert set(words.ACTIVITIES) <= {*ACTIVITY_OF.values(), *amended, "task.report_not_told"}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min"), (7199, "1 h"), (86400, "1 day"), (200000, "2 days")],
)
def test_a_length_of_time_is_told_in_its_largest_unit(seconds: int, text: str) -> None:
    assert words.length(timedelta(seconds=seconds)) == text


def test_a_due_time_says_whether_it_is_past() -> None:
    assert words.due(now() + timedelta(minutes=5, seconds=30)) == "in 5 min"
    assert words.due(now() - timedelta(days=2, seconds=30)) == "2 days overdue"


@pytest.mark.parametrize(
    ("facts", "word", "confidence"),
    [
        ({"value": "x", "confidence": 0.95}, "Sure", "High confidence: 95 %"),
        ({"value": "x", "confidence": 0.8}, "Sure", "Confidence: 80 %"),
        (
            {"value": "x", "confidence": 0.3, "needs_confirmation": True},
            "To be confirmed",
            "Low confidence: 30 % (asked: 70 %)",
        ),
        ({"value": "x", "valid": False, "confidence": 0.95}, "Invalid", "High confidence: 95 %"),
        ({}, "Not found", ""),
        ({"value": "x", "method": "person"}, "Sure", "Entered by a person"),
    ],
)
def test_a_field_says_how_sure_it_is(facts: dict[str, object], word: str, confidence: str) -> None:
    value = FieldValue.model_validate(
        {"name": "total", "label": "Total", "type": FieldType.TEXT, **facts}
    )
    part = FieldPart(name="total", labels=["Total"])
    assert words.field_mark(value).word == word
    assert words.confidence_words(value, part) == confidence
