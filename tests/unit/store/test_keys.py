import hashlib
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text, update
from sqlmodel import col

from store import keys
from store.access import SCOPES
from store.database import Database
from store.errors import InputError, NotFoundError, UnauthenticatedError
from store.ids import now
from store.keys import caller_of_key, create_key, find_key, note_use, revoke_key
from store.models import ApiKey


@pytest.fixture(autouse=True)
async def this_store(opened: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("store.keys.database", "store.organizations.database"):
        monkeypatch.setattr(name, lambda: opened)
    monkeypatch.setattr(keys, "_noted", {})


async def test_a_new_key_opens_its_organization_with_its_scopes_and_no_others():
    made = await create_key(["task.read", "file.read"], organization="acme")
    caller = await caller_of_key(await find_key(made.key), "v1")
    assert caller.organization_id == made.organization_id
    assert caller.scopes == {"file.read", "task.read"} == set(made.scopes)
    assert (caller.actor.name, caller.actor.surface) == (f"key:{made.key[:12]}", "v1")


async def test_a_key_of_a_person_signs_with_the_e_mail():
    made = await create_key(["admin"], user="ada@example.com")
    caller = await caller_of_key(await find_key(made.key), "pages")
    assert caller.actor.name == "ada@example.com"


async def test_a_key_has_256_random_bits_and_only_its_hash_is_kept(
    opened: Database, tmp_path: Path
):
    made = await create_key(["admin"])
    other = await create_key(["admin"])
    assert made.key != other.key
    assert made.key.startswith("ptk_")
    assert len(made.key) == len("ptk_") + 43
    row = await find_key(made.key)
    assert row.sha256 == hashlib.sha256(made.key.encode()).hexdigest()
    assert made.organization_id == other.organization_id
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
    with pytest.raises(NotFoundError):
        await revoke_key(other.organization_id, made.id)
    assert await find_key(made.key)
    await revoke_key(made.organization_id, made.id)
    revoked_at = await _revoked_at(made.key)
    await revoke_key(made.organization_id, made.id)
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
    await note_use(await find_key(made.key))
    first = (await find_key(made.key)).last_used_at
    assert first is not None
    await note_use(await find_key(made.key))
    assert (await find_key(made.key)).last_used_at == first
    keys._noted.clear()
    before = first - timedelta(seconds=61)
    async with opened.writing() as session:
        await session.execute(
            update(ApiKey).where(col(ApiKey.id) == made.id).values(last_used_at=before)
        )
    await note_use(await find_key(made.key))
    again = (await find_key(made.key)).last_used_at
    assert again is not None
    assert again > before


@pytest.mark.parametrize("scopes", [[], ["task.read", "everything"]])
async def test_a_key_needs_scopes_that_are_there(scopes: list[str]):
    with pytest.raises(InputError) as raised:
        await create_key(scopes)
    assert SCOPES[0] in raised.value.message
