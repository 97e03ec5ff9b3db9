"""What the OpenAPI document shows: the objects of Send AI's own pages."""

from collections.abc import Mapping
from typing import Any, Final

from api.error_shapes import SEND_AI
from api.problems import described
from api.v1.examples import answer
from store.errors import ForbiddenError, NotFoundError, PapertrayError, UnauthenticatedError

PROJECT_ID: Final = "7d1c5b2e-2f64-4d27-8a55-0d6f5e3f9b10"

CREATED_UPLOAD: Final[Mapping[str, Any]] = {
    "id": "upl_k3v9x0c1b2n4m5q7",
    "name": "Important Document",
    "projectId": PROJECT_ID,
    "status": "processing",
    "fileType": "pdf",
    "fileSize": 1024567,
    "createdAt": "2023-06-15T10:30:00Z",
    "updatedAt": "2023-06-15T10:30:00Z",
}

UPLOAD: Final[Mapping[str, Any]] = {
    "id": "upl_k3v9x0c1b2n4m5q7",
    "name": "Invoice-2023-001",
    "status": "IN_REVIEW",
    "files": {"task_euyrvozb9302uwhq": "invoice.pdf"},
    "meta": [
        {"name": "reference", "value": "INV-2023-001"},
        {"name": "customer", "value": "Acme Corp"},
    ],
    "folder_id": "folder_inbox",
    "created_at": "2023-06-15T10:30:00Z",
}

FOLDER: Final[Mapping[str, Any]] = {
    "id": "folder_b6d9f2h5k8m1p4r7",
    "name": "Claims",
    "is_default": False,
}

TASK: Final[Mapping[str, Any]] = {
    "id": "task_euyrvozb9302uwhq",
    "name": "invoice.pdf",
    "created_at": "2024-01-15T10:30:00Z",
    "meta": [{"name": "category", "value": "invoice"}],
    "status": "REVIEWING",
    "step_type": "EXTRACT",
    "upload_id": "upl_k3v9x0c1b2n4m5q7",
    "project_id": PROJECT_ID,
    "approved": False,
    "exported_at": None,
    "export_failed_at": None,
    "last_opened_at": "2024-01-15T11:45:00Z",
    "pages": [
        {
            "id": "page_1",
            "width": 2480,
            "height": 3508,
            "annotations": [
                {
                    "id": "ann_total_amount",
                    "entity_id": "total_amount",
                    "confidence": 0.98,
                    "content": "$1,234.56",
                    "top": 120.5,
                    "left_of_line": 340.0,
                }
            ],
            "checkboxes": [],
            "segments": [
                {
                    "id": "seg_1",
                    "confidence": 0.87,
                    "coordinates": [[0, 0], [2480, 0], [2480, 3508], [0, 3508]],
                }
            ],
            "signatures": [],
        }
    ],
}


def task(status: str = "REVIEWING", **beside: Any) -> dict[str, Any]:
    """The answer with a task that has this status."""
    return {"payload": {**TASK, "status": status}, **beside}


def payload(description: str, example: Any) -> dict[str, Any]:
    """A good answer in its payload, with an example."""
    return answer(description, {"payload": example})


def page(example: Any) -> dict[str, Any]:
    """A page of a list, with one item."""
    return {"payload": [example], "links": {"previous": None, "next": None}}


def problems(*kinds: type[PapertrayError] | int) -> dict[int | str, dict[str, Any]]:
    """The error answers of an address, those that every one has included."""
    return described(
        UnauthenticatedError, ForbiddenError, NotFoundError, 422, *kinds, shape=SEND_AI
    )
