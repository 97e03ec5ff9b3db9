"""What the OpenAPI document shows: the objects of Human Lambdas' own pages."""

from collections.abc import Mapping
from typing import Any, Final

from api.error_shapes import HUMAN_LAMBDAS
from api.problems import described
from store.errors import ForbiddenError, NotFoundError, PapertrayError, UnauthenticatedError

NEW_TASK: Final[Mapping[str, Any]] = {
    "completed_at": None,
    "completed_by": None,
    "created_at": "2020-10-08T15:27:08.632837Z",
    "data": {"approve": None, "comment": "This is some random text"},
    "id": 169581,
    "source": "api",
    "status": "new",
    "queue": "Moderate Comments",
    "queue_id": 166,
    "assigned_to": None,
    "correct": None,
    "state": "queued",
}
ASSIGNED_TASK: Final[Mapping[str, Any]] = {
    **NEW_TASK,
    "status": "in_progress",
    "assigned_to": "joe@example.com",
    "state": "in_review",
}
COMPLETED_TASK: Final[Mapping[str, Any]] = {
    **NEW_TASK,
    "completed_at": "2020-10-08T15:28:33.664113Z",
    "completed_by": "joe@example.com",
    "data": {"approve": True, "comment": "This is some random text"},
    "status": "completed",
    "state": "completed",
}
QUEUE: Final[Mapping[str, Any]] = {
    "id": 166,
    "name": "Moderate Comments",
    "description": "Would you show it to your children?",
    "n_tasks": 1,
    "created_at": "2020-10-08T15:00:00Z",
    "data": [
        {
            "id": "comment",
            "name": "Comment",
            "type": "text",
            "text": {"placeholder": "", "read_only": True, "is_required": True},
        },
        {
            "id": "approve",
            "name": "Approve",
            "type": "binary",
            "binary": {"placeholder": "", "read_only": False, "is_required": True},
        },
    ],
}
QUEUE_BODY: Final = {name: QUEUE[name] for name in ("name", "description", "data")}
COMMENT: Final[Mapping[str, Any]] = {
    "id": 170001,
    "action": "comment",
    "created_at": "2020-10-08T15:28:00Z",
    "created_by": "joe@example.com",
    "comment": "Is this irony?",
    "assignee": None,
    "source": None,
    "correct": None,
    "event": "task.commented",
}
METRICS: Final = [
    {"date": "2020-10-07T00:00:00Z", "completed": 12, "aht": 31.5},
    {"date": "2020-10-08T00:00:00Z", "completed": 0, "aht": None},
]


def paged(task: Mapping[str, Any], below: str) -> dict[str, Any]:
    """A page with one task."""
    address = f"http://127.0.0.1:8460/orgs/1/queues/166/tasks/{below}"
    return {"count": 2, "next": f"{address}?limit=1&offset=1", "previous": None, "tasks": [task]}


def problems(*kinds: type[PapertrayError] | int) -> dict[int | str, dict[str, Any]]:
    """Error answers, those that every address of a queue has among them."""
    usual = (UnauthenticatedError, ForbiddenError, NotFoundError, 422)
    return described(*usual, *kinds, shape=HUMAN_LAMBDAS)
