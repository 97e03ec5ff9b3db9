"""A PDF that is cut into its pages."""

from importlib import import_module
from pathlib import Path

import pikepdf
import pytest

from operations import split
from operations.registry import progress_to
from operations.split import SplitParams
from tests import pdfs


async def test_each_page_gets_a_file_with_its_bookmarks_and_label(
    tmp_path: Path, out: Path
) -> None:
    source = pdfs.book(tmp_path / "book.pdf", 5)
    result = await split.fn(source, SplitParams(), folder=out)
    assert result.files == [f"page-000{number}.pdf" for number in range(1, 6)]
    assert result.page_count == 5
    for n, name in enumerate(result.files):
        assert pdfs.texts(out / name) == [pdfs.texts(source)[n]]
        assert pdfs.sizes(out / name) == [pdfs.sizes(source)[n]]
        assert pdfs.labels(out / name) == [pdfs.labels(source)[n]]
        assert (1, f"Page {n + 1}", 1) in pdfs.bookmarks(out / name)
        assert pdfs.links(out / name) == [[]]


async def test_each_page_keeps_its_fields_alone(tmp_path: Path, out: Path) -> None:
    await split.fn(pdfs.form(tmp_path / "form.pdf", ["Ada", "Bo"]), SplitParams(), folder=out)
    assert pdfs.fields(out / "page-0001.pdf") == {"all": ("x", [1]), "person-1": ("Ada", [1])}
    assert pdfs.fields(out / "page-0002.pdf") == {"all": ("x", [1]), "person-2": ("Bo", [1])}


async def test_images_are_not_encoded_anew(samples: Path, out: Path) -> None:
    await split.fn(samples / "linn.pdf", SplitParams(), folder=out)
    with (
        pikepdf.open(samples / "linn.pdf") as before,
        pikepdf.open(out / "page-0001.pdf") as after,
    ):
        streams = [
            [image.read_raw_bytes() for image in pdf.pages[0].get_images().values()]
            for pdf in (before, after)
        ]
    assert streams[0]
    assert streams[0] == streams[1]


async def test_more_pages_than_one_child_takes_are_all_there(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_module("operations.split"), "_PAGES_AT_ONCE", 4)
    source = pdfs.book(tmp_path / "book.pdf", 11)
    told: list[tuple[int, int]] = []

    async def tell(current: int, total: int) -> None:
        told.append((current, total))

    async with progress_to(tell):
        result = await split.fn(source, SplitParams(), folder=out)
    assert [pdfs.texts(out / name)[0] for name in result.files] == pdfs.texts(source)
    assert told == [(n, 11) for n in range(1, 12)]
