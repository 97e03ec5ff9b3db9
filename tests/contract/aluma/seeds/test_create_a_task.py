"""The page "Create a task" of Aluma: what it prints is sent, and answered as it prints."""

import re
from email.parser import HeaderParser

from tests.contract.aluma.desk import row_of
from tests.contract.world import Client

REQUEST = r"""POST /tasks?project_id=ZbfzIZorTFOV60GX58YUuQ
Content-Type: application/pdf
X-Aluma-Tags: task_name=AB3947853&file_name=00001.pdf&file_path=C:\inbox&file_created_time=1711958908
"""  # noqa: E501  # as it is printed

ANSWER = {
    "id": "SWdh86taQhKwwpY0HUKD7Q",
    "name": "AB3947853",
    "file_collection_id": "hZ7GkxSHSRmk9ibpio_yOQ",
    "project_id": "ZbfzIZorTFOV60GX58YUuQ",
    "project_name": "ACME Medical Records",
    "created_at": "2024-03-25T16:37:08Z",
    "state": "queued",
}

ID = re.compile(r"[A-Za-z0-9_-]{22}")


async def test_the_request_is_answered_as_printed_with_other_ids_and_times(
    aluma: Client, project_id: str
):
    line, _, rest = REQUEST.partition("\n")
    method, address = line.replace(ANSWER["project_id"], project_id).split(" ")
    headers = dict(HeaderParser().parsestr(rest))
    answer = await aluma.request(method, address, headers=headers, content=b"%PDF-1.7 contents")
    assert answer.status_code == 202
    task = answer.json()
    assert list(task) == list(ANSWER)
    ids = {"id", "file_collection_id", "project_id"}
    for name, printed in ANSWER.items():
        if name in ids:
            assert ID.fullmatch(printed)
            assert ID.fullmatch(task[name])
        elif name == "created_at":
            assert re.sub(r"\d", "9", task[name]) == re.sub(r"\d", "9", printed)
        else:
            assert task[name] == printed
    assert task["project_id"] == project_id
    assert len({task[name] for name in ids}) == 3
    assert (await aluma.get(f"/tasks/{task['id']}")).json() == task
    kept = (await row_of(task["id"])).task_metadata
    assert kept == {
        "task_name": "AB3947853",
        "file_name": "00001.pdf",
        "file_path": r"C:\inbox",
        "file_created_time": "1711958908",
    }
