"""`papertray webhooks`."""

import json
from pathlib import Path
from typing import Any

import pytest

from api.cli import run


@pytest.fixture
def call(home: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    def calling(*arguments: str) -> Any:
        code = run(["webhooks", *arguments, "--json"])
        told = capsys.readouterr()
        return json.loads(told.out) if code == 0 else (code, json.loads(told.err)["error"]["code"])

    return calling


def test_a_webhook_is_made_with_its_secret_and_listed_without_it(call: Any):
    made = call("create", "https://example.com/hook", "--event", "task.failed", "file.created")
    assert made["secret"].startswith("whsec_")
    (listed,) = call("list")
    assert (listed["id"], listed["events"]) == (made["id"], ["file.created", "task.failed"])
    assert "secret" not in listed


def test_what_was_sent_is_listed_and_sent_again(call: Any):
    webhook = call("create", "https://example.com/hook")["id"]
    assert call("deliveries", webhook) == []
    assert call("resend", webhook, "delivery_0") == (66, "not_found")


def test_an_address_inside_and_a_type_that_is_not_there_are_refused(call: Any):
    assert call("create", "http://0x7f.1/") == (65, "address_not_allowed")
    assert call("create", "https://example.com", "--event", "task.done") == (65, "input_rejected")
    assert call("list") == []


def test_a_deleted_webhook_is_gone(call: Any):
    webhook = call("create", "https://example.com/hook")["id"]
    assert call("delete", webhook)["deleted"] is True
    assert call("delete", webhook) == (66, "not_found")


def test_people_read_a_table(home: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["webhooks", "create", "https://example.com/hook"]) == 0
    assert run(["webhooks", "list"]) == 0
    told = capsys.readouterr().out
    assert "https://example.com/hook" in told
    assert "enabled" in told
