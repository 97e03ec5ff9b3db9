"""Make a scanned PDF searchable."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from operations.pdf_params import RewritingParams, admitted
from operations.read_pages import HowRead, ReadPagesParams, how_read, read
from operations.registry import MadeFiles, operation
from operations.tools.child import in_child
from operations.tools.page_range import Pages
from operations.tools.scratch import scratch_folder
from operations.tools.searchable import make_searchable


class OcrParams(RewritingParams):
    """Which pages are read, and how."""

    mode: Literal["auto", "skip", "force"] = "auto"
    """auto: pages whose text layer is good stay as they are; skip: so do pages with any text;
    force: every page is read. Text of an earlier OCR is replaced on the pages that are read."""
    languages: list[str] = Field(default=["eng"], min_length=1)
    """Tesseract's names of the languages on the pages."""
    dpi: int = Field(default=300, ge=72, le=600)
    """Dots per inch at which pages are rendered for OCR."""
    pages: Pages = ""
    """Which pages, like `2-7` or `2,3,7`; all when empty. The others stay as they are."""


class OcrResult(MadeFiles):
    """The searchable PDF."""

    page_count: int
    """How many pages it has."""
    read: HowRead
    """How they were read."""


@operation(timeout_seconds=6 * 3600, accepts=("pdf",))
async def ocr(source: Path, params: OcrParams, *, folder: Path) -> OcrResult:
    """Make a PDF searchable: invisible text is laid exactly over the words on its pages.

    What is seen stays as it is: no image is encoded anew.
    """
    read_params = ReadPagesParams(
        mode="force" if params.mode == "force" else "auto",
        languages=params.languages,
        dpi=params.dpi,
        pages=params.pages,
    )
    with scratch_folder() as needed, scratch_folder() as pages_folder:
        facts = await admitted(source, params, needed)
        found = await read(
            facts.path,
            read_params,
            pages_folder,
            with_images=False,
            keep_any_text=params.mode == "skip",
        )
        layers = [pages_folder / name for name in found.text_layer_files]
        target = folder / "searchable.pdf"
        count = await in_child(make_searchable, facts.path, layers, needed, target)
    how = how_read(read_params, found).model_copy(update={"mode": params.mode})
    return OcrResult(files=[target.name], page_count=count, read=how)
