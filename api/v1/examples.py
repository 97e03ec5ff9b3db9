"""What the OpenAPI document shows: the objects of Scan Documents' own pages, and ours beside."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from fastapi import Body

FILE: Final[Mapping[str, Any]] = {
    "id": "file_euyrvozb9302uwhq",
    "name": "Example Image",
    "type": "image/png",
    "properties": {"size": 1024, "width": 800, "height": 600},
    "task_id": None,
    "created_at": "2021-05-01T12:00:00Z",
}

_OURS: Final[Mapping[str, Any]] = {
    "callback_url": None,
    "name": "",
    "project": None,
    "metadata": {},
    "data": None,
    "source": "",
    "number": 169578,
    "priority": 0,
    "due_at": None,
    "claimed_by": None,
    "decided_by": None,
    "is_correct": None,
    "duplicate_of": None,
    "is_test": False,
    "review": None,
    "exported_at": None,
    "export_failed_at": None,
    "progress": {"current": 1, "total": 1, "step": "extract-text"},
    "version": 3,
    "links": {
        "review": "http://127.0.0.1:8460/review/task_euyrvozb9302uwhq",
        "prefect": "http://127.0.0.1:8461/runs/flow-run/0c3b7d0e-5a52-4b8e-9f0e-6c1d4a3b2f10",
    },
}

TASK: Final[Mapping[str, Any]] = {
    "id": "task_euyrvozb9302uwhq",
    "operation": "extract-text",
    "status": "completed",
    "parameters": {"input": "file_abc123xyz", "format": "markdown"},
    "result": {"format": "markdown", "content": "**This** is the *extracted* text content"},
    "created_at": "2021-05-03T10:00:00Z",
    "updated_at": "2021-05-03T10:05:00Z",
    "state": "completed",
    **_OURS,
}

FAILED_TASK: Final[Mapping[str, Any]] = {
    **TASK,
    "status": "failed",
    "state": "failed",
    "result": {
        "error": "Source file not found.",
        "details": {
            "file_id": "file_abc123xyz",
            "reason": "The file might have been deleted.",
            "code": "not_found",
        },
    },
}

PENDING_TASK: Final[Mapping[str, Any]] = {
    **TASK,
    "status": "pending",
    "state": "queued",
    "result": {},
    "updated_at": "2021-05-03T10:00:00Z",
    "progress": {"current": 0, "total": 0, "step": ""},
    "version": 1,
    "links": {**_OURS["links"], "prefect": None},
}

TASK_IN_REVIEW: Final[Mapping[str, Any]] = {
    **TASK,
    "operation": "process",
    "status": "processing",
    "state": "in_review",
    "parameters": {"input": "file_euyrvozb9302uwhq", "project": "invoices"},
    "result": {},
    "name": "invoice-0815.pdf",
    "project": "invoices",
    "metadata": {"order": "4711"},
    "claimed_by": "ada@example.com",
    "review": {
        "round": 1,
        "step": "extract",
        "reason": "to be confirmed: total",
        "due_at": "2021-05-17T10:05:00Z",
    },
    "progress": {"current": 0, "total": 0, "step": "review"},
    "version": 5,
}

DOCUMENTS: Final[Mapping[str, Any]] = {
    "documents": [
        {
            "number": 1,
            "document_type": "invoice",
            "page_numbers": [1],
            "pages_confidence": 1.0,
            "type_confidence": 0.96,
            "group_number": None,
            "fields": {
                "total": {
                    "name": "total",
                    "label": "Total",
                    "type": "money",
                    "value": "119.00",
                    "text": "119,00",
                    "confidence": 0.62,
                    "page_number": 1,
                    "box": [1530.0, 2210.0, 1702.0, 2251.0],
                    "method": "label",
                    "valid": True,
                    "message": "",
                    "needs_confirmation": True,
                }
            },
        }
    ],
    "pages": [
        {
            "number": 1,
            "width": 2480,
            "height": 3508,
            "method": "ocr",
            "confidence": 0.91,
            "image": "http://127.0.0.1:8460/v1/tasks/task_euyrvozb9302uwhq/pages/1/image",
        }
    ],
}

TASK_AWAITING_EXPORT: Final[Mapping[str, Any]] = {
    **TASK_IN_REVIEW,
    "state": "awaiting_export",
    "claimed_by": None,
    "review": None,
    "progress": {"current": 0, "total": 0, "step": "export"},
}

TASK_EXPORTED: Final[Mapping[str, Any]] = {
    **TASK_AWAITING_EXPORT,
    "state": "running",
    "exported_at": "2021-05-03T10:20:00Z",
    "version": 7,
}

TASK_NOT_EXPORTED: Final[Mapping[str, Any]] = {
    **TASK_AWAITING_EXPORT,
    "state": "failed",
    "status": "failed",
    "result": {
        "error": "There is no customer of that number.",
        "details": {"code": "export_failed"},
    },
    "export_failed_at": "2021-05-03T10:20:00Z",
    "version": 7,
}

IMPORTED: Final[Mapping[str, Any]] = {
    "count": 2,
    "refused_count": 1,
    "refused": [{"line": 3, "column": "email", "reason": "must be an e-mail address"}],
}

OUTPUT: Final[Mapping[str, Any]] = {
    "id": "file_k3v9x0c1b2n4m5q7",
    "name": "data.json",
    "type": "application/json",
    "properties": {"size": 412},
    "task_id": "task_euyrvozb9302uwhq",
    "created_at": "2021-05-03T10:05:00Z",
    "role": "data",
}

OFFER: Final[Mapping[str, Any]] = {
    "task": {
        **TASK_AWAITING_EXPORT,
        "state": "exporting",
        "claimed_by": "ada@example.com",
        "version": 6,
    },
    "files": [OUTPUT],
    "documents": [
        {
            "number": 1,
            "document_type": "invoice",
            "page_numbers": [1],
            "group_number": None,
            "fields": {"total": "119.00"},
        }
    ],
}

EVENT: Final[Mapping[str, Any]] = {
    "id": "event_euyrvozb9302uwhq",
    "type": "task.completed",
    "timestamp": "2021-05-03T10:05:00Z",
    "data": {"id": "task_euyrvozb9302uwhq", "state": "completed"},
    "actor": "flow",
    "surface": "system",
    "reason": "",
}

WEBHOOK: Final[Mapping[str, Any]] = {
    "id": "webhook_h2k5m8p1r4t7v0x3",
    "url": "https://example.com/hook",
    "events": ["task.completed", "task.failed"],
    "enabled": True,
    "disabled_reason": "",
    "previous_secret_until": None,
    "created_at": "2021-05-01T12:00:00Z",
    "updated_at": "2021-05-01T12:00:00Z",
}

WEBHOOK_WITH_SECRET: Final[Mapping[str, Any]] = {
    **WEBHOOK,
    "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=",
}

DELIVERY: Final[Mapping[str, Any]] = {
    "id": "delivery_b6d9f2h5k8m1p4r7",
    "event_id": "event_euyrvozb9302uwhq",
    "event_type": "task.completed",
    "status": "waiting",
    "sequence": 7,
    "attempts": 2,
    "next_attempt_at": "2021-05-03T10:05:16Z",
    "last_attempt": {
        "at": "2021-05-03T10:05:06Z",
        "http_status": 503,
        "error": "The receiver answered 503.",
        "answer": "upstream is restarting",
        "seconds": 0.041,
    },
    "created_at": "2021-05-03T10:05:00Z",
}

PROJECT: Final[Mapping[str, Any]] = {
    "name": "invoices",
    "number": 79,
    "version": 1,
    "created_at": "2021-05-01T12:00:00Z",
}

PROJECT_FILE: Final = """\
name: invoices
document_type: invoice
fields:
  - name: number
    required: true
    labels: ["Invoice no"]
  - name: total
    type: money
    labels: ["Total"]
"""


def answer(description: str, example: Any) -> dict[str, Any]:
    """A good answer, with an example."""
    return {"description": description, "content": {"application/json": {"example": example}}}


def answers(description: str, **examples: Any) -> dict[str, Any]:
    """A good answer, with several examples by name."""
    named = {name: {"value": example} for name, example in examples.items()}
    return {"description": description, "content": {"application/json": {"examples": named}}}


def listed(example: Any, name: str) -> dict[str, Any]:
    """A list with one item."""
    address = (
        f"http://127.0.0.1:8460/v1/{name}?take=1&from={example.get('id', example.get('name'))}"
    )
    return {"data": [example], "links": {"previous": None, "next": address}}


def form(fields: Mapping[str, Any], *, required: Sequence[str], example: Any) -> dict[str, Any]:
    """The description of a form with a file, which FastAPI does not see: it is read by hand."""
    schema = {"type": "object", "required": list(required), "properties": dict(fields)}
    content = {"multipart/form-data": {"schema": schema, "example": example}}
    return {"requestBody": {"required": True, "content": content}}


def body(example: Any) -> Any:
    """The body of a request, with an example."""
    return Body(openapi_examples={"example": {"value": example}})
