"""The page docs/webhooks.md: the code that it gives to receivers works."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows.deliver_webhooks import Backoff
from flows.webhooks import SECRET_PREFIX, headers_of
from store.ids import now

PAGE = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text()
LIBRARY, ALONE = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)

SECRET = SECRET_PREFIX + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = SECRET_PREFIX + "b3RoZXJvdGhlcm90aGVyb3RoZXI="
BODY = '{"id":"event_1","type":"task.completed","name":"Rechnung für Büro"}'


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], dict[str, Any]]:
    monkeypatch.setenv("PAPERTRAY_WEBHOOK_SECRET", SECRET)

    def running(code: str) -> dict[str, Any]:
        names: dict[str, Any] = {}
        exec(code, names)
        return names

    return running


def test_the_code_with_the_library_tells_ours_from_others(run: Callable[[str], dict[str, Any]]):
    handle = run(LIBRARY)["handle"]
    assert handle(BODY.encode(), headers_of("event_1", now(), BODY, [SECRET])) == "task.completed"
    both = headers_of("event_1", now(), BODY, [OTHER, SECRET])
    assert handle(BODY.encode(), both) == "task.completed"
    with pytest.raises(Exception, match="No matching signature"):
        handle(BODY.encode(), headers_of("event_1", now(), BODY, [OTHER]))


def test_the_code_without_a_library_tells_ours_from_others(run: Callable[[str], dict[str, Any]]):
    is_ours = run(ALONE)["is_from_papertray"]
    for secrets, ours in (([SECRET], True), ([OTHER, SECRET], True), ([OTHER], False)):
        assert is_ours(BODY.encode(), headers_of("event_1", now(), BODY, secrets)) is ours
    headers = headers_of("event_1", now(), BODY, [SECRET])
    assert not is_ours(BODY.encode() + b" ", headers)
    assert not is_ours(BODY.encode(), headers | {"webhook-id": "event_2"})
    assert not is_ours(BODY.encode(), headers | {"webhook-timestamp": "1620036300"})


def test_the_page_names_the_waits_that_are_made():
    first = [f"{Backoff().wait(n, 0.5).total_seconds():g}" for n in (1, 2, 3)]
    assert f"after {', '.join(first)} ... seconds" in PAGE
    assert Backoff().longest_seconds == 4 * 3600
    assert Backoff().spread_ratio == 1 / 5
