"""How much went through each queue, how long it took, and how right it was."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from store.access import Caller, visible
from store.database import database
from store.decision_metrics import decisions_since, faults_since
from store.finding import projects_of
from store.ids import now
from store.models import ALL_FIELDS, Project
from store.project_file import parse_project_file
from store.project_metrics import Sums, sums_since
from store.project_tasks import Waiting, lists_of, waiting_in


@dataclass(frozen=True)
class QueueMetrics:
    """A project in a span of time."""

    project: Project
    created: int
    """Tasks that were made."""
    completed: int
    """Tasks that ended well, whether or not a person decided."""
    decided: int
    """Tasks that ended, and on which a person had decided."""
    ended_otherwise: int
    """Discarded, filtered, failed, timed out, canceled."""
    waiting: int
    """Tasks that wait for a person now, whenever they were made."""
    waiting_since: datetime | None
    """Since when the one of them waits that waits longest; None: there are none."""
    straight_through: float | None
    """0..1: of those that were completed, how many nobody had to decide; None: none were."""
    handling_seconds: float | None
    """Mean time that people held those on which they decided; None: there were none."""
    turnaround_seconds: float | None
    """Mean time from when a task was made to its end; None: none ended."""
    audited: int
    """Of those that ended, how many were judged."""
    accuracy: float | None
    """0..1: of those, how many were decided right; None: none were judged."""
    by_day: Mapping[date, Sums]
    """Those that ended, by the day in UTC."""


async def queue_metrics(
    caller: Caller, since: datetime, project_id: UUID | None = None
) -> Sequence[QueueMetrics]:
    """The metrics of the projects that the caller sees, by name.

    Args:
        caller: who asks; private tasks of others do not count.
        since: tasks made, or ended, from then until now.
        project_id: only of this project.
    """
    starts = _days_since(since)
    async with database().reading() as session:
        projects = await _projects(session, caller, project_id)
        lists = await lists_of(session, caller, projects)
        created = await sums_since(session, caller, projects, lists, "created", [since])
        ended = await sums_since(session, caller, projects, lists, "ended", starts)
        waiting = await waiting_in(session, projects, lists)
    found: list[QueueMetrics] = []
    for project in projects:
        by_day = {
            start.astimezone(UTC).date(): ended[project.id, index]
            for index, start in enumerate(starts)
            if (project.id, index) in ended
        }
        done = Sums()
        for sums in by_day.values():
            done.add(sums)
        wait = waiting.get(project.id, Waiting())
        found.append(
            QueueMetrics(
                project,
                created=created.get((project.id, 0), Sums()).tasks,
                completed=done.completed,
                decided=done.decided,
                ended_otherwise=done.tasks - done.completed,
                waiting=wait.count,
                waiting_since=wait.since,
                straight_through=done.straight_through,
                handling_seconds=done.mean_handling_seconds,
                turnaround_seconds=done.mean_turnaround_seconds,
                audited=done.audited,
                accuracy=done.accuracy,
                by_day=by_day,
            )
        )
    return found


def _days_since(since: datetime) -> Sequence[datetime]:
    """A time, and each midnight since, in UTC."""
    day = since.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return [since, *(day + timedelta(days=n) for n in range(1, (now() - day).days + 1))]


@dataclass(frozen=True)
class DayMetrics:
    """What happened on one day, in UTC."""

    day: date
    ended: int
    """Tasks that ended."""
    straight_through: int
    """Of those, the completed ones that nobody had to decide."""
    turnaround_seconds: float
    """Mean time from when they were made to their end."""


def day_metrics(queues: Iterable[QueueMetrics]) -> Sequence[DayMetrics]:
    """The days on which tasks of some projects ended, in order."""
    days: defaultdict[date, Sums] = defaultdict(Sums)
    for queue in queues:
        for day, sums in queue.by_day.items():
            days[day].add(sums)
    return [
        DayMetrics(day, one.tasks, one.untouched, one.mean_turnaround_seconds or 0.0)
        for day, one in sorted(days.items())
        if one.tasks
    ]


@dataclass(frozen=True)
class PersonMetrics:
    """Somebody who decides, in a span of time."""

    actor: str
    decided: int
    """Tasks that were settled, and on which this was the last to decide."""
    handling_seconds: float | None
    """Mean time that people held those."""
    audited: int
    """Of those, how many were judged."""
    accuracy: float | None
    """0..1: of these, how many were decided right; None: none were judged."""


async def person_metrics(
    caller: Caller, since: datetime, project_id: UUID | None = None
) -> Sequence[PersonMetrics]:
    """The metrics of all who decided, who decided most first.

    Args:
        caller: who asks; private tasks of others do not count.
        since: tasks that were settled, or ended, from then until now.
        project_id: only of this project.
    """
    async with database().reading() as session:
        projects = await _projects(session, caller, project_id)
        lists = await lists_of(session, caller, projects)
        found = await decisions_since(session, projects, lists, since)
    people = [
        PersonMetrics(name, one.counted, one.mean_handling_seconds, one.audited, one.accuracy)
        for name, one in found.items()
    ]
    return sorted(people, key=lambda one: (-one.decided, one.actor))


@dataclass(frozen=True)
class FieldMetrics:
    """A field of a project, in a span of time."""

    project: str
    field: str
    audited: int
    """Decided tasks of which it is known whether the field was right."""
    accuracy: float
    """0..1: of these, how many had it right."""


async def field_metrics(
    caller: Caller, since: datetime, project_id: UUID | None = None
) -> Sequence[FieldMetrics]:
    """How right the fields were that audits looked at, the worst first; arguments as above."""
    async with database().reading() as session:
        asked = await _projects(session, caller, project_id)
        lists = await lists_of(session, caller, asked)
        faults = await faults_since(session, asked, lists, since)
        projects = await projects_of(session, caller) if faults else []
    found: list[FieldMetrics] = []
    for project, version in projects:
        wrong = faults.get(project.id, Counter[str]())
        if (audited := wrong.pop(ALL_FIELDS, 0)) == 0:
            continue
        file = parse_project_file(version.source)
        named = [part.name for kind in file.types for part in kind.fields]
        named += [block.name for block in file.blocks if not block.read_only]
        # What an older version of the project had is told, too, where it was wrong.
        named += [name for name in wrong if wrong[name]]
        for name in dict.fromkeys(named):
            accuracy = 1 - wrong[name] / audited
            found.append(FieldMetrics(project.name, name, audited, accuracy))
    return sorted(found, key=lambda one: one.accuracy)


async def _projects(
    session: AsyncSession, caller: Caller, project_id: UUID | None
) -> Sequence[Project]:
    """Those that the caller sees, by name, or the one."""
    query = visible(Project, caller).order_by(col(Project.name))
    if project_id is not None:
        query = query.where(col(Project.id) == project_id)
    return (await session.execute(query)).scalars().all()
