"""/v1/webhooks: addresses that are told of events, and what they were told."""

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from sqlmodel import col

from api.auth import WebhookEditor, WebhookReader
from api.bodies import Url
from api.idempotency import SHOWN_ONCE
from api.problems import described
from api.v1 import examples, words
from api.v1.lists import DELIVERIES, WEBHOOKS, From, Listed, Take
from api.v1.route import V1Route
from flows import webhooks
from store.activity import ALL_TYPES, EVENT_TYPES
from store.database import database
from store.errors import (
    AddressError,
    ConflictError,
    ForbiddenError,
    LimitExceededError,
    NotFoundError,
    UnauthenticatedError,
)
from store.models import Delivery, DeliveryOutcome

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"], route_class=V1Route)

WebhookId = Annotated[
    str, Path(description="Id of a webhook.", examples=["webhook_h2k5m8p1r4t7v0x3"])
]
DeliveryId = Annotated[
    str, Path(description="Id of a delivery.", examples=["delivery_b6d9f2h5k8m1p4r7"])
]

MAX_KEEP_SECONDS = 7 * 86400


def _known_type(event_type: str) -> str:
    if event_type not in (ALL_TYPES, *EVENT_TYPES):
        raise ValueError(f"There is no such event type. Types are: {', '.join(EVENT_TYPES)}")
    return event_type


EventType = Annotated[
    str,
    AfterValidator(_known_type),
    Field(json_schema_extra={"enum": [ALL_TYPES, *EVENT_TYPES]}),
]
EventTypes = Annotated[list[EventType], Field(min_length=1, max_length=1 + len(EVENT_TYPES))]

_READING = (UnauthenticatedError, ForbiddenError, NotFoundError, 422)
_CHANGING = (*_READING, 413, 415)


class _Body(BaseModel):
    """A name that is not known is refused, never dropped."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class WebhookBody(_Body):
    """An address that is to be told of events."""

    url: Url
    """Public, http or https; the operator of Papertray can allow networks beside."""
    events: EventTypes = [ALL_TYPES]
    """Types of the events it is told of; `*` for all, those to come included."""


class WebhookChanges(_Body):
    """What is left out stays as it is."""

    url: Url | None = None
    events: EventTypes | None = None
    """In place of those before."""
    enabled: bool | None = None
    """While it is false nothing is sent, and no event is kept for later."""


class RotateSecretBody(_Body):
    """How the secrets change over."""

    keep_seconds: int = Field(default=86400, ge=0, le=MAX_KEEP_SECONDS)
    """How long the present secret still signs beside the new one; 0 when it has leaked."""


@router.post(
    "",
    status_code=201,
    summary="Create a webhook",
    responses={
        201: examples.answer("The webhook, with its secret.", examples.WEBHOOK_WITH_SECRET),
        **described(
            UnauthenticatedError, ForbiddenError, 413, 415, 422, AddressError, LimitExceededError
        ),
    },
)
async def create_webhook(
    body: Annotated[
        WebhookBody,
        examples.body(
            {"url": "https://example.com/hook", "events": ["task.completed", "task.failed"]}
        ),
    ],
    caller: WebhookEditor,
    response: Response,
) -> words.WebhookWithSecret:
    """Have an address told of events from now on.

    The secret is shown now and never again. Each event comes as a POST of `{id, type, timestamp,
    data, sequence}`, signed by Standard Webhooks; answer with 2xx within five seconds.
    """
    response.headers.update(SHOWN_ONCE)
    row = await webhooks.create_webhook(caller, url=body.url, event_types=body.events)
    return words.webhook_with_secret(row)


@router.get(
    "",
    summary="List webhooks",
    responses={
        200: examples.answer("A page of webhooks.", examples.listed(examples.WEBHOOK, "webhooks")),
        **described(*_READING),
    },
)
async def list_webhooks(
    request: Request, caller: WebhookReader, take: Take = 20, start: From = None
) -> Listed[words.Webhook]:
    """List the webhooks, the newest first."""
    async with database().reading() as session:
        rows, links = await WEBHOOKS.page(session, caller, request, take, start)
    return Listed(data=[words.webhook_of(row) for row in rows], links=links)


@router.get(
    "/{webhook_id}",
    summary="Show a webhook",
    responses={
        200: examples.answer("The webhook.", examples.WEBHOOK),
        **described(*_READING),
    },
)
async def show_webhook(webhook_id: WebhookId, caller: WebhookReader) -> words.Webhook:
    """Show a webhook, without its secret."""
    async with database().reading() as session:
        return words.webhook_of(await webhooks.find_webhook(session, caller, webhook_id))


@router.patch(
    "/{webhook_id}",
    summary="Change a webhook",
    responses={
        200: examples.answer("The webhook.", examples.WEBHOOK),
        **described(*_CHANGING, AddressError),
    },
)
async def change_webhook(
    webhook_id: WebhookId,
    body: Annotated[WebhookChanges, examples.body({"events": ["*"], "enabled": True})],
    caller: WebhookEditor,
) -> words.Webhook:
    """Change address or events of a webhook, or switch it off and on.

    What waited when it was switched off is sent once it is on again, within 48 hours of its event.
    """
    row = await webhooks.change_webhook(
        caller, webhook_id, url=body.url, event_types=body.events, enabled=body.enabled
    )
    return words.webhook_of(row)


@router.delete(
    "/{webhook_id}",
    status_code=204,
    summary="Delete a webhook",
    responses={204: {"description": "It is gone."}, **described(*_READING)},
)
async def delete_webhook(webhook_id: WebhookId, caller: WebhookEditor) -> Response:
    """Tell an address nothing any more, and forget what it was told."""
    await webhooks.delete_webhook(caller, webhook_id)
    return Response(status_code=204)


@router.post(
    "/{webhook_id}/rotate-secret",
    summary="Rotate the secret of a webhook",
    responses={
        200: examples.answer("The webhook, with its new secret.", examples.WEBHOOK_WITH_SECRET),
        **described(*_CHANGING),
    },
)
async def rotate_secret(
    webhook_id: WebhookId,
    caller: WebhookEditor,
    response: Response,
    body: Annotated[RotateSecretBody | None, examples.body({"keep_seconds": 86400})] = None,
) -> words.WebhookWithSecret:
    """Give a webhook a new secret, shown now and never again.

    For `keep_seconds` what is sent carries two signatures, one by each secret.
    """
    response.headers.update(SHOWN_ONCE)
    keep = timedelta(seconds=(body or RotateSecretBody()).keep_seconds)
    row = await webhooks.rotate_secret(caller, webhook_id, keep=keep)
    return words.webhook_with_secret(row)


def _taken_in(what: str) -> dict[int | str, dict[str, Any]]:
    return {
        202: examples.answer(what, {**examples.DELIVERY, "attempts": 0, "last_attempt": None}),
        **described(*_CHANGING, ConflictError),
    }


@router.post(
    "/{webhook_id}/test",
    status_code=202,
    summary="Send a test event",
    responses=_taken_in("The delivery, on its way."),
)
async def send_test(webhook_id: WebhookId, caller: WebhookEditor) -> words.Delivery:
    """Send an event of the type `webhook.test` to this webhook alone."""
    return words.delivery_of(*await webhooks.send_test(caller, webhook_id))


@router.get(
    "/{webhook_id}/deliveries",
    summary="List what a webhook was told",
    responses={
        200: examples.answer(
            "A page of deliveries.",
            examples.listed(examples.DELIVERY, f"webhooks/{examples.WEBHOOK['id']}/deliveries"),
        ),
        **described(*_READING),
    },
)
async def list_deliveries(
    request: Request,
    webhook_id: WebhookId,
    caller: WebhookReader,
    take: Take = 20,
    start: From = None,
    status: Annotated[
        list[DeliveryOutcome] | None,
        Query(description="Only those in this state, or one of these."),
    ] = None,
) -> Listed[words.Delivery]:
    """List what a webhook was told or is to be told, the newest first, for 30 days."""
    async with database().reading() as session:
        webhook = await webhooks.find_webhook(session, caller, webhook_id)
        rows, links = await DELIVERIES.page(
            session,
            caller,
            request,
            take,
            start,
            col(Delivery.webhook_id) == webhook.id,
            col(Delivery.outcome).in_(status or list(DeliveryOutcome)),
        )
        events = await webhooks.events_of(session, rows)
    return Listed(
        data=[words.delivery_of(row, events[row.activity_number]) for row in rows], links=links
    )


@router.post(
    "/{webhook_id}/deliveries/{delivery_id}/resend",
    status_code=202,
    summary="Send a delivery again",
    responses=_taken_in("The delivery, on its way again."),
)
async def resend_delivery(
    webhook_id: WebhookId, delivery_id: DeliveryId, caller: WebhookEditor
) -> words.Delivery:
    """Send a delivery once more, whatever became of it: the same event under the same id."""
    return words.delivery_of(*await webhooks.resend(caller, webhook_id, delivery_id))
