"""The surface of Human Lambdas: queues of data, and the tasks in them (wire/human-lambdas.md)."""

from typing import Final

from fastapi import APIRouter

from api.human_lambdas import administration, audits, lists, queues, tasks

TAG: Final = "human lambdas"

_SPELLINGS: Final = {"queues": "queue", "workflows": "workflow"}
"""What a queue is called in addresses, now and before."""


# The lists first: what is called `completed` is no id of a task.
_PARTS: Final = (queues, administration, lists, tasks, audits)


def _router() -> APIRouter:
    whole = APIRouter(tags=[TAG])
    for plural, word in _SPELLINGS.items():
        for part in _PARTS:
            whole.include_router(
                part.router,
                prefix=f"/orgs/{{organization_id}}/{plural}",
                deprecated=plural == "workflows" or None,
                generate_unique_id_function=lambda route, word=word: f"{word}_{route.name}",
            )
    return whole


router: Final = _router()
