"""What the OpenAPI document shows: the objects of Aluma's own pages."""

from collections.abc import Mapping
from typing import Any, Final

TASK: Final[Mapping[str, Any]] = {
    "id": "SWdh86taQhKwwpY0HUKD7Q",
    "name": "AB3947853",
    "file_collection_id": "hZ7GkxSHSRmk9ibpio_yOQ",
    "project_id": "ZbfzIZorTFOV60GX58YUuQ",
    "project_name": "ACME Medical Records",
    "created_at": "2024-03-25T16:37:08Z",
    "state": "queued",
}


def task(state: str, client_action: str | None = None) -> Mapping[str, Any]:
    """The task, later."""
    action = {"client_action": client_action} if client_action else {}
    return {**TASK, "state": state, **action, "documents_count": 1}


_FIELD: Final[Mapping[str, Any]] = {
    "name": "total",
    "label": "Total",
    "type": "money",
    "value": "119.00",
    "confidence": 0.61,
    "valid": True,
    "needs_confirmation": True,
    "message": "",
    "page": 1,
    "box": [1470.0, 2210.0, 1604.0, 2248.0],
}

_AT: Final = "http://127.0.0.1:8460/tasks/SWdh86taQhKwwpY0HUKD7Q"

VALIDATION_SPECIFICATION: Final[Mapping[str, Any]] = {
    "task": task("pending:complete_client_action", "validation"),
    "documents": [
        {
            "id": "x4b1f8QYTlK3n0aG9dJ2Zw",
            "document_type": "invoice",
            "pages": [
                {"number": 1, "width": 2480, "height": 3508, "image_uri": f"{_AT}/pages/1/image"}
            ],
            "fields": [_FIELD],
        }
    ],
    "document_types": [
        {
            "name": "invoice",
            "label": "Invoice",
            "fields": [
                {
                    "name": "total",
                    "label": "Total",
                    "type": "money",
                    "required": True,
                    "options": [],
                }
            ],
        }
    ],
}

VALIDATION_RESULTS: Final[Mapping[str, Any]] = {
    "documents": [
        {
            "id": "x4b1f8QYTlK3n0aG9dJ2Zw",
            "document_type": "invoice",
            "fields": {"total": "119.00"},
        }
    ]
}

EXPORT_SPECIFICATION: Final[Mapping[str, Any]] = {
    "task": task("pending:complete_client_action", "export"),
    "files": [
        {
            "name": "data.json",
            "media_type": "application/json",
            "uri": f"{_AT}/files/file_k3v9x0c1b2n4m5q7",
        }
    ],
    "documents": [{"document_type": "invoice", "fields": {"total": "119.00"}}],
}

PROJECT: Final[Mapping[str, Any]] = {
    "id": "ZbfzIZorTFOV60GX58YUuQ",
    "name": "ACME Medical Records",
}

PROJECT_FILE: Final = """\
name: medical-records
title: ACME Medical Records
document_type: medical_record
fields:
  - {name: patient, labels: ["Patient"], required: true}
  - {name: date, type: date, labels: ["Date of visit"]}
"""
