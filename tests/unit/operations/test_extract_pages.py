"""Pages that are taken out of a PDF, with what belongs to them and nothing else."""

from pathlib import Path

import pikepdf
import pytest
from pydantic import ValidationError

from operations import extract_pages
from operations.extract_pages import ExtractPagesParams
from operations.registry import progress_to
from store.errors import PageRangeError
from tests import pdfs


async def extract(source: Path, out: Path, pages: str) -> Path:
    result = await extract_pages.fn(source, ExtractPagesParams(pages=pages), folder=out)
    made = out / result.files[0]
    assert result.page_count == len(pdfs.sizes(made))
    return made


async def test_the_pages_are_taken_in_the_order_of_the_document(tmp_path: Path, out: Path) -> None:
    source = pdfs.book(tmp_path / "book.pdf", 6)
    made = await extract(source, out, "5, 2-3")
    assert pdfs.texts(made) == [pdfs.texts(source)[n - 1] for n in (2, 3, 5)]
    assert pdfs.sizes(made) == [pdfs.sizes(source)[n - 1] for n in (2, 3, 5)]


async def test_bookmarks_stay_where_their_page_does(tmp_path: Path, out: Path) -> None:
    made = await extract(pdfs.book(tmp_path / "book.pdf", 6), out, "2-3,5")
    assert pdfs.bookmarks(made) == [
        (0, "Chapter 1", None),  # its page is gone, one below it is not
        (1, "Page 2", 1),
        (0, "Chapter 3", 2),
        (1, "Page 3", 2),
        (0, "Chapter 5", 3),
        (1, "Page 5", 3),
    ]


async def test_pages_keep_what_they_are_called(tmp_path: Path, out: Path) -> None:
    source = pdfs.book(tmp_path / "book.pdf", 6)
    assert pdfs.labels(source) == ["i", "n-1", "n-2", "n-3", "n-4", "n-5"]
    made = await extract(source, out, "1,3-4,6")
    assert pdfs.labels(made) == ["i", "n-2", "n-3", "n-5"]


async def test_links_lead_to_the_same_pages_or_are_gone(tmp_path: Path, out: Path) -> None:
    source = pdfs.book(tmp_path / "book.pdf", 4)
    made = await extract(source, out, "1,2,4")
    assert pdfs.links(made) == [[2], [], [1]]


async def test_fields_stay_with_their_pages_and_lose_the_other_parts(
    tmp_path: Path, out: Path
) -> None:
    source = pdfs.form(tmp_path / "form.pdf", ["Ada", "Bo", "Cy"])
    assert pdfs.fields(source)["all"] == ("x", [1, 2, 3])
    made = await extract(source, out, "2-3")
    assert pdfs.fields(made) == {
        "all": ("x", [1, 2]),
        "person-2": ("Bo", [1]),
        "person-3": ("Cy", [2]),
    }


async def test_nothing_of_the_other_pages_is_in_the_file(tmp_path: Path, out: Path) -> None:
    made = await extract(pdfs.form(tmp_path / "form.pdf", ["Ada", "Bo", "Cy"]), out, "2")
    with pikepdf.open(made) as pdf:
        everything = b"".join(found.unparse(resolved=True) for found in pdf.objects)
    assert b"(Bo)" in everything
    assert b"(Ada)" not in everything
    assert b"(Cy)" not in everything


async def test_hidden_layers_stay_hidden(tmp_path: Path, out: Path) -> None:
    path = tmp_path / "layers.pdf"
    with pikepdf.new() as pdf:
        pdf.add_blank_page()
        layer = pdf.make_indirect(
            pikepdf.Dictionary(Type=pikepdf.Name.OCG, Name=pikepdf.String("draft"))
        )
        properties = pikepdf.Dictionary(Properties=pikepdf.Dictionary(L=layer))
        pdf.pages[0].obj.Resources = properties
        pdf.Root.OCProperties = pikepdf.Dictionary(
            OCGs=pikepdf.Array([layer]), D=pikepdf.Dictionary(OFF=pikepdf.Array([layer]))
        )
        pdf.save(path)
    made = await extract(path, out, "1")
    with pikepdf.open(made) as pdf:
        layer = pdf.pages[0].obj.Resources.Properties.L
        assert [one.objgen for one in pdf.Root.OCProperties.D.OFF] == [layer.objgen]


async def test_the_document_is_still_called_what_it_was(tmp_path: Path, out: Path) -> None:
    made = await extract(pdfs.book(tmp_path / "book.pdf", 2, "Atlas"), out, "1")
    with pikepdf.open(made) as pdf:
        assert str(pdf.docinfo["/Title"]) == "Atlas"


async def test_what_is_of_all_pages_stays(tmp_path: Path, out: Path) -> None:
    made = await extract(pdfs.with_files(tmp_path / "invoice.pdf", data=b"<total/>"), out, "1")
    assert pdfs.files(made) == {"data.xml": b"<total/>"}
    with pikepdf.open(made) as pdf:
        assert str(pdf.Root.Lang) == "de-AT"
        assert len(pdf.Root.AF) == 1


async def test_it_tells_of_each_page(tmp_path: Path, out: Path) -> None:
    told: list[tuple[int, int]] = []

    async def tell(current: int, total: int) -> None:
        told.append((current, total))

    async with progress_to(tell):
        await extract(pdfs.book(tmp_path / "book.pdf", 5), out, "2-4")
    assert told == [(1, 3), (2, 3), (3, 3)]


async def test_the_same_pages_give_the_same_bytes(tmp_path: Path, out: Path) -> None:
    source = pdfs.book(tmp_path / "book.pdf", 5)
    first, second = await extract(source, out / "1", "2-4"), await extract(source, out / "2", "2-4")
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("pages", ["4-9", "0", "7", "3-2"])
async def test_pages_that_are_not_there_are_refused(pages: str, tmp_path: Path, out: Path) -> None:
    with pytest.raises(PageRangeError) as caught:
        await extract(pdfs.book(tmp_path / "book.pdf", 5), out, pages)
    assert caught.value.details == {"pages": pages, "page_count": 5}
    assert not out.exists()


@pytest.mark.parametrize("pages", ["", "all", "1;2", "-3", "1,,2"])
def test_what_names_no_pages_is_refused_before_it_is_taken_in(pages: str) -> None:
    with pytest.raises(ValidationError, match="pages"):
        ExtractPagesParams(pages=pages)
