"""Files that are hostile or broken: each is refused with its own error, and leaves nothing."""

import io
import zlib
from pathlib import Path
from typing import Any

import pikepdf
import pytest
from PIL import Image

from operations import extract_text, make_searchable_pdf, read_pages
from operations.extract_text import ExtractTextParams
from operations.make_searchable_pdf import MakeSearchablePdfParams
from operations.read_pages import ReadPagesParams, ReadPagesResult
from store.errors import (
    DamagedFileError,
    EmptyFileError,
    EncryptedFileError,
    InputError,
    LimitExceededError,
    NoPagesError,
    PageRangeError,
    UnsupportedFileError,
)
from store.settings import settings

REFUSED = {
    "not_a_pdf.pdf": UnsupportedFileError,
    "enc_r6-user-password.pdf": EncryptedFileError,
    "truncated_half.pdf": DamagedFileError,
    "invalid.pdf": DamagedFileError,
    "huge_mediabox.pdf": LimitExceededError,
    "bomb_60k.png": LimitExceededError,
}


async def read(path: Path, out: Path, **params: Any) -> ReadPagesResult:
    return await read_pages.fn(path, ReadPagesParams(**params), folder=out)


@pytest.mark.parametrize(("name", "error"), REFUSED.items())
async def test_a_bad_file_is_refused_and_leaves_nothing(
    name: str, error: type[InputError], samples: Path, out: Path
) -> None:
    with pytest.raises(error):
        await read(samples / name, out)
    assert not out.exists()


@pytest.mark.parametrize(("name", "error"), REFUSED.items())
async def test_a_bad_file_is_not_made_searchable_either(
    name: str, error: type[InputError], samples: Path, out: Path
) -> None:
    with pytest.raises(error):
        await make_searchable_pdf.fn([samples / name], MakeSearchablePdfParams(), folder=out)
    assert not out.exists()


async def test_an_empty_file_is_refused(tmp_path: Path, out: Path) -> None:
    (tmp_path / "empty.pdf").touch()
    with pytest.raises(EmptyFileError):
        await read(tmp_path / "empty.pdf", out)


async def test_a_list_of_files_named_png_is_not_followed(
    samples: Path, tmp_path: Path, out: Path
) -> None:
    """Tesseract by itself would read the file that is named in it."""
    trap = tmp_path / "page.png"
    trap.write_text(f"{samples / 'phototest.tif'}\n")
    with pytest.raises(UnsupportedFileError) as caught:
        await read(trap, out)
    assert "image/png" in caught.value.details["accepted"]


async def test_a_pdf_without_pages_is_refused(tmp_path: Path, out: Path) -> None:
    path = tmp_path / "none.pdf"
    with pikepdf.new() as pdf:
        pdf.save(path)
    with pytest.raises(NoPagesError):
        await read(path, out)


async def test_a_page_box_of_50000_points_is_refused_before_any_work(
    tmp_path: Path, out: Path
) -> None:
    path = tmp_path / "large.pdf"
    with pikepdf.new() as pdf:
        pdf.add_blank_page(page_size=(612, 792))
        pdf.add_blank_page(page_size=(612, 792))
        pdf.pages[1].obj.MediaBox = pikepdf.Array([0, 0, 50_000, 50_000])
        pdf.save(path)
    with pytest.raises(LimitExceededError) as caught:
        await read(path, out)
    assert caught.value.details == {
        "page_number": 2,
        "width_points": 50_000.0,
        "height_points": 50_000.0,
        "limit_pixels": settings().max_page_pixels,
    }
    assert "Page 2 is 50000 x 50000 points" in caught.value.message


async def test_an_image_that_is_too_large_is_refused_by_its_header(
    samples: Path, out: Path
) -> None:
    with pytest.raises(LimitExceededError) as caught:
        await read(samples / "bomb_60k.png", out)
    assert caught.value.details["width"] == 60_032
    assert caught.value.details["page_number"] == 1


async def test_too_many_pages_are_refused(
    samples: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAPERTRAY_MAX_PAGES", "3")
    settings.cache_clear()
    with pytest.raises(LimitExceededError) as caught:
        await read(samples / "form_dd0293.pdf", out)
    assert caught.value.details == {"page_count": 4, "limit_pages": 3}


async def test_too_many_frames_are_refused(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAPERTRAY_MAX_PAGES", "3")
    settings.cache_clear()
    path = tmp_path / "many.tif"
    page = Image.new("1", (64, 64), 1)
    page.save(path, save_all=True, append_images=[page] * 5)
    with pytest.raises(LimitExceededError) as caught:
        await read(path, out)
    assert caught.value.details == {"limit_pages": 3}


@pytest.mark.parametrize("mode", ["auto", "force"])
async def test_a_content_stream_of_500_mb_is_refused_in_little_time_and_memory(
    mode: str, samples: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAPERTRAY_OPERATION_MEMORY_BYTES", str(2**30))
    monkeypatch.setenv("PAPERTRAY_OPERATION_CPU_SECONDS", "10")
    settings.cache_clear()
    with pytest.raises(LimitExceededError) as caught:
        await read(samples / "bomb_flate_500MB.pdf", out, mode=mode)
    assert caught.value.details == {"page_number": 1, "limit_bytes": 256 * 2**20}


async def test_a_bomb_within_a_bomb_is_refused(tmp_path: Path, out: Path) -> None:
    path = tmp_path / "double.pdf"
    with pikepdf.new() as pdf:
        page = pdf.add_blank_page()
        twice = zlib.compress(zlib.compress(b" " * (300 * 2**20), 9), 9)
        page.obj.Contents = pikepdf.Stream(
            pdf, twice, Filter=[pikepdf.Name.FlateDecode, pikepdf.Name.FlateDecode]
        )
        pdf.save(path, compress_streams=False)
    assert path.stat().st_size < 10_000
    with pytest.raises(LimitExceededError) as caught:
        await read(path, out)
    assert caught.value.details["page_number"] == 1


async def test_a_truncated_image_is_damaged(tmp_path: Path, out: Path) -> None:
    sink = io.BytesIO()
    Image.effect_noise((400, 400), 80).save(sink, "PNG")
    path = tmp_path / "cut.png"
    path.write_bytes(sink.getvalue()[:20_000])
    with pytest.raises(DamagedFileError) as caught:
        await read(path, out)
    assert caught.value.details == {"page_number": 1}
    assert not out.exists()


async def test_a_pdf_whose_table_of_objects_is_cut_off_is_repaired(
    demo: Path, tmp_path: Path, out: Path
) -> None:
    whole = (demo / "invoice-joinery.pdf").read_bytes()
    path = tmp_path / "cut.pdf"
    path.write_bytes(whole[: whole.rindex(b"xref") - 40])
    result = await read(path, out)
    assert result.pages[0].word_count > 40


async def test_pages_that_are_not_there_are_refused(samples: Path, out: Path) -> None:
    with pytest.raises(PageRangeError) as caught:
        await read(samples / "form_dd0293.pdf", out, pages="2-9")
    assert caught.value.details == {"pages": "2-9", "page_count": 4}


async def test_a_language_that_is_not_there_is_refused_with_those_that_are(
    samples: Path, out: Path
) -> None:
    with pytest.raises(InputError) as caught:
        await read(samples / "phototest.tif", out, languages=["eng", "../../etc"])
    assert caught.value.details["languages"] == ["../../etc"]
    assert "eng" in caught.value.details["installed"]


async def test_a_failed_operation_leaves_what_was_in_its_folder_before(
    samples: Path, out: Path
) -> None:
    out.mkdir()
    (out / "text.txt").write_text("of another time")
    with pytest.raises(DamagedFileError):
        await extract_text.fn(
            samples / "invalid.pdf", ExtractTextParams(format="plain"), folder=out
        )
    assert [path.name for path in out.iterdir()] == ["text.txt"]
    assert (out / "text.txt").read_text() == "of another time"
