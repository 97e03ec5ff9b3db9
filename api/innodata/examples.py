"""What the OpenAPI document shows of Innodata's objects."""

from collections.abc import Mapping
from typing import Any, Final

from api.error_shapes import INNODATA
from api.problems import described
from api.v1.examples import answer
from store.errors import ForbiddenError, NotFoundError, PapertrayError, UnauthenticatedError

_BASE: Final = "http://127.0.0.1:8460"
_JOB: Final = f"{_BASE}/jobs/9b2f8c1e-6d5e-4d1f-8a37-2f4b6a1c9e10"
OWNER: Final = {
    "id": "4f1c9a52-0a35-4d0c-9f0e-8f2a3c1d7b60",
    "email": "ana@example.com",
    "name": "Ana",
}
DOCUMENT: Final[Mapping[str, Any]] = {
    "id": "file_euyrvozb9302uwhq",
    "name": "contract.pdf",
    "type": "application/pdf",
    "size": 48213,
    "owner": OWNER,
    "contents_uri": f"{_BASE}/documents/file_euyrvozb9302uwhq/contents",
}
INPUT: Final = {
    "role": "input",
    "type": "application/pdf",
    "uri": f"{_JOB}/contents/input",
}
COLLABORATION: Final = {
    "teams": [{"id": "c383d5a5-4cff-473f-b820-b53bb70abb78", "name": "legal", "steps": ["*"]}],
    "users": [],
}
JOB: Final[Mapping[str, Any]] = {
    "id": "9b2f8c1e-6d5e-4d1f-8a37-2f4b6a1c9e10",
    "owner": OWNER,
    "type": "data-point-extraction",
    "status": "running",
    "progress": {"current": 0, "total": 4},
    "input_content": INPUT,
    "output_content": None,
    "contents": [INPUT],
    "collaboration": COLLABORATION,
    "metadata": {"mapping.taxonomy": ["Contract number", "Effective date"], "order": "4711"},
    "created_at": "2026-11-22T10:00:00Z",
    "updated_at": "2026-11-22T10:00:00Z",
    "error": None,
    "state": "queued",
}
JOB_BODY: Final = {
    "type": "data-point-extraction",
    "contents": [{"role": "input", "uri": DOCUMENT["contents_uri"]}],
    "collaboration": {
        "teams": [{"id": "c383d5a5-4cff-473f-b820-b53bb70abb78", "steps": ["*"]}],
        "users": [],
    },
    "mapping.taxonomy": ["Contract number", {"name": "Effective date", "type": "date"}],
    "mapping.high_confidence_threshold": 0.8,
    "order": "4711",
}
DATA_POINTS: Final = {
    "documents": [
        {
            "number": 1,
            "document_type": "document",
            "fields": {"contract_number": "C-4711", "effective_date": "2026-03-14"},
        }
    ]
}
JOB_TYPE: Final = {
    "id": "data-point-extraction",
    "title": "Data point extraction",
    "description": "Find data points on a document, and have them confirmed.",
    "steps": ["read", "extract", "review", "export"],
    "metadata": {"type": "object", "required": ["mapping.taxonomy"]},
}


def enveloped(description: str, example: Any, status: int = 200) -> dict[str, Any]:
    """An answer in its envelope."""
    return answer(
        description,
        {
            "success": True,
            "status_code": status,
            "tracking": "0b5c4a0e-3c1f-4d8e-9f51-6f0a2b7c8d90",
            "response": example,
        },
    )


def problems(*kinds: type[PapertrayError] | int) -> dict[int | str, dict[str, Any]]:
    """Error answers, those that every address has among them."""
    usual = (UnauthenticatedError, ForbiddenError, NotFoundError, 422)
    return described(*usual, *kinds, shape=INNODATA)
