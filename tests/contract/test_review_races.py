"""Of many that want the same task in the same moment one gets it, and nobody gets a 5xx."""

import asyncio
from collections import Counter

from tests.contract.world import Client, put_into_review, send_task

CLIENTS = 16
RACES = 4
"""`benchmarks/review.py` runs 200 of each."""


async def test_of_sixteen_that_decide_at_once_one_wins(client: Client) -> None:
    for _ in range(RACES):
        task_id = await send_task(client)
        await put_into_review(task_id)
        body = {"values": {"total": "9.00"}}
        answers = await asyncio.gather(
            *(client.post(f"/v1/tasks/{task_id}/complete", json=body) for _ in range(CLIENTS))
        )
        assert Counter(one.status_code for one in answers) == {200: 1, 409: CLIENTS - 1}
        told = {one.json()["code"] for one in answers if one.status_code == 409}
        assert told == {"already_decided"}


async def test_of_sixteen_that_ask_for_the_next_task_no_two_get_the_same(client: Client) -> None:
    for _ in range(RACES):
        waiting = {await send_task(client) for _ in range(3)}
        for task_id in waiting:
            await put_into_review(task_id)
        answers = await asyncio.gather(*(client.post("/v1/tasks/next") for _ in range(CLIENTS)))
        assert Counter(one.status_code for one in answers) == {200: 3, 204: CLIENTS - 3}
        assert {one.json()["id"] for one in answers if one.status_code == 200} == waiting
