"""Where projects may put files, and that what is seen there is whole."""

from pathlib import Path

import fsspec
import pytest
from fsspec.registry import known_implementations

from store.destinations import Destination
from store.errors import AddressError, ExportFailedError
from tests.conftest import forget_process_state

PART = ".papertray-x.part"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(b"whole")
    return path


def allow(monkeypatch: pytest.MonkeyPatch, *urls: str) -> None:
    monkeypatch.setenv("PAPERTRAY_EXPORT_URLS", ",".join(urls))
    forget_process_state()


async def test_a_folder_is_below_the_home_where_nothing_is_set(home: Path, source: Path) -> None:
    place = Destination("invoices/paid", "acme")
    assert not place.has("a.pdf")
    place.put(source, "a.pdf", PART)
    assert (home / "exports/acme/invoices/paid/a.pdf").read_bytes() == b"whole"
    assert place.has("a.pdf")
    assert [path.name for path in (home / "exports/acme/invoices/paid").iterdir()] == ["a.pdf"]


async def test_each_organization_has_folders_of_its_own(
    home: Path, source: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    Destination("invoices", "globex / 2").put(source, "a.pdf", PART)
    assert (home / "exports/globex - 2/invoices/a.pdf").is_file()
    with pytest.raises(AddressError):
        Destination(f"{home}/exports/acme", "globex")
    allow(monkeypatch, f"{tmp_path}/for-{{organization}}/out", "s3://all")
    Destination("invoices", "acme").put(source, "a.pdf", PART)
    assert (tmp_path / "for-acme/out/invoices/a.pdf").is_file()
    assert Destination("s3://all/acme", "acme").location("a") == "s3://all/acme/a"


async def test_what_is_there_is_replaced(home: Path, source: Path) -> None:
    place = Destination("invoices", "acme")
    place.put(source, "a.pdf", PART)
    source.write_bytes(b"corrected")
    place.put(source, "a.pdf", PART)
    assert (home / "exports/acme/invoices/a.pdf").read_bytes() == b"corrected"


@pytest.mark.parametrize(
    "to",
    [
        "/etc",
        "file:///etc",
        "file:///srv/outside",
        "file:///srv/out/../etc",
        "local:///etc",
        "FILE:///etc",
        "..",
        "a/../../b",
        "a//b",
        "./a",
        "s3://other/x",
        "s3://bucket-2/x",
        "s3://bucket/../other",
        "simplecache::file:///etc",
        "file:///srv/out::s3://bucket",
        "http://169.254.169.254/latest",
        "s3://key:secret@bucket/x",
        "a\\b",
        "a?b",
        "a%2e%2e/b",
        "a\nb",
        "memory://x",
        "file://srv/out",
    ],
)
async def test_no_other_place_is_allowed(
    home: Path, monkeypatch: pytest.MonkeyPatch, to: str
) -> None:
    allow(monkeypatch, "/srv/out", "s3://bucket")
    with pytest.raises(AddressError):
        Destination(to, "acme")


@pytest.mark.parametrize(
    ("to", "location"),
    [
        ("in", "file:///srv/out/in/a.pdf"),
        ("/srv/out", "file:///srv/out/a.pdf"),
        ("file:///srv/out/In", "file:///srv/out/in/a.pdf"),
        ("local:///srv/out/in/", "file:///srv/out/in/a.pdf"),
        ("s3://bucket/x", "s3://bucket/x/a.pdf"),
        ("ftp://user:secret@host/x", "ftp://host/x/a.pdf"),
    ],
)
async def test_one_place_has_one_spelling_and_no_password(
    home: Path, monkeypatch: pytest.MonkeyPatch, to: str, location: str
) -> None:
    allow(monkeypatch, "file:///srv/out/", "s3://bucket", "ftp://user:secret@host")
    assert Destination(to, "acme").location("A.pdf") == location


async def test_a_bucket_takes_files(
    home: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    allow(monkeypatch, "memory://bucket")
    place = Destination("memory://bucket/paid", "acme")
    assert not place.has("a.pdf")
    place.put(source, "a.pdf", PART)
    assert place.has("a.pdf")
    assert fsspec.filesystem("memory").cat_file("/bucket/paid/a.pdf") == b"whole"


async def test_a_link_leads_to_no_other_place(home: Path, source: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (home / "exports/acme").mkdir(parents=True)
    (home / "exports/acme/link").symlink_to(outside)
    with pytest.raises(ExportFailedError, match="by a link"):
        Destination("link", "acme").put(source, "a.pdf", PART)
    assert not list(outside.iterdir())


async def test_a_drive_that_is_not_mounted_is_not_made(
    home: Path, source: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    allow(monkeypatch, str(tmp_path / "mnt/share"))
    with pytest.raises(ExportFailedError, match="Mount or make it"):
        Destination("invoices", "acme").put(source, "a.pdf", PART)
    assert not (tmp_path / "mnt").exists()


async def test_what_goes_wrong_is_told_without_the_name_of_the_file(
    home: Path, source: Path
) -> None:
    place = Destination("invoices", "acme")
    (home / "exports/acme/invoices/Anna Muster.pdf").mkdir(parents=True)
    with pytest.raises(ExportFailedError) as caught:
        place.put(source, "Anna Muster.pdf", PART)
    assert caught.value.retryable
    assert "Is a directory" in caught.value.message
    assert "Anna" not in repr(caught.value.as_result())
    assert caught.value.__suppress_context__
    assert not (home / "exports/acme/invoices" / PART).exists()


async def test_a_file_system_that_is_not_there_is_told_of(
    home: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    allow(monkeypatch, "nonsense://x", "lost://x")
    with pytest.raises(ExportFailedError, match="does not take them: ValueError"):
        Destination("nonsense://x/y", "acme").put(source, "a.pdf", PART)
    register = {"class": "not_installed.FileSystem", "err": "Install lostfs to access it"}
    monkeypatch.setitem(known_implementations, "lost", register)
    with pytest.raises(ExportFailedError, match="Install lostfs"):
        Destination("lost://x/y", "acme").put(source, "a.pdf", PART)


async def test_on_a_server_of_files_one_is_renamed_when_it_is_whole(
    home: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = fsspec.filesystem("memory", skip_instance_cache=True)
    put_file = server.put_file
    seen: list[list[str]] = []

    def watched(*paths: str) -> None:
        put_file(*paths)
        seen.append(server.find("/out"))

    monkeypatch.setattr(server, "put_file", watched)

    def found(url: str) -> tuple[object, str]:
        return server, url.removeprefix("sftp://host")

    monkeypatch.setattr(fsspec, "url_to_fs", found)
    allow(monkeypatch, "sftp://host")
    for content in (b"first", b"second"):
        source.write_bytes(content)
        Destination("sftp://host/out", "acme").put(source, "a.pdf", PART)
    assert seen == [[f"/out/{PART}"], [f"/out/{PART}", "/out/a.pdf"]]
    assert server.find("/out") == ["/out/a.pdf"]
    assert server.cat_file("/out/a.pdf") == b"second"
