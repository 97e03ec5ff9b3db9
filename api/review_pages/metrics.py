"""The metrics page: what went through the queues, how fast and how right, as plots."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final, TypeVar

from fastapi import APIRouter, Request, Response

from api.review_pages.page_route import PageRoute
from api.review_pages.rendering import render
from api.review_pages.sessions import SignedIn
from api.review_pages.words import length, spoken
from flows.metrics import (
    DayMetrics,
    FieldMetrics,
    PersonMetrics,
    QueueMetrics,
    day_metrics,
    field_metrics,
    person_metrics,
    queue_metrics,
)
from store.access import visible
from store.database import database
from store.errors import InputError
from store.finding import find_project
from store.ids import now
from store.models import Project

router = APIRouter(route_class=PageRoute)

RANGES: Final = {
    "24h": ("24 hours", timedelta(days=1)),
    "7d": ("7 days", timedelta(days=7)),
    "30d": ("30 days", timedelta(days=30)),
    "90d": ("90 days", timedelta(days=90)),
}
"""How far back: in the address, as people read it, and as it is."""

DEFAULT_RANGE: Final = "7d"
WIDTH: Final = 100
"""Of a bar that is as long as can be, in units of its drawing."""

HEIGHT: Final = 100
DAYS_WIDTH: Final = 300
_GAP: Final = 0.2
"""Between two days, in the place that a day has."""

MOST_BARS: Final = 30
"""More rows than this are no plot any more; the rest is in `/v1/metrics`."""

Measured = TypeVar("Measured")


@dataclass(frozen=True)
class Bar:
    """A row of a plot."""

    label: str
    length: float
    """0..WIDTH."""
    text: str
    is_known: bool
    """Whether there is anything to show."""


@dataclass(frozen=True)
class Plot:
    """Bars that can be compared."""

    title: str
    hint: str
    bars: Sequence[Bar]


@dataclass(frozen=True)
class Column:
    """A day of the plot of days; lengths are 0..HEIGHT."""

    day: date
    left: float
    width: float
    by_hand: float
    alone: float
    text: str
    ended: int
    straight_through: int
    turnaround: str


def _percent(share: float) -> str:
    return f"{share:.0%}".replace("%", " %")


def _time(seconds: float) -> str:
    return length(timedelta(seconds=seconds))


def _count(number: float) -> str:
    return f"{number:,.0f}"


def _waited(since: datetime | None) -> float | None:
    return None if since is None else max(0.0, (now() - since).total_seconds())


@dataclass(frozen=True)
class _Measure:
    """Something that is measured of each project, person or field."""

    title: str
    hint: str
    of: Callable[[Any], float | None]
    written: Callable[[float], str]
    most: float | None = None
    """The value of the longest bar there can be; None: that of the longest there is."""


_PER_PROJECT: Final = (
    _Measure("Waiting", "tasks that wait for a person now", lambda m: m.waiting, _count),
    _Measure("Oldest", "how long it has waited", lambda m: _waited(m.waiting_since), _time),
    _Measure("Done", "tasks that were completed", lambda m: m.completed, _count),
    _Measure(
        "Straight through",
        "of the completed, those nobody had to decide",
        lambda m: m.straight_through,
        _percent,
        1,
    ),
    _Measure(
        "Handling time", "people held a task, on average", lambda m: m.handling_seconds, _time
    ),
    _Measure(
        "Turnaround", "from arrival to end, on average", lambda m: m.turnaround_seconds, _time
    ),
    _Measure(
        "Accuracy", "of the audited decisions, the right ones", lambda m: m.accuracy, _percent, 1
    ),
)
_PER_PERSON: Final = (
    _Measure("Decided", "tasks", lambda m: m.decided, _count),
    _Measure("Handling time", "held a task, on average", lambda m: m.handling_seconds, _time),
    _Measure(
        "Accuracy", "of the audited decisions, the right ones", lambda m: m.accuracy, _percent, 1
    ),
)
_PER_FIELD: Final = (
    _Measure(
        "Accuracy",
        "of the audited tasks, those with the right value",
        lambda m: m.accuracy,
        _percent,
        1,
    ),
)


@router.get("/review/metrics")
async def show_metrics(request: Request, visitor: SignedIn) -> Response:
    """What went through the queues that the visitor sees."""
    visitor.caller.require("task.read")
    range_ = request.query_params.get("range") or DEFAULT_RANGE
    if range_ not in RANGES:
        raise InputError("There is no such range.", range=range_)
    name = request.query_params.get("project", "")
    caller, until = visitor.caller, now()
    since = until - RANGES[range_][1]
    async with database().reading() as session:
        project_id = (await find_project(session, caller, name))[0].id if name else None
        projects = (await session.execute(visible(Project, caller))).scalars().all()
    queues = await queue_metrics(caller, since, project_id)
    people = await person_metrics(caller, since, project_id)
    fields = await field_metrics(caller, since, project_id)
    several = len({one.project for one in fields}) > 1
    return render(
        request,
        "metrics.html",
        ranges=RANGES,
        range=range_,
        project=name,
        projects=sorted(one.name for one in projects),
        tiles=_tiles(queues),
        columns=_columns(day_metrics(queues), since, until),
        by_project=_plots(_PER_PROJECT, queues, _name_of_project),
        by_person=_plots(_PER_PERSON, people, _name_of_person),
        by_field=_plots(_PER_FIELD, fields, lambda one: _name_of_field(one, with_project=several)),
        audited=sum(one.audited for one in queues),
        width=WIDTH,
        height=HEIGHT,
        days_width=DAYS_WIDTH,
    )


def _name_of_project(one: QueueMetrics) -> str:
    return one.project.name


def _name_of_person(one: PersonMetrics) -> str:
    return one.actor


def _name_of_field(one: FieldMetrics, *, with_project: bool) -> str:
    return f"{one.project}: {spoken(one.field)}" if with_project else spoken(one.field)


def _tiles(queues: Sequence[QueueMetrics]) -> Sequence[tuple[str, str]]:
    """The figures of all projects together: what they are, and what they say."""
    completed = sum(one.completed for one in queues)
    alone = sum((one.straight_through or 0) * one.completed for one in queues)
    oldest = min((one.waiting_since for one in queues if one.waiting_since), default=None)
    audited = sum(one.audited for one in queues)
    right = sum((one.accuracy or 0) * one.audited for one in queues)
    waited = _waited(oldest)
    return [
        ("Waiting now", _count(sum(one.waiting for one in queues))),
        ("Oldest of them", _time(waited) if waited is not None else "none"),
        ("Done", _count(completed)),
        ("Straight through", _percent(alone / completed) if completed else "none done"),
        ("Accuracy", _percent(right / audited) if audited else "not audited"),
    ]


def _plots(
    measures: Sequence[_Measure],
    rows: Sequence[Measured],
    name: Callable[[Measured], str],
) -> Sequence[Plot]:
    rows = rows[:MOST_BARS]
    plots: list[Plot] = []
    for measure in measures:
        values = [measure.of(row) for row in rows]
        most = measure.most or max((value for value in values if value), default=1)
        bars = [
            Bar(
                label=name(row),
                length=round(WIDTH * (value or 0) / most, 2),
                text="none" if value is None else measure.written(value),
                is_known=value is not None,
            )
            for row, value in zip(rows, values, strict=True)
        ]
        plots.append(Plot(measure.title, measure.hint, bars))
    return plots


def _columns(days: Sequence[DayMetrics], since: datetime, until: datetime) -> Sequence[Column]:
    """A column for each day of the range, those without a task too."""
    by_day = {one.day: one for one in days}
    count = (until.date() - since.date()).days + 1
    step = DAYS_WIDTH / (count - _GAP)  # the last column ends where the axis does
    most = max((one.ended for one in days), default=1)
    columns: list[Column] = []
    for index in range(count):
        day = since.date() + timedelta(days=index)
        found = by_day.get(day, DayMetrics(day, 0, 0, 0.0))
        turnaround = _time(found.turnaround_seconds) if found.ended else "none"
        alone = HEIGHT * found.straight_through / most
        columns.append(
            Column(
                day=day,
                left=round(index * step, 2),
                width=round((1 - _GAP) * step, 2),
                by_hand=round(HEIGHT * found.ended / most - alone, 2),
                alone=round(alone, 2),
                text=f"{day:%a %d %b}: {found.ended} ended, {found.straight_through} of them"
                f" straight through; turnaround {turnaround}",
                ended=found.ended,
                straight_through=found.straight_through,
                turnaround=turnaround,
            )
        )
    return columns
