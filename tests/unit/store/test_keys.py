import hashlib
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text, update
from sqlmodel import col

from store import keys
from store.access import SCOPES
from store.database import Database
from store.errors import ForbiddenError, InputError, NotFoundError, UnauthenticatedError
from store.ids import now
from store.keys import (
    ACCESS_TOKEN_LIFETIME,
    caller_of_key,
    create_key,
    find_key,
    find_key_of_token,
    issue_token,
    note_use,
)
from store.models import AccessToken, ApiKey
from store.people import (
    create_team,
    create_user,
    delete_team,
    delete_user,
    issue_key,
    put_into_team,
    revoke_key,
    take_out_of_team,
)


@pytest.fixture(autouse=True)
async def this_store(opened: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("store.keys.database", "store.organizations.database", "store.people.database"):
        monkeypatch.setattr(name, lambda: opened)
    monkeypatch.setattr(keys, "_noted", {})


async def test_a_new_key_opens_its_organization_with_its_scopes_and_no_others():
    made = await create_key(["task.read", "file.read"], organization="acme")
    caller = (await find_key(made.key)).caller("v1")
    assert caller.organization_id == made.row.organization_id
    assert caller.scopes == {"file.read", "task.read"} == set(made.row.scopes)
    assert (caller.actor.name, caller.actor.surface) == (f"key:{made.key[:12]}", "v1")


async def test_a_key_of_a_person_signs_with_the_e_mail():
    for spelled in ("ada@example.com", "Ada@Example.com"):
        made = await create_key(["admin"], user=spelled)
        caller = (await find_key(made.key)).caller("pages")
        assert caller.actor.name == "ada@example.com"


async def test_a_key_has_256_random_bits_and_only_its_hash_is_kept(
    opened: Database, tmp_path: Path
):
    made = await create_key(["admin"])
    other = await create_key(["admin"])
    assert made.key != other.key
    assert made.key.startswith("ptk_")
    assert len(made.key) == len("ptk_") + 43
    row = (await find_key(made.key)).row
    assert row.sha256 == hashlib.sha256(made.key.encode()).hexdigest()
    assert made.row.organization_id == other.row.organization_id
    async with opened.writing() as session:
        await session.execute(text("SELECT 1"))
    for file in tmp_path.glob("papertray.db*"):
        assert made.key[13:].encode() not in file.read_bytes()


@pytest.mark.parametrize("wrong", ["", "ptk_", "ptk_" + "a" * 43, "\udcff", "ä"])
async def test_a_wrong_key_opens_nothing(wrong: str):
    await create_key(["admin"])
    with pytest.raises(UnauthenticatedError):
        await find_key(wrong)


async def test_a_key_ends_when_it_expires():
    key = await create_key(["admin"], expires_at=now() + timedelta(hours=1))
    assert await find_key(key.key)
    expired = await create_key(["admin"], expires_at=now() - timedelta(seconds=1))
    with pytest.raises(UnauthenticatedError):
        await find_key(expired.key)


async def test_a_key_ends_when_it_is_revoked_by_its_own_organization():
    made, other = await create_key(["admin"]), await create_key(["admin"], organization="globex")
    ours = await caller_of_key(made.row, "tests")
    theirs = await caller_of_key(other.row, "tests")
    with pytest.raises(NotFoundError):
        await revoke_key(theirs, str(made.row.id))
    assert await find_key(made.key)
    await revoke_key(ours, str(made.row.id))
    revoked_at = await _revoked_at(made.key)
    await revoke_key(ours, str(made.row.id))
    assert await _revoked_at(made.key) == revoked_at
    with pytest.raises(UnauthenticatedError):
        await find_key(made.key)


async def _revoked_at(key: str) -> object:
    async with keys.database().reading() as session:
        query = text("SELECT revoked_at FROM apikey WHERE sha256 = :digest")
        digest = hashlib.sha256(key.encode()).hexdigest()
        return (await session.execute(query, {"digest": digest})).scalar_one()


async def test_use_is_written_down_at_most_once_a_minute(opened: Database):
    made = await create_key(["admin"])
    await note_use((await find_key(made.key)).row)
    first = (await find_key(made.key)).row.last_used_at
    assert first is not None
    await note_use((await find_key(made.key)).row)
    assert (await find_key(made.key)).row.last_used_at == first
    keys._noted.clear()
    before = first - timedelta(seconds=61)
    async with opened.writing() as session:
        await session.execute(
            update(ApiKey).where(col(ApiKey.id) == made.row.id).values(last_used_at=before)
        )
    await note_use((await find_key(made.key)).row)
    again = (await find_key(made.key)).row.last_used_at
    assert again is not None
    assert again > before


@pytest.mark.parametrize("scopes", [[], ["task.read", "everything"]])
async def test_a_key_needs_scopes_that_are_there(scopes: list[str]):
    with pytest.raises(InputError) as raised:
        await create_key(scopes)
    assert SCOPES[0] in raised.value.message


async def test_an_oauth_client_gets_a_token_for_its_secret_and_for_nothing_else():
    made = await create_key(["task.read"], is_client=True)
    client_id, secret = str(made.row.id), made.client_secret
    assert secret
    given = await issue_token(client_id, secret)
    assert given.expires_in_seconds == 86400
    assert (await find_key_of_token(given.token)).row.id == made.row.id
    for wrong in ((client_id, made.key), (client_id, ""), ("4711", secret), (str(uuid4()), secret)):
        with pytest.raises(UnauthenticatedError):
            await issue_token(*wrong)
    no_client = await create_key(["task.read"])
    with pytest.raises(UnauthenticatedError):
        await issue_token(str(no_client.row.id), "")
    with pytest.raises(UnauthenticatedError):
        await find_key(given.token)


async def test_a_token_ends_with_its_time_and_with_its_key(opened: Database):
    made = await create_key(["admin"], is_client=True)
    token = (await issue_token(str(made.row.id), made.client_secret or "")).token
    async with opened.writing() as session:
        before = now() - ACCESS_TOKEN_LIFETIME
        await session.execute(update(AccessToken).values(expires_at=before))
    with pytest.raises(UnauthenticatedError):
        await find_key_of_token(token)
    other = (await issue_token(str(made.row.id), made.client_secret or "")).token
    await revoke_key(await caller_of_key(made.row, "tests"), str(made.row.id))
    with pytest.raises(UnauthenticatedError):
        await find_key_of_token(other)
    with pytest.raises(UnauthenticatedError):
        await issue_token(str(made.row.id), made.client_secret or "")


async def test_a_caller_has_the_teams_of_its_person_and_of_its_key():
    alone = await caller_of_key((await create_key(["admin"])).row, "tests")
    assert (alone.user_id, alone.team_ids) == (None, frozenset())
    assert alone.owner_id == alone.key_id
    of_team = await create_key(["task.read"], team="claims")
    assert (await caller_of_key(of_team.row, "tests")).team_ids == {of_team.row.team_id}
    await create_team(alone, "returns")
    await create_user(alone, "ada@example.com")
    returns = await put_into_team(alone, "returns", "ada@example.com")
    both = await create_key(["task.read"], team="claims", user="ada@example.com")
    ada = await caller_of_key(both.row, "tests")
    assert ada.team_ids == {of_team.row.team_id, returns.team_id}
    assert ada.owner_id == ada.user_id == returns.user_id
    await take_out_of_team(alone, "returns", "ada@example.com")
    assert (await caller_of_key(both.row, "tests")).team_ids == {of_team.row.team_id}


async def test_a_key_for_tests_shows_that_it_is_one():
    made = await create_key(["admin"], is_test=True)
    assert made.key.startswith("ptk_test_")
    assert (await find_key(made.key)).caller("tests").is_test


async def test_who_is_no_admin_administers_nobody():
    admin = await caller_of_key((await create_key(["admin"])).row, "tests")
    await create_user(admin, "ada@example.com")
    other = await create_key(sorted(set(SCOPES) - {"admin"}), user="ada@example.com")
    ada = await caller_of_key(other.row, "tests")
    team = await create_team(admin, "claims")
    for attempt in (
        create_user(ada, "eve@example.com"),
        create_team(ada, "mine"),
        put_into_team(ada, "claims", "ada@example.com"),
        issue_key(ada, ["admin"]),
        delete_user(ada, "ada@example.com"),
        delete_team(ada, "claims"),
    ):
        with pytest.raises(ForbiddenError):
            await attempt
    await put_into_team(admin, "claims", "ada@example.com", is_admin=True)
    await create_user(admin, "eve@example.com")
    assert (await put_into_team(ada, "claims", "eve@example.com")).team_id == team.id
    await revoke_key(ada, str(other.row.id))  # one's own


async def test_a_person_goes_with_all_their_keys():
    admin = await caller_of_key((await create_key(["admin"])).row, "tests")
    made = await create_key(["task.read"], user="ada@example.com")
    await delete_user(admin, "ada@example.com")
    with pytest.raises(UnauthenticatedError):
        await find_key(made.key)
