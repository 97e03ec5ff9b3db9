"""Write an image in another format."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from operations.registry import MadeFiles, Params, operation, report_progress
from operations.tools import photos
from operations.tools.child import in_child


class ConvertParams(Params):
    """Which format."""

    target_format: Literal["image/png", "image/jpeg", "image/webp"]
    """PNG keeps each pixel, JPEG and WebP are smaller. JPEG has no transparency: paper white
    shows through."""
    quality: int | None = Field(default=None, ge=1, le=100, examples=[85])
    """From 1 to 100 (best and largest), of JPEG and WebP, which need it. PNG has none."""

    @model_validator(mode="after")
    def _quality_has_an_effect(self) -> Self:
        if self.target_format == "image/png" and self.quality is not None:
            raise ValueError("image/png has no quality: leave it out, or take another format")
        if self.target_format != "image/png" and self.quality is None:
            raise ValueError(f"{self.target_format} needs a quality from 1 to 100")
        return self


class ConvertResult(MadeFiles):
    """The image in its new format: a file for each page of a TIFF."""


@operation(timeout_seconds=3600, accepts=("image",))
async def convert(source: Path, params: ConvertParams, *, folder: Path) -> ConvertResult:
    """Write an image as PNG, JPEG or WebP: upright, in sRGB, without metadata.

    Each page of a TIFF becomes a file.
    """
    pictures = await in_child(photos.pictures, source)
    files: list[str] = []
    for picture in pictures:
        name = photos.name_of(picture, pictures, "converted")
        files.append(
            await in_child(
                photos.convert, picture, params.target_format, params.quality, name, folder
            )
        )
        await report_progress(picture.page_number, len(pictures))
    return ConvertResult(files=files)
