from typing import Literal

import pytest
from prefect.input import RunInput

from flows.review import wait_for_answer


class Verdict(RunInput):
    decision: Literal["complete", "discard"]


class Harmless(RunInput):
    note: str = ""


async def test_only_a_flow_can_wait_for_a_person() -> None:
    with pytest.raises(RuntimeError, match="only a flow"):
        await wait_for_answer(Verdict, key="review-1")


async def test_a_form_that_could_be_sent_empty_is_refused() -> None:
    with pytest.raises(TypeError, match="Harmless"):
        await wait_for_answer(Harmless, key="review-1")
