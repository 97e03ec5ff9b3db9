"""What the Prefect UI shows of a task."""

from typing import Any

import pytest

from flows import artifacts
from store.errors import InputError


async def test_a_failure_is_shown_with_its_cause_and_the_way_to_its_task(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown: list[tuple[str, str]] = []

    async def create(markdown: str, *, description: str) -> None:
        shown.append((markdown, description))

    monkeypatch.setattr(artifacts, "acreate_markdown_artifact", create)
    fields = {"pages": "<b>no</b> such page"}
    error = InputError("These are not right.", fields=fields, file_id="file_1")
    await artifacts.show_failure("task_1", error)
    ((markdown, description),) = shown
    assert description.startswith("[task_1](http")
    assert markdown.startswith(f"{description} These are not right")
    told: list[Any] = markdown.splitlines()[2:]
    assert told == [r"- fields\.pages\: \<b\>no\<\/b\> such page", r"- file\_id\: file\_1"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("scan_01-a (2).pdf", "scan_01-a (2).pdf"),
        ("_R&D_ *2*!.pdf", "_R&D_ *2*!.pdf"),
        ("a](http://x) <b>`\\.pdf", r"a\](http://x) \<b>\`\\.pdf"),
    ],
)
async def test_a_link_has_the_name_of_its_file_and_no_more(
    name: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []

    async def create(markdown: str, **_: Any) -> None:
        shown.append(markdown)

    monkeypatch.setattr(artifacts, "acreate_markdown_artifact", create)
    await artifacts.show_output("task_1", {"file_1": name})
    (line,) = [one for one in shown[0].splitlines() if one.startswith("- ")]
    assert line.startswith(f"- [{text}](http")
    assert line.endswith("/review/task_1/files/file_1)")
