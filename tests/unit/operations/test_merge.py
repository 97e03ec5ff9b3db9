"""PDFs and images that become one PDF."""

from pathlib import Path

import pikepdf
import pytest
from PIL import Image

from operations import merge
from operations.merge import MergeParams
from store.errors import EncryptedFileError, InputError, LimitExceededError, UnsupportedFileError
from store.settings import settings
from tests import pdfs


async def merged(sources: list[Path], out: Path, **params: str) -> Path:
    result = await merge.fn(sources, MergeParams.model_validate(params), folder=out)
    made = out / result.files[0]
    assert result.page_count == len(pdfs.sizes(made))
    return made


async def test_the_pages_follow_each_other_with_their_bookmarks_labels_and_links(
    tmp_path: Path, out: Path
) -> None:
    first = pdfs.book(tmp_path / "1.pdf", 3, "First")
    second = pdfs.book(tmp_path / "2.pdf", 2, "Second")
    made = await merged([first, second], out)
    assert pdfs.texts(made) == pdfs.texts(first) + pdfs.texts(second)
    assert pdfs.sizes(made) == pdfs.sizes(first) + pdfs.sizes(second)
    assert pdfs.labels(made) == ["i", "n-1", "n-2", "i", "n-1"]
    assert pdfs.links(made) == [[2], [3], [1], [5], [4]]
    later = [(level, title, (page or 0) + 3) for level, title, page in pdfs.bookmarks(second)]
    assert pdfs.bookmarks(made) == pdfs.bookmarks(first) + later


async def test_fields_of_the_same_name_all_stay(tmp_path: Path, out: Path) -> None:
    sources = [pdfs.form(tmp_path / f"{n}.pdf", [f"Ada {n}", f"Bo {n}"]) for n in range(3)]
    made = await merged(sources, out)
    assert pdfs.fields(made) == {
        "all": ("x", [1, 2]),
        "person-1": ("Ada 0", [1]),
        "person-2": ("Bo 0", [2]),
        "all-2": ("x", [3, 4]),
        "person-1-2": ("Ada 1", [3]),
        "person-2-2": ("Bo 1", [4]),
        "all-3": ("x", [5, 6]),
        "person-1-3": ("Ada 2", [5]),
        "person-2-3": ("Bo 2", [6]),
    }
    with pikepdf.open(made) as pdf:
        form = pdf.Root.AcroForm
        assert list(form.DR.Font.keys()) == ["/Helv"]  # the same font in all three
        assert {str(field.DA) for field in form.Fields} == {"/Helv 12 Tf 0 g"}


async def test_another_font_of_the_same_name_gets_another(tmp_path: Path, out: Path) -> None:
    sources = [pdfs.form(tmp_path / f"{n}.pdf", ["x"], f"field{n}") for n in range(2)]
    with pikepdf.open(sources[1], allow_overwriting_input=True) as pdf:
        pdf.Root.AcroForm.DR.Font.Helv.BaseFont = pikepdf.Name.Courier
        pdf.save(sources[1])
    made = await merged(sources, out)
    with pikepdf.open(made) as pdf:
        form = pdf.Root.AcroForm
        fonts = {name: str(font.BaseFont) for name, font in form.DR.Font.items()}
        assert fonts == {"/Helv": "/Helvetica", "/Helv-2": "/Courier"}
        appearances = {str(field.T): str(field.DA) for field in form.Fields}
        assert appearances["field0-1"] == "/Helv 12 Tf 0 g"
        assert appearances["field1-1"] == "/Helv-2 12 Tf 0 g"


async def test_embedded_files_all_stay_and_those_of_an_invoice_are_still_its_own(
    tmp_path: Path, out: Path
) -> None:
    sources = [pdfs.with_files(tmp_path / f"{n}.pdf", data=b"<%d/>" % n, b=b"b") for n in range(2)]
    made = await merged(sources, out)
    assert pdfs.files(made) == {
        "b.xml": b"b",
        "b.xml-2": b"b",
        "data.xml": b"<0/>",
        "data.xml-2": b"<1/>",
    }
    with pikepdf.open(made) as pdf:
        assert len(pdf.Root.AF) == 2
        of_the_tree = {file.objgen for file in list(pdf.Root.Names.EmbeddedFiles.Names)[1::2]}
        assert {file.objgen for file in pdf.Root.AF} <= of_the_tree


async def test_an_xfa_form_becomes_an_ordinary_one(tmp_path: Path, out: Path) -> None:
    source = pdfs.form(tmp_path / "form.pdf", ["Ada"])
    with pikepdf.open(source, allow_overwriting_input=True) as pdf:
        pdf.Root.AcroForm.XFA = pikepdf.Stream(pdf, b"<xdp:xdp/>")
        pdf.save(source)
    made = await merged([source], out)
    assert pdfs.fields(made)["person-1"] == ("Ada", [1])
    with pikepdf.open(made) as pdf:
        assert "/XFA" not in pdf.Root.AcroForm


async def test_images_become_pages_with_their_very_bytes(
    samples: Path, demo: Path, tmp_path: Path, out: Path
) -> None:
    photo = demo / "receipt-tea-photo.jpg"
    book = pdfs.book(tmp_path / "book.pdf", 1)
    made = await merged([photo, book, samples / "phototest.tif"], out)
    assert pdfs.texts(made)[1] == pdfs.texts(book)[0]
    with pikepdf.open(made) as pdf:
        image = next(iter(pdf.pages[0].get_images().values()))
        assert image.Filter == pikepdf.Name.DCTDecode
        # Of the file all but the end, which its own length makes known.
        assert image.read_raw_bytes().rstrip(b"\0")[:-2] in photo.read_bytes()


async def test_each_page_of_a_tiff_becomes_one(samples: Path, tmp_path: Path, out: Path) -> None:
    path = tmp_path / "two.tif"
    with Image.open(samples / "phototest.tif") as page:
        page.save(path, save_all=True, append_images=[page.rotate(90, expand=True)], dpi=(200, 200))
        wide = page.width * 72 / 200, page.height * 72 / 200
    made = await merged([path], out)
    assert pdfs.sizes(made) == [pytest.approx(wide, abs=0.1), pytest.approx(wide[::-1], abs=0.1)]


async def test_the_same_file_twice_gives_its_pages_twice(tmp_path: Path, out: Path) -> None:
    source = pdfs.book(tmp_path / "book.pdf", 2)
    made = await merged([source, source], out)
    assert pdfs.texts(made) == pdfs.texts(source) * 2
    assert pdfs.links(made) == [[2], [1], [4], [3]]


async def test_one_password_opens_all_that_need_one(tmp_path: Path, out: Path) -> None:
    book = pdfs.book(tmp_path / "book.pdf", 2)
    locked = pdfs.encrypted(tmp_path / "locked.pdf", book)
    with pytest.raises(EncryptedFileError) as caught:
        await merged([book, locked], out)
    assert caught.value.details == {"reason": "password_missing", "position": 2}
    made = await merged([book, locked], out, password=pdfs.PASSWORD)
    assert pdfs.texts(made) == pdfs.texts(book) * 2
    with pytest.raises(InputError, match="None of the files needs a password"):
        await merged([book], out, password=pdfs.PASSWORD)


async def test_too_many_pages_together_are_refused(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAPERTRAY_MAX_PAGES", "3")
    settings.cache_clear()
    book = pdfs.book(tmp_path / "book.pdf", 2)
    with pytest.raises(LimitExceededError) as caught:
        await merged([book, book], out)
    assert caught.value.details == {"page_count": 4, "limit_pages": 3}


async def test_what_is_neither_is_refused(tmp_path: Path, out: Path) -> None:
    text = tmp_path / "letter.pdf"
    text.write_text("Dear all")
    with pytest.raises(UnsupportedFileError):
        await merged([pdfs.book(tmp_path / "book.pdf", 1), text], out)
    assert not out.exists()
