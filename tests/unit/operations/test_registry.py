"""Operations: declared once; their files get to their place when all went well."""

from pathlib import Path

import pytest

from operations.registry import OPERATIONS, Blob, Params, Result, operation
from store.blobs import blobs
from store.errors import DamagedFileError, NotFoundError


class CopyParams(Params):
    """Nothing but whether it fails."""

    fails: bool = False
    """Whether it fails after it has written."""


class CopyResult(Result):
    """What was written."""

    file: str
    """Its name."""


@pytest.fixture
def copy():
    @operation(timeout_seconds=5, accepts=("pdf",))
    async def copy_for_test(source: Path, params: CopyParams, *, folder: Path) -> CopyResult:
        """Copy a file."""
        (folder / "copy").write_bytes(source.read_bytes())
        if params.fails:
            raise DamagedFileError
        return CopyResult(file="copy")

    yield copy_for_test
    del OPERATIONS["copy-for-test"]
    blobs.cache_clear()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_text("text")
    return path


async def test_it_writes_to_a_folder_of_this_machine(copy, source: Path, out: Path) -> None:
    assert await copy.fn(source, CopyParams(), folder=out) == CopyResult(file="copy")
    assert [path.name for path in out.iterdir()] == ["copy"]


async def test_when_it_fails_nothing_is_left(copy, source: Path, out: Path) -> None:
    with pytest.raises(DamagedFileError):
        await copy.fn(source, CopyParams(fails=True), folder=out)
    assert not out.exists()


async def test_it_reads_and_writes_blobs(
    copy, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAPERTRAY_STORAGE", (tmp_path / "blobs").as_uri())
    blobs.cache_clear()
    await blobs().write_file("files/one", source)
    await copy.fn(Blob("files/one"), CopyParams(), folder=Blob("tasks/1/copy/"))
    assert await blobs().read("tasks/1/copy/copy") == b"text"
    with pytest.raises(DamagedFileError):
        await copy.fn(Blob("files/one"), CopyParams(fails=True), folder=Blob("tasks/2/copy"))
    with pytest.raises(NotFoundError):
        await blobs().read("tasks/2/copy/copy")


async def test_without_a_place_its_files_are_not_kept(copy, source: Path) -> None:
    assert await copy.fn(source, CopyParams()) == CopyResult(file="copy")


def test_a_name_is_taken_once(copy) -> None:
    with pytest.raises(ValueError, match="copy-for-test is declared twice"):

        @operation(timeout_seconds=5)
        async def copy_for_test(source: Path, params: CopyParams, *, folder: Path) -> CopyResult:
            """Copy a file again."""
            return CopyResult(file="")
