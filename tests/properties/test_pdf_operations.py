"""What holds for every PDF, however its pages are taken apart and put together."""

import tempfile
from pathlib import Path

import pikepdf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reportlab.pdfgen.canvas import Canvas

from operations.tools.assembly import Part, merge_files, write_parts
from operations.tools.page_images import write_page_images
from operations.tools.upright import PageTurn, write_turned
from tests import pdfs

pages = st.lists(
    st.tuples(st.integers(72, 900), st.integers(72, 900), st.sampled_from([0, 90, 180, 270])),
    min_size=1,
    max_size=6,
)
quick = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def document(folder: Path, shapes: list[tuple[int, int, int]]) -> Path:
    path = folder / "document.pdf"
    canvas = Canvas(str(path), invariant=1)
    for number, (width, height, _) in enumerate(shapes, 1):
        canvas.setPageSize((width, height))
        canvas.drawString(10, height / 2, f"page {number}")
        canvas.bookmarkPage(str(number))
        canvas.addOutlineEntry(f"to {number}", str(number))
        canvas.showPage()
    canvas.save()
    with pikepdf.open(path, allow_overwriting_input=True) as pdf:
        for page, (_, _, rotation) in zip(pdf.pages, shapes, strict=True):
            page.obj.Rotate = rotation
        pdf.save(path)
    return path


def rotations(path: Path) -> list[int]:
    with pikepdf.open(path) as pdf:
        return [int(page.obj.get("/Rotate", 0)) for page in pdf.pages]


def looks(path: Path) -> tuple[object, ...]:
    return (
        pdfs.texts(path),
        pdfs.sizes(path),
        rotations(path),
        pdfs.bookmarks(path),
    )


@quick
@given(pages)
def test_a_document_that_is_split_and_merged_is_what_it_was(
    shapes: list[tuple[int, int, int]],
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = document(folder, shapes)
        parts = [Part(f"{number}.pdf", [number]) for number in range(1, len(shapes) + 1)]
        write_parts(source, parts, folder)
        merge_files([folder / part.file for part in parts], folder / "merged.pdf")
        assert looks(folder / "merged.pdf") == looks(source)


@quick
@given(pages)
def test_all_pages_of_a_document_are_the_document(shapes: list[tuple[int, int, int]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = document(folder, shapes)
        write_parts(source, [Part("all.pdf", list(range(1, len(shapes) + 1)))], folder)
        assert looks(folder / "all.pdf") == looks(source)


@quick
@given(pages, st.data())
def test_pages_that_are_taken_out_are_those_pages(
    shapes: list[tuple[int, int, int]], data: st.DataObject
) -> None:
    numbers = sorted(data.draw(st.sets(st.integers(1, len(shapes)), min_size=1)))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = document(folder, shapes)
        write_parts(source, [Part("some.pdf", numbers)], folder)
        made = folder / "some.pdf"
        for of in (pdfs.texts, pdfs.sizes, rotations):
            assert of(made) == [of(source)[number - 1] for number in numbers]
        expected = [(0, f"to {n}", at) for at, n in enumerate(numbers, 1)]
        assert pdfs.bookmarks(made) == expected


@quick
@given(pages, st.lists(st.sampled_from([90, 180, 270]), min_size=1, max_size=4))
def test_turns_add_up(shapes: list[tuple[int, int, int]], turns: list[int]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = at = document(folder, shapes)
        for n, degrees in enumerate(turns):
            to = folder / f"turned-{n}.pdf"
            write_turned(at, [PageTurn(number=1, turned_degrees=degrees)], to)
            at = to
        before = rotations(source)
        assert rotations(at) == [(before[0] + sum(turns)) % 360, *before[1:]]
        assert pdfs.texts(at) == pdfs.texts(source)


@settings(quick, max_examples=10)
@given(pages, st.integers(72, 120))
def test_an_image_is_as_large_as_its_page(shapes: list[tuple[int, int, int]], dpi: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = document(folder, shapes)
        names = [(number, f"{number}.png") for number in range(1, len(shapes) + 1)]
        write_page_images(source, names, dpi, folder)
        for (width, height), (_, file) in zip(pdfs.sizes(source), names, strict=True):
            header = (folder / file).read_bytes()[16:24]
            found = int.from_bytes(header[:4], "big"), int.from_bytes(header[4:], "big")
            assert found == (-(-round(width) * dpi // 72), -(-round(height) * dpi // 72))
