"""Hostile and broken PDFs, for every operation on PDFs: a named error or a result, in bounds."""

import os
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pikepdf
import pytest

from operations.registry import OPERATIONS, Operation
from store.errors import (
    DamagedFileError,
    EncryptedFileError,
    InputError,
    LimitExceededError,
    NoPagesError,
    PageRangeError,
    ToolKilledError,
    ToolTimeoutError,
    UnsupportedFileError,
)
from store.settings import settings
from tests import pdfs

REQUIRED: dict[str, dict[str, Any]] = {
    "extract-pages": {"pages": "1"},
    "extract-text": {"format": "plain"},
    "render": {"dpi": 100},
    "split-by-separator": {"separator": "barcode"},
}
ROWS = [row for row in OPERATIONS.values() if "pdf" in row.accepts]
each = pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
MAKING = {row.name for row in ROWS} - {"extract-form"}
"""Operations that make a file of a file of one page; the others only tell."""

LOOKING = {"extract-text", "render", "rotate", "deskew", "ocr", "split-by-separator"}
"""Operations that look at what is on a page; to the others its content is nothing."""

CATALOG = b"<</Type/Catalog/Pages 2 0 R>>"
PAGE = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 100 100]>>"
SAMPLES = Path(__file__).parents[2] / "samples"
ZEROS = 100 * 2**20


@pytest.fixture(autouse=True)
def tight_limits(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAPERTRAY_OPERATION_MEMORY_BYTES", str(2**30))
    monkeypatch.setenv("PAPERTRAY_OPERATION_CPU_SECONDS", "10")
    settings.cache_clear()


async def do(row: Operation, source: Path, out: Path, **more: Any) -> list[str]:
    params = row.params.model_validate({**REQUIRED.get(row.name, {}), **more})
    await row.task.fn([source] if row.takes_many else source, params, folder=out)
    return sorted(path.name for path in out.iterdir()) if out.exists() else []


def cyclic(path: Path) -> Path:
    tree = b"<</Type/Pages/Count 2/Kids[3 0 R 2 0 R]>>"
    return pdfs.raw(path, CATALOG, tree, PAGE)


def empty(path: Path) -> Path:
    return pdfs.raw(path, CATALOG, b"<</Type/Pages/Count 0/Kids[]>>")


def many_pages(path: Path) -> Path:
    tree = b"<</Type/Pages/Count 200000/Kids[" + b"3 0 R " * 200_000 + b"]>>"
    return pdfs.raw(path, CATALOG, tree, PAGE)


def huge_box(path: Path) -> Path:
    tree = b"<</Type/Pages/Count 1/Kids[3 0 R]>>"
    return pdfs.raw(path, CATALOG, tree, PAGE.replace(b"100 100", b"2000000 2000000"))


def truncated(path: Path) -> Path:
    path.write_bytes((SAMPLES / "truncated_half.pdf").read_bytes())
    return path


def encrypted(path: Path) -> Path:
    path.write_bytes((SAMPLES / "enc_r6-user-password.pdf").read_bytes())
    return path


def an_image(path: Path) -> Path:
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    return path


def content_bomb(path: Path) -> Path:
    """500 MB in a list of one filter, which qpdf would unpack to pack it anew."""
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(2**20)) for _ in range(500)) + packer.flush()
    with pikepdf.new() as document:
        page = document.add_blank_page()
        page.obj.Contents = pikepdf.Stream(document, packed, Filter=[pikepdf.Name.FlateDecode])
        document.save(path, compress_streams=False)
    return path


REFUSED: dict[str, tuple[Callable[[Path], Path], type[InputError]]] = {
    "cyclic page tree": (cyclic, DamagedFileError),
    "no page": (empty, NoPagesError),
    "200,000 pages": (many_pages, LimitExceededError),
    "huge box": (huge_box, LimitExceededError),
    "truncated": (truncated, DamagedFileError),
    "encrypted": (encrypted, EncryptedFileError),
    "content of 500 MB": (content_bomb, LimitExceededError),
}


@pytest.mark.parametrize(("make", "error"), REFUSED.values(), ids=REFUSED)
@each
async def test_it_is_refused_with_its_cause_and_a_remedy(
    row: Operation,
    make: Callable[[Path], Path],
    error: type[InputError],
    tmp_path: Path,
    out: Path,
) -> None:
    with pytest.raises(error) as caught:
        await do(row, make(tmp_path / "bad.pdf"), out)
    assert caught.value.as_result()["error"].count(".") >= 1
    assert not out.exists()


@each
async def test_a_file_of_another_kind_is_refused(row: Operation, tmp_path: Path, out: Path) -> None:
    with pytest.raises(InputError) as caught:
        await do(row, an_image(tmp_path / "photo.pdf"), out)
    takes_images = "image" in row.accepts | row.also_takes
    expected = DamagedFileError if takes_images else UnsupportedFileError
    assert isinstance(caught.value, expected)


IN_RANGES = [row for row in ROWS if "pages" in row.params.model_fields]


@pytest.mark.parametrize("row", IN_RANGES, ids=[row.name for row in IN_RANGES])
async def test_pages_beyond_the_last_are_refused(row: Operation, tmp_path: Path, out: Path) -> None:
    with pytest.raises(PageRangeError) as caught:
        await do(row, pdfs.book(tmp_path / "book.pdf", 3), out, pages="2-9")
    assert caught.value.details == {"pages": "2-9", "page_count": 3}
    assert not out.exists()


def jpx(path: Path) -> Path:
    head = b"\0\0\0\x0cjP  \r\n\x87\n"
    size = {"Width": 1000, "Height": 1000}
    return pdfs.image_page(path, head + os.urandom(3000), Filter=pdfs.Name.JPXDecode, **size)


def jbig2(path: Path) -> Path:
    """A page of 60,000 x 60,000 pixels, of which nothing is there."""
    side = (60_000).to_bytes(4, "big")
    segment = b"\0\0\0\0\x30\0\1\0\0\0\x13" + side * 2 + bytes(11)
    size = {"Width": 60_000, "Height": 60_000, "BitsPerComponent": 1}
    return pdfs.image_page(
        path, segment, Filter=pdfs.Name.JBIG2Decode, ColorSpace=pdfs.Name.DeviceGray, **size
    )


@pytest.mark.parametrize("make", [jpx, jbig2])
@each
async def test_an_image_that_cannot_be_decoded_is_damage_to_whoever_looks(
    row: Operation, make: Callable[[Path], Path], tmp_path: Path, out: Path
) -> None:
    source = make(tmp_path / "bad.pdf")
    if row.name not in LOOKING:
        assert len(await do(row, source, out)) == (row.name in MAKING)
        return
    with pytest.raises(DamagedFileError) as caught:
        await do(row, source, out)
    assert caught.value.details["page_number"] == 1


@each
async def test_100_mb_of_zeros_behind_a_small_stream_do_no_harm(
    row: Operation, tmp_path: Path, out: Path
) -> None:
    source = pdfs.image_page(
        tmp_path / "zeros.pdf",
        zlib.compress(bytes(ZEROS), 9),
        Width=10_240,
        Height=10_240,
        BitsPerComponent=8,
        ColorSpace=pdfs.Name.DeviceGray,
        Filter=pdfs.Name.FlateDecode,
    )
    assert source.stat().st_size < 110_000
    made = await do(row, source, out)
    assert len(made) == (row.name in MAKING)
    assert all((out / one).stat().st_size < 1_000_000 for one in made)


@each
async def test_cycles_and_wrong_types_beside_the_pages_do_no_harm(
    row: Operation, tmp_path: Path, out: Path
) -> None:
    source = pdfs.raw(
        tmp_path / "odd.pdf",
        b"<</Type/Catalog/Pages 2 0 R/Outlines 4 0 R/AcroForm<</Fields[5 0 R 7]>>"
        b"/PageLabels<</Nums[0 7]>>/Names 3>>",
        b"<</Type/Pages/Count 1/Kids[3 0 R]>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 100 100]/Annots[5 0 R 7]/Contents[1 2]>>",
        b"<</First 4 0 R/Next 4 0 R/Title(x)>>",
        b"<</T(a)/Kids[5 0 R 5 0 R]/Parent 5 0 R/Subtype/Widget/FT/Tx>>",
    )
    try:
        assert len(await do(row, source, out)) == (row.name in MAKING)
    except (DamagedFileError, LimitExceededError):
        assert not out.exists()


ONE_PAGE = b"<</Type/Pages/Count 1/Kids[3 0 R]>>"


def stream(content: bytes, facts: bytes) -> bytes:
    packed = zlib.compress(content, 9)
    head = b"<<%s/Filter/FlateDecode/Length %d>>" % (facts, len(packed))
    return b"%s\nstream\n%s\nendstream" % (head, packed)


@cache
def packed_zeros() -> bytes:
    return stream(bytes(ZEROS), b"/Type/EmbeddedFile")


def embedded_bomb(path: Path) -> Path:
    """A file of 100 MB inside, behind a name tree of ten thousand names that all lead to it."""
    names = b"".join(b"(n%d)4 0 R" % number for number in range(10_000))
    return pdfs.raw(
        path,
        b"<</Type/Catalog/Pages 2 0 R/Names<</EmbeddedFiles<</Names[%s]>>>>/AF[4 0 R]>>" % names,
        ONE_PAGE,
        PAGE,
        b"<</Type/Filespec/F(a.bin)/UF(a.bin)/EF<</F 5 0 R>>>>",
        packed_zeros(),
    )


def cyclic_names(path: Path) -> Path:
    """Embedded files in a tree that leads into itself."""
    catalog = b"<</Type/Catalog/Pages 2 0 R/Names<</EmbeddedFiles 4 0 R>>>>"
    return pdfs.raw(path, catalog, ONE_PAGE, PAGE, b"<</Kids[4 0 R 5 0 R]>>", b"<</Kids[4 0 R]>>")


def scripts(path: Path) -> Path:
    """Scripts and programs that are to run when it is opened, turned to or printed."""
    script = b"<</S/JavaScript/JS(while\\(true\\)app.alert\\(1\\);)/Next 4 0 R>>"
    return pdfs.raw(
        path,
        b"<</Type/Catalog/Pages 2 0 R/OpenAction 4 0 R/AA<</WP 5 0 R/DS 4 0 R>>"
        b"/Names<</JavaScript<</Names[(a)4 0 R]>>>>>>",
        ONE_PAGE,
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 100 100]/AA<</O 4 0 R/C 5 0 R>>>>",
        script,
        b"<</S/Launch/F(/bin/sh)/Win<</F(cmd.exe)>>/Next 5 0 R>>",
    )


def laughing_metadata(path: Path) -> Path:
    """XMP of which ten entities become a thousand million."""
    entities = "".join(f'<!ENTITY e{n + 1} "{f"&e{n};" * 10}">' for n in range(9))
    xmp = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e0 "ha">{entities}]><x>&e9;</x>'
    return pdfs.raw(
        path,
        b"<</Type/Catalog/Pages 2 0 R/Metadata 4 0 R>>",
        ONE_PAGE,
        PAGE,
        stream(xmp.encode(), b"/Type/Metadata/Subtype/XML"),
    )


def deep_tree(path: Path) -> Path:
    """One page below twenty thousand nodes."""
    deep = 20_000
    nodes = [
        b"<</Type/Pages/Count 1/Kids[%d 0 R]%s>>" % (n + 1, b"/Parent %d 0 R" % (n - 1) * (n > 2))
        for n in range(2, deep)
    ]
    page = b"<</Type/Page/Parent %d 0 R/MediaBox[0 0 100 100]>>" % (deep - 1)
    return pdfs.raw(path, CATALOG, *nodes, page)


def nested_forms(path: Path) -> Path:
    """A page that draws a form that draws itself, and thirty that each draw the next ten times."""
    forms = [
        b"<</Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</F %d 0 R>>>>"
        % (n + 1 if n < 34 else 5)
        for n in range(5, 35)
    ]
    return pdfs.raw(
        path,
        CATALOG,
        ONE_PAGE,
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 100 100]/Contents 4 0 R"
        b"/Resources<</XObject<</F 5 0 R>>>>>>",
        b"<</Length 5>>\nstream\n/F Do\nendstream",
        *(b"%s/Length 60>>\nstream\n%s\nendstream" % (form, b"/F Do " * 10) for form in forms),
    )


HARMLESS = [embedded_bomb, cyclic_names, scripts, laughing_metadata, deep_tree, nested_forms]


@pytest.mark.parametrize("make", HARMLESS, ids=lambda make: make.__name__)
@each
async def test_what_lies_in_wait_inside_does_no_harm(
    row: Operation, make: Callable[[Path], Path], tmp_path: Path, out: Path
) -> None:
    """It is left alone, or ends in an error of ours, within the limits of a child."""
    source = make(tmp_path / "trap.pdf")
    try:
        made = await do(row, source, out)
    except (InputError, ToolKilledError, ToolTimeoutError):
        assert not out.exists()
    else:
        assert len(made) == (row.name in MAKING)
        assert all((out / one).stat().st_size < 2_000_000 for one in made)


async def test_a_page_that_asks_for_more_memory_than_there_is_ends_by_name(
    tmp_path: Path, out: Path
) -> None:
    path = tmp_path / "lines.pdf"
    with pikepdf.new() as document:
        page = document.add_blank_page()
        page.obj.Contents = pikepdf.Stream(
            document,
            zlib.compress(b"0 0 m 10 10 l S\n" * 10_000_000, 9),
            Filter=pikepdf.Name.FlateDecode,
        )
        document.save(path, compress_streams=False)
    with pytest.raises(ToolKilledError, match="raise"):
        await do(OPERATIONS["render"], path, out)
    book = pdfs.book(tmp_path / "book.pdf", 1)
    assert await do(OPERATIONS["render"], book, out) == ["page-0001.png"]
