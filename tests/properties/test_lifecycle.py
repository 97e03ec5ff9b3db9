import itertools

from hypothesis import given
from hypothesis import strategies as st

from store.lifecycle import FINAL, LIFECYCLE
from store.states import Event, State

REOPENING = {Event.UNLOCK, Event.RETRY}


def after(history: list[Event], state: State = State.QUEUED) -> list[State]:
    """The states that a history goes through; what is not possible does not happen."""
    states = [state]
    for event in history:
        state = LIFECYCLE.get((state, event), state)
        states.append(state)
    return states


@given(st.lists(st.sampled_from(sorted(set(Event) - REOPENING)), max_size=40))
def test_no_history_leaves_a_final_state_unless_somebody_reopens_it(history: list[Event]) -> None:
    states = after(history)
    ends = [state for state in states if state in FINAL]
    assert len(set(ends)) <= 1
    if ends:
        assert states[-1] is ends[0]


@given(st.lists(st.sampled_from(sorted(Event)), max_size=40))
def test_after_any_history_a_task_can_still_end(history: list[Event]) -> None:
    state = after(history)[-1]
    assert state in FINAL or LIFECYCLE[state, Event.CANCEL] is State.CANCELED


@given(st.lists(st.sampled_from(sorted(Event)), max_size=40))
def test_nothing_is_completed_that_was_not_running(history: list[Event]) -> None:
    states = after(history)
    for before, now in itertools.pairwise(states):
        if now is State.COMPLETED and before is not State.COMPLETED:
            assert before is State.RUNNING
