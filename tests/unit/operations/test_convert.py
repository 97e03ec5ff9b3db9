"""Images in other formats: the same size, the same colours, upright, nothing of the metadata."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from operations import convert
from operations.convert import ConvertParams
from store.errors import LimitExceededError

RED, GREEN, BLUE, WHITE = (254, 0, 0), (0, 128, 0), (0, 0, 254), (255, 255, 255)


def quarters() -> Image.Image:
    """Red, green, blue and white, clockwise from the top left."""
    image = Image.new("RGB", (64, 48), WHITE)
    image.paste(RED, (0, 0, 32, 24))
    image.paste(GREEN, (32, 0, 64, 24))
    image.paste(BLUE, (32, 24, 64, 48))
    return image


def colours(image: Image.Image) -> list[tuple[int, int, int]]:
    plain = image.convert("RGB")
    width, height = plain.size
    places = [(0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75)]
    return [plain.getpixel((int(x * width), int(y * height))) for x, y in places]  # pyright: ignore[reportReturnType]


def are_near(found: Any, expected: Any, tolerance: int = 6) -> bool:
    return bool(np.abs(np.array(found, int) - np.array(expected, int)).max() <= tolerance)


async def converted(source: Path, out: Path, kind: str = "png", **more: Any) -> Image.Image:
    quality = {} if kind == "png" else {"quality": 95}
    params = ConvertParams(target_format=f"image/{kind}", **{**quality, **more})  # pyright: ignore[reportArgumentType]
    result = await convert.fn(source, params, folder=out)
    assert len(result.files) == 1
    with Image.open(out / result.files[0]) as image:
        image.load()
        return image


def _saved(image: Image.Image, path: Path, **how: Any) -> None:
    image.save(path, **how)


# As a camera that was held upright saves it: lying, and a note that it is.
LYING = quarters().transpose(Image.Transpose.ROTATE_90)
TURNED = Image.Exif()
TURNED[0x0112] = 6

SAVED: dict[str, Callable[[Path], None]] = {
    "palette.png": partial(_saved, quarters().quantize(8)),
    "alpha.png": partial(_saved, quarters().convert("RGBA")),
    "alpha.webp": partial(_saved, quarters().convert("RGBA"), lossless=True),
    "rgb.tif": partial(_saved, quarters(), compression="tiff_lzw"),
    "cmyk.tif": partial(_saved, quarters().convert("CMYK")),
    "cmyk.jpg": partial(_saved, quarters().convert("CMYK"), quality=98),
    "ycc.jpg": partial(_saved, quarters(), quality=98, subsampling=0),
    "turned.jpg": partial(_saved, LYING, exif=TURNED, quality=98, subsampling=0),
    "turned.png": partial(_saved, LYING, exif=TURNED),
}


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
@pytest.mark.parametrize("name", SAVED)
async def test_the_colours_are_those_people_see(
    name: str, kind: str, tmp_path: Path, out: Path
) -> None:
    SAVED[name](tmp_path / name)
    image = await converted(tmp_path / name, out, kind)
    assert image.size == (64, 48)
    assert are_near(colours(image), [RED, GREEN, BLUE, WHITE]), colours(image)


async def test_black_and_white_stays_so(tmp_path: Path, out: Path) -> None:
    bits = Image.fromarray(np.indices((40, 60)).sum(0) % 2 == 0)
    for name, more in (("a.png", {}), ("b.tif", {"compression": "group4"})):
        bits.save(tmp_path / name, **more)
        image = await converted(tmp_path / name, out)
        assert image.mode == "1"
        assert np.array_equal(np.array(image), np.array(bits))
        assert are_near(
            np.array(await converted(tmp_path / name, out, "jpeg")), np.array(bits) * 255, 40
        )


@pytest.mark.parametrize("order", ["I;16", "I;16B"])
async def test_sixteen_bits_are_kept_by_png_and_seen_right_by_others(
    order: str, tmp_path: Path, out: Path
) -> None:
    ramp = np.linspace(0, 65535, 64 * 32).reshape(32, 64).astype(np.uint16)
    path = tmp_path / ("deep.png" if order == "I;16" else "deep.tif")
    image = Image.fromarray(ramp)
    (image if order == "I;16" else image.convert("I").convert("I;16B")).save(path)
    kept = await converted(path, out)
    assert kept.mode == "I;16"
    assert np.array_equal(np.array(kept), ramp)
    assert are_near(np.array(await converted(path, out, "jpeg")), ramp // 256)


async def test_png_to_png_is_the_same_bit_for_bit(samples: Path, tmp_path: Path, out: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (90, 130, 4), np.uint8)
    for mode in ("L", "LA", "RGB", "RGBA"):
        image = Image.fromarray(noise).convert(mode)
        image.save(tmp_path / f"{mode}.png")
        again = await converted(tmp_path / f"{mode}.png", out)
        assert again.mode == mode
        assert np.array_equal(np.array(again), np.array(image))


async def test_transparency_is_kept_but_by_jpeg_which_has_white_there(
    tmp_path: Path, out: Path
) -> None:
    image = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    image.paste((200, 20, 20, 255), (0, 0, 20, 40))
    image.save(tmp_path / "a.png")
    for kind in ("png", "webp"):
        kept = await converted(tmp_path / "a.png", out, kind)
        assert kept.mode == "RGBA"
        assert kept.getchannel("A").getextrema() == (0, 255)
    flat = await converted(tmp_path / "a.png", out, "jpeg")
    assert are_near(flat.getpixel((33, 20)), WHITE)
    assert are_near(flat.getpixel((5, 20)), (200, 20, 20), 12)


async def test_a_colour_that_png_calls_transparent_is(tmp_path: Path, out: Path) -> None:
    Image.new("RGB", (20, 20), GREEN).save(tmp_path / "a.png", transparency=GREEN)
    assert are_near((await converted(tmp_path / "a.png", out, "jpeg")).getpixel((9, 9)), WHITE)


async def test_colours_of_another_profile_become_those_of_srgb(tmp_path: Path, out: Path) -> None:
    lab = ImageCms.createProfile("LAB")
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    image = ImageCms.profileToProfile(quarters(), srgb, lab, outputMode="LAB")
    assert image is not None
    image.save(tmp_path / "lab.tif")
    found = colours(await converted(tmp_path / "lab.tif", out))
    # The bluest blue of sRGB is rounded most in eight bits of L*a*b*.
    assert are_near(found, [RED, GREEN, BLUE, WHITE], 24), found


async def test_a_profile_that_is_nonsense_changes_nothing(tmp_path: Path, out: Path) -> None:
    quarters().save(tmp_path / "a.png", icc_profile=b"no profile")
    assert colours(await converted(tmp_path / "a.png", out)) == [RED, GREEN, BLUE, WHITE]


async def test_nothing_of_the_metadata_is_left(tmp_path: Path, out: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "A secret camera"
    text = PngInfo()
    text.add_text("Author", "A secret author")
    quarters().save(tmp_path / "a.png", exif=exif, pnginfo=text, dpi=(300, 300))
    quarters().save(tmp_path / "a.jpg", exif=exif, comment=b"A secret note")
    for name in ("a.png", "a.jpg"):
        for kind in ("png", "jpeg", "webp"):
            folder = out / name / kind
            image = await converted(tmp_path / name, folder, kind)
            (made,) = folder.iterdir()
            assert b"secret" not in made.read_bytes()
            assert not {"exif", "comment", "Author", "icc_profile", "dpi"} & set(image.info)


async def test_each_page_of_a_tiff_is_a_file(tmp_path: Path, out: Path) -> None:
    pages = [Image.new("RGB", (20 + n, 10), (n * 60, 0, 0)) for n in range(3)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    result = await convert.fn(
        tmp_path / "a.tif", ConvertParams(target_format="image/png"), folder=out
    )
    assert result.files == ["page-1.png", "page-2.png", "page-3.png"]
    for n, name in enumerate(result.files):
        image = Image.open(out / name)
        assert (image.size, image.getpixel((3, 3))) == ((20 + n, 10), (n * 60, 0, 0))


async def test_a_higher_quality_is_a_larger_file_and_nearer_to_the_image(
    tmp_path: Path, out: Path
) -> None:
    noise = np.random.default_rng(2).integers(0, 255, (120, 120, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    for kind in ("jpeg", "webp"):
        sizes, distances = [], []
        for quality in (10, 90):
            folder = out / kind / str(quality)
            image = await converted(tmp_path / "a.png", folder, kind, quality=quality)
            (made,) = folder.iterdir()
            sizes.append(made.stat().st_size)
            distances.append(float(np.abs(np.array(image, int) - noise).mean()))
        assert sizes[0] < sizes[1]
        assert distances[0] > distances[1]


async def test_an_image_too_long_for_webp_is_refused_with_the_remedy(
    tmp_path: Path, out: Path
) -> None:
    Image.new("L", (20_000, 4)).save(tmp_path / "a.png")
    with pytest.raises(LimitExceededError, match="Take another format") as caught:
        await converted(tmp_path / "a.png", out, "webp")
    assert caught.value.details["limit_side_pixels"] == 16_383
    assert not out.exists()


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"target_format": "image/png", "quality": 80}, "has no quality"),
        ({"target_format": "image/jpeg"}, "needs a quality"),
        ({"target_format": "image/webp"}, "needs a quality"),
        ({"target_format": "image/jpeg", "quality": 0}, "greater than or equal to 1"),
        ({"target_format": "image/webp", "quality": 101}, "less than or equal to 100"),
        ({"target_format": "image/gif"}, "Input should be"),
        ({}, "required"),
    ],
)
def test_parameters_without_an_effect_are_refused(params: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        ConvertParams.model_validate(params)
