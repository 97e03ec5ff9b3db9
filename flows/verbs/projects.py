"""Projects that are installed."""

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from flows.project_steps import step_named, validated
from flows.public_http import check_url
from store.access import Caller, visible
from store.activity import record
from store.database import database
from store.destinations import Destination
from store.errors import (
    AddressError,
    ConflictError,
    FileTooLargeError,
    InputError,
    LimitExceededError,
    UnsupportedFileError,
)
from store.finding import find_project
from store.ids import now
from store.models import File, Organization, Project, ProjectVersion
from store.project_file import ProjectFile, parse_project_file, refused


async def install_project(
    caller: Caller, source: str, *, must_be_new: bool = False
) -> tuple[Project, ProjectVersion]:
    """Make a project from a project file, or give an existing one a new version.

    Tasks under way keep the version they were made with. One that was deleted comes back.

    Args:
        caller: whose project it is.
        source: the project file.
        must_be_new: refuse when there is, or was, a project of that name.

    Raises:
        ProjectFileError: the file is not valid, or it exports to where this server does not.
        ConflictError: a team that the caller is not in has a project of that name, or anybody
            where it must be new.
    """
    content = parse_project_file(source)
    if content.export.to:
        async with database().reading() as session:
            organization = await session.get_one(Organization, caller.organization_id)
        try:
            Destination(content.export.to, organization.name)
        except AddressError as error:
            raise refused(source, ("export", "to"), error.message) from None
    for number, step in enumerate(content.steps):
        try:
            validated(step_named(step.use), step.params)
        except InputError as error:
            wrong: dict[str, str] = error.details.get("fields", {})
            told = ", ".join(f"{name}: {why}" for name, why in wrong.items())
            reason = f"{error.message} {told}".rstrip()
            raise refused(source, ("steps", number, "use"), reason) from None
    if content.report_hook:
        try:
            check_url(content.report_hook)
        except AddressError as error:
            raise refused(source, ("report_hook",), error.message) from None
    async with database().writing() as session:
        query = select(Project).where(
            col(Project.organization_id) == caller.organization_id,
            col(Project.name) == content.name,
        )
        project = (await session.execute(query.with_for_update())).scalar_one_or_none()
        if project is None:
            project = Project(organization_id=caller.organization_id, name=content.name)
            session.add(project)
            await session.flush()
        elif must_be_new:
            raise _taken(project)
        elif project.deleted_at is not None:
            project.deleted_at, project.team_id = None, None
        else:
            await _must_see(session, caller, project)
        if project.current_version_id is not None:
            current = await session.get_one(ProjectVersion, project.current_version_id)
            if current.source == source:
                return project, current
        version = await _add_version(session, project, source)
        project.current_version_id = version.id
        record(
            session,
            "project.installed",
            caller.actor,
            organization_id=caller.organization_id,
            subject=project.name,
            data={"version": version.number},
        )
    return project, version


async def version_with(session: AsyncSession, project: Project, source: str) -> ProjectVersion:
    """The version of a project that has this file; it is made where there is none.

    It is not in force by that: it is for the tasks that are made with it.

    Raises:
        ProjectFileError: the file is not valid.
    """
    parse_project_file(source)
    of_project = select(ProjectVersion).where(col(ProjectVersion.project_id) == project.id)
    same = of_project.where(col(ProjectVersion.source) == source).limit(1)
    if (found := (await session.execute(same)).scalar_one_or_none()) is not None:
        return found
    await session.refresh(project, with_for_update=True)  # its versions are counted
    version = await _add_version(session, project, source)
    await session.flush()
    return version


async def _add_version(session: AsyncSession, project: Project, source: str) -> ProjectVersion:
    last = select(func.max(col(ProjectVersion.number))).where(
        col(ProjectVersion.project_id) == project.id
    )
    number = ((await session.execute(last)).scalar_one() or 0) + 1
    version = ProjectVersion(project_id=project.id, number=number, source=source)
    session.add(version)
    return version


async def delete_project(caller: Caller, name: str) -> None:
    """Take a project away: no task is made of it any more, and those there are keep it.

    Raises:
        NotFoundError: there is none, or the caller may not see it.
    """
    async with database().writing() as session:
        project, _ = await find_project(session, caller, name)
        project.deleted_at = now()
        record(
            session,
            "project.deleted",
            caller.actor,
            organization_id=caller.organization_id,
            subject=project.name,
        )


def must_not_exceed(project: ProjectFile, file: File) -> None:
    """Refuse a file that is beyond the limits of the project, as far as that is known of it.

    Raises:
        FileTooLargeError: it has too many bytes.
        UnsupportedFileError: it is of a type that the project does not take.
        LimitExceededError: it has too many pages.
    """
    limits = project.limits
    if limits.max_file_size is not None and file.size_bytes > limits.max_file_size:
        raise FileTooLargeError(
            f"The file has {file.size_bytes} bytes, more than the {limits.max_file_size} that the"
            " project takes. Send a smaller one, or raise `max_file_size` in its `limits`.",
            size_bytes=file.size_bytes,
            limit_bytes=limits.max_file_size,
        )
    if limits.media_types and file.type not in limits.media_types:
        raise UnsupportedFileError(
            f"The project takes no files of the type {file.type}. Send one of"
            f" {', '.join(limits.media_types)}, or add to `file_types` in its `limits`.",
            detected=file.type,
            accepted=limits.media_types,
        )
    page_count = file.properties.get("page_count", 0)
    if limits.max_pages is not None and page_count > limits.max_pages:
        raise LimitExceededError(
            f"The file has {page_count} pages, more than the {limits.max_pages} that the project"
            " takes. Split it, or raise `max_pages` in its `limits`.",
            page_count=page_count,
            limit_pages=limits.max_pages,
        )


def must_take(project: ProjectFile, given: str) -> None:
    """Refuse what is not for the project.

    Raises:
        InputError: a file for one of data, or data for one of files.
    """
    taken = "data" if project.blocks else "file"
    if given != taken:
        right = {
            "data": "The project takes data and no file: send `data`, values by its blocks.",
            "file": "The project takes files and no data: send a `file`, or name one by `input`.",
        }
        raise InputError(right[taken], project=project.name)


async def _must_see(session: AsyncSession, caller: Caller, project: Project) -> None:
    query = visible(Project, caller).where(col(Project.id) == project.id)
    if (await session.execute(query)).first() is None:
        raise _taken(project)


def _taken(project: Project) -> ConflictError:
    return ConflictError("There is a project of that name. Take another.", project=project.name)
