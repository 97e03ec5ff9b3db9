"""Make an image look like a scan."""

from pathlib import Path
from typing import Literal

from operations.registry import MadeFiles, Params, operation, report_progress
from operations.tools import photos
from operations.tools.child import in_child


class ApplyEffectParams(Params):
    """Which effect."""

    effect: Literal["grayscale", "scanner", "black-background"]
    """grayscale: without colour; scanner: black text on flat white, however uneven the light was;
    black-background: the negative of that."""


class ApplyEffectResult(MadeFiles):
    """The image with its effect: a file for each page of a TIFF."""


@operation(timeout_seconds=3600, accepts=("image",))
async def apply_effect(
    source: Path, params: ApplyEffectParams, *, folder: Path
) -> ApplyEffectResult:
    """Apply an effect to an image, whose size stays as it is.

    The file has the format of the image; of a TIFF each page becomes a PNG.
    """
    pictures = await in_child(photos.pictures, source)
    files: list[str] = []
    for picture in pictures:
        name = photos.name_of(picture, pictures, params.effect)
        files.append(await in_child(photos.apply_effect, picture, params.effect, name, folder))
        await report_progress(picture.page_number, len(pictures))
    return ApplyEffectResult(files=files)
