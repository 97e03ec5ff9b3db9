"""What was filled into a form."""

from pathlib import Path
from typing import Literal

from operations.pdf_params import PdfParams, admitted
from operations.registry import Result, operation, report_progress
from operations.tools.child import in_child
from operations.tools.form_values import read_form
from operations.tools.scratch import scratch_folder


class ExtractFormParams(PdfParams):
    """How the file is opened."""


class FormField(Result):
    """A field of a form."""

    name: str
    """Its full name: those of the groups it is in, with dots."""
    type: Literal["text", "checkbox", "radio", "choice", "signature"]
    value: str | bool | list[str] | None
    """What is in it: text; true or false of a checkbox, and of a signature whether it is there;
    the chosen one, or several; null where nothing is."""
    label: str
    """What a reader shows of it; empty where there is nothing."""
    page_numbers: list[int]
    """1-based; a field may be on several pages, or on none."""


class ExtractFormResult(Result):
    """The form."""

    fields: list[FormField]
    """In the order of the form; empty where the file has none."""


@operation(timeout_seconds=600, accepts=("pdf",))
async def extract_form(
    source: Path,
    params: ExtractFormParams,
    *,
    folder: Path,  # noqa: ARG001  # it makes no file
) -> ExtractFormResult:
    """Read what was filled into the form (AcroForm) of a PDF: each field by its name, no OCR."""
    with scratch_folder() as needed:
        facts = await admitted(source, params, needed)
        found = await in_child(read_form, facts.path)
    await report_progress(1, 1)
    return ExtractFormResult(
        fields=[
            FormField(
                name=one.name,
                type=one.kind,  # pyright: ignore[reportArgumentType]  # checked by the model
                value=one.value,
                label=one.label,
                page_numbers=one.page_numbers,
            )
            for one in found
        ]
    )
