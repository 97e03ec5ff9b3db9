"""Pages are read by their text layer where it is good, else by OCR."""

import asyncio
import contextlib
import re
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image

from operations import read_pages
from operations.read_pages import ReadPagesParams, ReadPagesResult
from operations.registry import progress_to
from operations.tools import child
from store.fields import PageWords

PHOTOTEST = (
    "This is a lot of 12 point text to test the ocr code and see if it works on all types of file"
    " format. The quick brown dog jumped over the lazy fox."
)


async def read(path: Path, out: Path, **params: Any) -> ReadPagesResult:
    return await read_pages.fn(path, ReadPagesParams(**params), folder=out)


def words(out: Path, result: ReadPagesResult, number: int = 1) -> PageWords:
    page = next(page for page in result.pages if page.number == number)
    return PageWords.model_validate_json((out / page.words_file).read_bytes())


def text(page: PageWords) -> str:
    return " ".join(word.text for word in page.words)


async def test_a_scan_is_read_by_ocr(samples: Path, out: Path) -> None:
    result = await read(samples / "phototest.tif", out)
    page = result.pages[0]
    assert (page.method, page.number, result.page_count) == ("ocr", 1, 1)
    assert page.confidence > 0.9
    assert text(words(out, result)).startswith(PHOTOTEST)
    assert sorted(path.name for path in out.iterdir()) == [
        "page-0001.jpg",
        "page-0001.json",
        "page-0001.pdf",
    ]
    assert result.text_layer_files == ["page-0001.pdf"]


async def test_a_good_text_layer_is_taken_as_it_is(samples: Path, out: Path) -> None:
    result = await read(samples / "form_dd0293.pdf", out)
    assert [page.method for page in result.pages] == ["text_layer"] * 4
    assert [page.confidence for page in result.pages] == [1.0] * 4
    assert result.text_layer_files == []
    assert "APPLICATION FOR THE REVIEW OF DISCHARGE" in text(words(out, result))


async def test_a_short_document_takes_one_child(
    samples: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = sys.modules["operations.read_pages"]  # the package has the operation by that name
    called: list[str] = []
    seen: list[tuple[int, int]] = []

    async def count(function: Any, *arguments: Any, **options: Any) -> Any:
        called.append(function.__name__)
        return await child.in_child(function, *arguments, **options)

    async def see(current: int, total: int) -> None:
        seen.append((current, total))

    monkeypatch.setattr(module, "in_child", count)
    async with progress_to(see):
        result = await read(samples / "form_dd0293.pdf", out)
    assert called == ["begin"]
    assert len(result.pages) == 4
    assert seen == [(number, 4) for number in range(1, 5)]


async def test_leader_dots_do_not_make_a_layer_garbage(samples: Path, out: Path) -> None:
    result = await read(samples / "tagged.pdf", out)
    assert [page.method for page in result.pages] == ["text_layer", "text_layer"]


@pytest.mark.parametrize(
    ("name", "snippet"),
    [
        ("vector.pdf", "Sample Vector PDF for Testing"),
        ("acroform.pdf", "perfectly cromulent word"),
    ],
)
async def test_pages_without_letters_are_read_by_ocr(
    name: str, snippet: str, samples: Path, out: Path
) -> None:
    result = await read(samples / name, out)
    assert result.pages[0].method == "ocr"
    assert snippet in text(words(out, result))


async def test_a_blank_page_is_no_work_for_ocr(samples: Path, out: Path) -> None:
    result = await read(samples / "no_contents.pdf", out)
    assert (result.pages[0].method, result.pages[0].word_count) == ("text_layer", 0)


async def test_boxes_are_in_pixels_of_the_page_image(samples: Path, out: Path) -> None:
    for name, how in (
        ("form_dd0293.pdf", ("text_layer", False)),
        ("rotated_skew.pdf", ("ocr", True)),
    ):
        result = await read(samples / name, out, pages="1")
        page = result.pages[0]
        with Image.open(out / page.image_file) as image:
            assert image.size == (page.width_pixels, page.height_pixels)
            gray = image.convert("L")
        # Who zooms into a scan sees all its pixels, of the same stretch of paper.
        assert (page.method, bool(page.detail_file)) == how
        if page.detail_file:
            with Image.open(out / page.detail_file) as detail:
                assert detail.width > 1.25 * gray.width
                assert detail.width / detail.height == pytest.approx(gray.width / gray.height, 0.01)
        for word in words(out, result).words:
            left, top, right, bottom = word.box
            assert -20 <= left < right <= page.width_pixels + 20
            assert -20 <= top < bottom <= page.height_pixels + 20
        # Where there is a word there is ink.
        sure = [w for w in words(out, result).words if w.confidence > 0.9 and len(w.text) > 3]
        dark = [any(gray.crop(word.box).histogram()[:140]) for word in sure]
        assert sum(dark) > 0.97 * len(dark)


async def test_a_page_on_its_side_is_turned(samples: Path, out: Path) -> None:
    result = await read(samples / "phototest-rotated-L.png", out)
    page = result.pages[0]
    assert page.turned_degrees in {90, 270}
    assert page.width_pixels > page.height_pixels
    assert text(words(out, result)).startswith(PHOTOTEST)


async def test_a_skewed_page_in_a_turned_box_is_straightened(samples: Path, out: Path) -> None:
    result = await read(samples / "rotated_skew.pdf", out)
    assert 1.5 < abs(result.pages[0].skew_degrees) < 4
    read_text = text(words(out, result))
    assert "32 Track MIDI Sequence Recorder" in read_text
    assert "state-of-the-art composition and performance tool" in read_text


async def test_each_page_of_a_tiff_is_read_but_no_small_copy_of_one(
    samples: Path, tmp_path: Path, out: Path
) -> None:
    path = tmp_path / "pages.tif"
    with Image.open(samples / "phototest.tif") as page:
        gray = page.convert("L")
    copy = gray.resize((64, 48))
    copy.encoderinfo = {"tiffinfo": {254: 1}}
    gray.save(path, save_all=True, append_images=[copy, gray], dpi=(200, 200))
    result = await read(path, out)
    assert [page.number for page in result.pages] == [1, 2]
    assert text(words(out, result, 1)) == text(words(out, result, 2))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA", "LA", "CMYK", "I;16"])
async def test_every_kind_of_pixel_is_read(
    mode: str, samples: Path, tmp_path: Path, out: Path
) -> None:
    with Image.open(samples / "phototest.tif") as page:
        gray = page.convert("L")
    if mode == "I;16":
        image = gray.convert("I").point(lambda value: value * 257).convert("I;16")
    else:
        image = gray.convert("RGB" if mode in {"CMYK", "P"} else "L").convert(mode)
    path = tmp_path / "page.tif"
    image.save(path)
    result = await read(path, out)
    assert text(words(out, result)).startswith(PHOTOTEST)


async def test_text_on_nothing_is_read_as_on_white(
    samples: Path, tmp_path: Path, out: Path
) -> None:
    with Image.open(samples / "phototest.tif") as page:
        ink = page.convert("L").point([255 - v for v in range(256)])
    path = tmp_path / "page.png"
    Image.merge("LA", (Image.new("L", ink.size, 0), ink)).save(path)
    result = await read(path, out)
    assert text(words(out, result)).startswith(PHOTOTEST)


async def test_a_photo_is_turned_as_its_camera_says(
    samples: Path, tmp_path: Path, out: Path
) -> None:
    exif = Image.Exif()
    exif[274] = 6  # to be turned by 90 degrees clockwise
    path = tmp_path / "photo.jpg"
    with Image.open(samples / "phototest.tif") as page:
        page.convert("RGB").rotate(90, expand=True).save(path, quality=92, exif=exif)
    result = await read(path, out)
    assert result.pages[0].turned_degrees == 0
    assert result.pages[0].width_pixels > result.pages[0].height_pixels
    assert text(words(out, result)).startswith(PHOTOTEST)


async def test_only_the_pages_that_are_asked_for_are_read(samples: Path, out: Path) -> None:
    result = await read(samples / "form_dd0293.pdf", out, pages="4, 2-2")
    assert [page.number for page in result.pages] == [2, 4]
    assert result.page_count == 4
    assert {path.name for path in out.iterdir()} == {
        f"page-000{number}.{end}" for number in (2, 4) for end in ("jpg", "json")
    }


async def test_skip_never_reads_by_ocr(samples: Path, out: Path) -> None:
    result = await read(samples / "vector.pdf", out, mode="skip")
    assert (result.pages[0].method, result.pages[0].word_count) == ("text_layer", 0)
    result = await read(samples / "phototest.tif", out / "image", mode="skip")
    assert (result.pages[0].method, result.pages[0].word_count) == ("text_layer", 0)
    assert (out / "image" / result.pages[0].image_file).exists()


async def test_force_always_reads_by_ocr(demo: Path, out: Path) -> None:
    result = await read(demo / "invoice-joinery.pdf", out, mode="force", dpi=200)
    assert result.pages[0].method == "ocr"
    assert re.search(r"Total due 3,318.00", text(words(out, result)))


async def test_progress_is_told_for_each_page(samples: Path, out: Path) -> None:
    told: list[tuple[int, int]] = []

    async def note(current: int, total: int) -> None:
        told.append((current, total))

    async with progress_to(note):
        await read(samples / "form_dd0293.pdf", out)
    assert told[-1] == (4, 4)
    assert [current for current, _ in told] == sorted(current for current, _ in told)


async def test_a_column_of_amounts_that_ocr_leaves_out_is_read_after_all(
    demo: Path, out: Path
) -> None:
    result = await read(demo / "receipt-tea-photo.jpg", out)
    assert {"43.00", "4.60", "11.40", "4.80", "53.17", "10.63", "63.80"} <= {
        word.text for word in words(out, result).words
    }


async def test_done_twice_into_one_folder_it_leaves_the_same_files(
    samples: Path, out: Path
) -> None:
    first = await read(samples / "tagged.pdf", out)
    names = sorted(path.name for path in out.iterdir())
    assert await read(samples / "tagged.pdf", out) == first
    assert sorted(path.name for path in out.iterdir()) == names


def tesseracts_at_work_on(folder: Path) -> list[psutil.Process]:
    """The runs of tesseract that write into a folder."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            command = process.cmdline()
            if any("tesseract" in part for part in command[:2]) and str(folder) in " ".join(
                command
            ):
                found.append(process)
    return found


async def test_a_cancel_ends_tesseract_amid_a_batch_of_pages(
    samples: Path, tmp_path: Path, out: Path
) -> None:
    path = tmp_path / "pages.tif"
    with Image.open(samples / "phototest.tif") as page:
        gray = page.convert("L")
    gray.save(path, save_all=True, append_images=[gray] * 31, dpi=(200, 200))
    work = asyncio.create_task(read(path, out))
    async with asyncio.timeout(60):
        while not (running := tesseracts_at_work_on(out)):
            assert not work.done()
            await asyncio.sleep(0.02)
    listed = Path(running[0].cmdline()[1]).read_text().splitlines()
    assert len(listed) > 1
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    gone, alive = await asyncio.to_thread(psutil.wait_procs, running, 5)
    assert (len(gone), alive) == (len(running), [])
    assert tesseracts_at_work_on(out) == []
