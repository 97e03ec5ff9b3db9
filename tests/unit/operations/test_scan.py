"""Photos of documents made flat: scan, detect-documents, warp, apply-effect."""

import os
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from operations import apply_effect, detect_documents, scan, warp
from operations.apply_effect import ApplyEffectParams
from operations.detect_documents import DetectDocumentsParams
from operations.registry import progress_to
from operations.scan import ScanParams, ScanResult
from operations.tools.perspective import flat_size
from operations.tools.tesseract import find_program
from operations.warp import WarpParams
from store.errors import InputError
from tests.photos import LINES, page, photo

LETTER = [(512.4, 96.2), (1104.8, 148.5), (1172.1, 1080.6), (420.3, 1010.9)]
RECEIPT = [(60.3, 140.8), (380.6, 170.2), (370.1, 1050.7), (30.9, 1010.4)]


def opened(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.copy()


def values(path: Path) -> NDArray[np.int16]:
    return np.array(opened(path), np.int16)


def signal_to_noise(found: NDArray[Any], expected: NDArray[Any]) -> float:
    """PSNR in dB."""
    error = float(np.mean((found.astype(float) - expected) ** 2))
    return 99.0 if error == 0 else 10 * np.log10(255**2 / error)


async def scanned(
    path: Path, out: Path, effect: str = "none", mode: str = "standard"
) -> ScanResult:
    params = ScanParams.model_validate({"effect": effect, "scan_mode": mode})
    return await scan.fn(path, params, folder=out)


async def effect_of(path: Path, out: Path, effect: str) -> Path:
    params = ApplyEffectParams.model_validate({"effect": effect})
    result = await apply_effect.fn(path, params, folder=out)
    return out / result.files[0]


@pytest.fixture
def letter(tmp_path: Path) -> Path:
    path = tmp_path / "letter.jpg"
    photo("wood", [(page(), LETTER)]).save(path, quality=92)
    return path


async def test_documents_are_told_by_corners_and_rectangle(tmp_path: Path, out: Path) -> None:
    made = photo("stone", [(page(500, 1300), RECEIPT), (page(), LETTER)])
    made.save(tmp_path / "a.png")
    result = await detect_documents.fn(tmp_path / "a.png", DetectDocumentsParams(), folder=out)
    assert len(result.documents) == 2
    for found, corners in zip(result.documents, [LETTER, RECEIPT], strict=True):
        for vertex, (x, y) in zip(found.vertices, corners, strict=True):
            assert abs(vertex.x - x) < 3
            assert abs(vertex.y - y) < 3
        box = found.bounding_box
        assert box.left == min(vertex.x for vertex in found.vertices)
        assert box.top == min(vertex.y for vertex in found.vertices)
        assert abs(box.left + box.width - max(vertex.x for vertex in found.vertices)) < 0.02
        assert abs(box.top + box.height - max(vertex.y for vertex in found.vertices)) < 0.02


async def test_corners_are_those_of_the_upright_photo(tmp_path: Path, out: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = photo("wood", [(page(), LETTER)])
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "a.jpg", exif=exif, quality=92)
    result = await detect_documents.fn(tmp_path / "a.jpg", DetectDocumentsParams(), folder=out)
    (found,) = result.documents
    assert np.abs(np.array([(v.x, v.y) for v in found.vertices]) - LETTER).max() < 3
    assert await scanned(tmp_path / "a.jpg", out)
    assert opened(out / "scan.jpg").height > opened(out / "scan.jpg").width


async def test_a_scan_is_the_document_laid_flat(letter: Path, out: Path) -> None:
    result = await scanned(letter, out)
    assert result.files == ["scan.jpg"]
    (document,) = result.documents
    assert document.vertices is not None
    flat = opened(out / "scan.jpg")
    # Where on the page the red box is, the scan has it too.
    width, height = flat.size
    red, green, _ = flat.resize((900, 1270)).getpixel((200, 50))  # pyright: ignore[reportGeneralTypeIssues]
    assert red > green + 40
    assert flat.resize((900, 1270)).getpixel((60, 1200))[1] > 200  # pyright: ignore[reportIndexIssue, reportOptionalSubscript]
    assert width >= 590
    assert height >= 930


async def test_each_document_of_a_photo_is_a_file(tmp_path: Path, out: Path) -> None:
    photo("dark", [(page(), LETTER), (page(500, 1300), RECEIPT)]).save(tmp_path / "a.png")
    result = await scanned(tmp_path / "a.png", out, "grayscale")
    assert result.files == ["scan-document-1.png", "scan-document-2.png"]
    assert [opened(out / name).mode for name in result.files] == ["L", "L"]
    assert all(document.vertices for document in result.documents)


async def test_where_no_document_is_found_the_whole_photo_is_taken(
    samples: Path, out: Path
) -> None:
    result = await scanned(samples / "phototest.tif", out)
    assert result.files == ["scan.png"]
    assert result.documents[0].vertices is None
    assert np.array_equal(values(out / "scan.png"), values(samples / "phototest.tif") * 255)


async def test_scan_mode_none_looks_for_nothing(letter: Path, out: Path) -> None:
    result = await scanned(letter, out, "grayscale", "none")
    assert result.documents[0].vertices is None
    assert opened(out / result.files[0]).size == opened(letter).size


async def test_each_page_of_a_tiff_is_scanned(tmp_path: Path, out: Path) -> None:
    two = photo("dark", [(page(), LETTER), (page(500, 1300), RECEIPT)])
    two.save(tmp_path / "a.tif", save_all=True, append_images=[page()])
    reported: list[tuple[int, int]] = []

    async def report(current: int, total: int) -> None:
        reported.append((current, total))

    async with progress_to(report):
        result = await scanned(tmp_path / "a.tif", out)
    assert result.files == ["page-1-document-1.png", "page-1-document-2.png", "page-2.png"]
    assert [document.page_number for document in result.documents] == [1, 1, 2]
    assert reported == [(1, 2), (2, 2)]


Operate = Callable[[Path, Path], Awaitable[Any]]
ON_ONE_PAGE: dict[str, Operate] = {
    "detect-documents": lambda path, out: detect_documents.fn(
        path, DetectDocumentsParams(), folder=out
    ),
    "warp": lambda path, out: warped(path, out, LETTER),
}


@pytest.mark.parametrize("name", ON_ONE_PAGE)
async def test_vertices_are_not_those_of_several_pages(
    name: str, tmp_path: Path, out: Path
) -> None:
    page(90, 120).save(tmp_path / "a.tif", save_all=True, append_images=[page(90, 120)])
    with pytest.raises(InputError, match="`convert` makes an image of each page"):
        await ON_ONE_PAGE[name](tmp_path / "a.tif", out)


# Warp


async def warped(path: Path, out: Path, vertices: Any) -> Path:
    params = WarpParams.model_validate({"vertices": [{"x": x, "y": y} for x, y in vertices]})
    return out / (await warp.fn(path, params, folder=out)).files[0]


async def test_warping_a_page_that_needs_none_gives_the_page(tmp_path: Path, out: Path) -> None:
    page(401, 567).save(tmp_path / "a.png")
    corners = [(0, 0), (401, 0), (401, 567), (0, 567)]
    assert np.array_equal(
        values(await warped(tmp_path / "a.png", out, corners)), values(tmp_path / "a.png")
    )
    page(401, 567).save(tmp_path / "a.jpg", quality=92)
    found = values(await warped(tmp_path / "a.jpg", out, corners))
    assert signal_to_noise(found, values(tmp_path / "a.jpg")) > 38


async def test_warping_undoes_the_perspective(tmp_path: Path, out: Path) -> None:
    flat = page(600, 850)
    photo("dark", [(flat, LETTER)], noise=0).save(tmp_path / "a.png")
    found = opened(await warped(tmp_path / "a.png", out, LETTER)).resize(flat.size)
    unrelated = signal_to_noise(np.full((850, 600, 3), 240), np.array(flat))
    assert signal_to_noise(np.array(found), np.array(flat)) > unrelated + 6
    assert signal_to_noise(np.array(found), np.array(flat)) > 20


async def test_text_is_not_mirrored_whichever_way_round_the_vertices_go(
    letter: Path, out: Path
) -> None:
    one = values(await warped(letter, out, LETTER))
    other = values(await warped(letter, out, [LETTER[0], *LETTER[:0:-1]]))
    assert np.array_equal(one, other)


@pytest.mark.parametrize(
    ("vertices", "reason"),
    [
        ([(0, 0), (10, 10), (20, 20), (30, 30)], "collinear"),
        ([(0, 0), (50, 0), (100, 0), (50, 90)], "collinear"),
        ([(5, 5), (5, 5), (90, 90), (5, 90)], "degenerate"),
        ([(5, 5), (5, 5), (5, 5), (5, 5)], "degenerate"),
        ([(5, 5), (90, 90), (90, 5), (5, 90)], "self_crossing"),
        ([(5, 5), (90, 5), (30, 30), (5, 90)], "not_convex"),
        ([(-1, 5), (90, 5), (90, 90), (5, 90)], "out_of_image"),
        ([(5, 5), (101, 5), (90, 90), (5, 90)], "out_of_image"),
        ([(5, 5), (90, 5), (90, 1e300), (5, 90)], "out_of_image"),
    ],
)
async def test_vertices_that_frame_nothing_are_refused_by_name(
    vertices: list[tuple[float, float]], reason: str, tmp_path: Path, out: Path
) -> None:
    page(100, 100).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="vert") as caught:
        await warped(tmp_path / "a.png", out, vertices)
    assert caught.value.details["reason"] == reason
    assert caught.value.details["vertices"] == [{"x": x, "y": y} for x, y in vertices]
    assert not out.exists()


@pytest.mark.parametrize(
    "vertices",
    [
        [],
        [{"x": 1, "y": 1}] * 3,
        [{"x": 1, "y": 1}] * 5,
        [{"x": 1}] * 4,
        [{"x": float("nan"), "y": 1}] * 4,
        [{"x": 1, "y": 1, "z": 1}] * 4,
    ],
)
def test_vertices_are_four_pairs_of_numbers(vertices: list[Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        WarpParams.model_validate({"vertices": vertices})


@pytest.mark.parametrize("ratio", [210 / 297, 85.6 / 54, 80 / 240])
@pytest.mark.parametrize("tilt", [(0.0, 0.0), (0.5, 0.0), (0.0, 0.45), (0.35, -0.4)])
def test_a_document_keeps_its_proportions(ratio: float, tilt: tuple[float, float]) -> None:
    """A camera of the usual focal length looks down on it from aslant."""
    half = np.array([(-ratio, -1.0), (ratio, -1.0), (ratio, 1.0), (-ratio, 1.0)]) / 2
    sheet = np.column_stack([half, np.zeros(4)])
    (sx, cx), (sy, cy) = ((np.sin(one), np.cos(one)) for one in tilt)
    around_x = np.array([(1, 0, 0), (0, cx, -sx), (0, sx, cx)])
    around_y = np.array([(cy, 0, sy), (0, 1, 0), (-sy, 0, cy)])
    placed = sheet @ (around_x @ around_y).T + (0, 0, 1.6)
    focal = 0.8 * 4000
    corners = placed[:, :2] / placed[:, 2:] * focal + (2000, 1500)
    width, height = flat_size(corners, 4000, 3000)
    assert abs(width / height / ratio - 1) < 0.02


# Effects


@pytest.mark.parametrize("effect", ["grayscale", "scanner", "black-background"])
@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tif"])
async def test_an_effect_keeps_size_and_format(
    effect: str, ending: str, tmp_path: Path, out: Path
) -> None:
    page(211, 307).save(tmp_path / f"a.{ending}")
    made = await effect_of(tmp_path / f"a.{ending}", out, effect)
    assert made.suffix == {"tif": ".png"}.get(ending, f".{ending}")
    assert opened(made).size == (211, 307)
    channels = values(made)
    if channels.ndim == 3:  # WebP has no gray
        channels = channels[:, :, :3]
        assert np.abs(channels - channels[:, :, :1]).max() <= 4


async def test_grayscale_is_lightness(tmp_path: Path, out: Path) -> None:
    Image.new("RGB", (30, 30), (255, 0, 0)).save(tmp_path / "a.png")
    assert int(values(await effect_of(tmp_path / "a.png", out, "grayscale")).max()) == 76


@pytest.fixture
def uneven(tmp_path: Path) -> Path:
    """A page with light from one side, a soft shadow over a half, and noise."""
    path = tmp_path / "uneven.png"
    random = np.random.default_rng(4)
    sheet = np.array(page(1200, 1650), np.float32)
    y, x = np.mgrid[0 : sheet.shape[0], 0 : sheet.shape[1]]
    light = 0.95 - 0.35 * x / sheet.shape[1]
    light = light * (1 - 0.5 / (1 + np.exp(-(y - 0.6 * x - 500) / 60)))
    lit = sheet * light[:, :, None] + random.normal(0, 9, sheet.shape)
    Image.fromarray(np.clip(lit, 0, 255).astype(np.uint8)).save(path)
    return path


async def test_the_scanner_effect_has_flat_white_paper_and_black_text(
    uneven: Path, out: Path
) -> None:
    made = values(await effect_of(uneven, out, "scanner"))
    before = values(uneven).mean(axis=2)
    sheet = np.array(page(1200, 1650).convert("L"))
    # Between the lines; beside a letter paper and ink are mixed.
    paper = np.array(page(1200, 1650).convert("L").filter(ImageFilter.MinFilter(7))) > 235
    ink = sheet < 60
    assert (
        np.ptp([before[paper & (np.indices(sheet.shape)[0] // 300 == n)].mean() for n in range(5)])
        > 60
    )
    assert (made[paper] == 255).mean() > 0.97
    assert np.median(made[ink]) < 60


async def test_black_background_is_the_negative_of_the_scan(uneven: Path, out: Path) -> None:
    scan_ = values(await effect_of(uneven, out / "a", "scanner"))
    assert np.array_equal(
        values(await effect_of(uneven, out / "b", "black-background")), 255 - scan_
    )


async def test_text_in_uneven_light_is_read_better_after_the_scanner_effect(
    uneven: Path, out: Path
) -> None:
    made = await effect_of(uneven, out, "scanner")
    truth = "\n".join(LINES[n % len(LINES)] for n in range(2, 21))
    before, after = (error_rate(read_by_tesseract(path), truth) for path in (uneven, made))
    assert after < before, (before, after)
    assert after < 0.1, (before, after)


def read_by_tesseract(path: Path) -> str:
    program = find_program()
    more = {"TESSDATA_PREFIX": program.models} if program.models else {}
    command = [program.command, str(path), "stdout", "--psm", "6"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, **more}
    )
    return done.stdout


def error_rate(found: str, truth: str) -> float:
    """Characters to insert, delete and replace, as a share of those that are there."""
    a, b = ("".join(text.split()) for text in (found, truth))
    row = list(range(len(b) + 1))
    for n, one in enumerate(a, 1):
        above, row[0] = row[0], n
        for m, other in enumerate(b, 1):
            above, row[m] = row[m], min(row[m] + 1, row[m - 1] + 1, above + (one != other))
    return row[-1] / len(b)
