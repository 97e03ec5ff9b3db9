"""What a project file says of export: which files, what they are called, and where they go."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from store.export_names import placeholders_of
from store.project_fields import Part


def _is_template(template: str) -> str:
    placeholders_of(template)
    return template


NameTemplate = Annotated[str, Field(max_length=200), AfterValidator(_is_template)]
"""`{document_type}-{invoice_number}`; may be empty."""


class ExportPart(Part):
    """What a finished task leaves with."""

    formats: list[Literal["json", "csv", "pdf"]] = Field(default=["json"])
    """json and csv: the data; pdf: the pages with the text laid under them."""
    csv_rows: Literal["line_item", "document"] = "line_item"
    """What has a row in the CSV file: line_item: each row of a table, with the other values of its
    document again in each; document: each document, with a table in one cell, as JSON."""
    name: NameTemplate = ""
    """What the files are called, without their ending: `{document_type}-{invoice_number}`. In
    braces stand names of fields or blocks, and `task`, `project`, `document_type`, `document`
    (its number), `input` (the file that came in, without its ending)."""
    to: str = Field(default="", max_length=1000)
    """Where the files are put: a folder below the server's folder for exports, like `invoices`, or
    the URL of a folder or bucket that the server allows: `s3://bucket/invoices`."""
    pickup: bool = False
    """A client fetches the files: the task waits until it says that it has them."""

    @model_validator(mode="after")
    def _goes_one_way(self) -> "ExportPart":
        if self.to and self.pickup:
            raise ValueError(
                "give `to` (the files are put there) or `pickup` (a client fetches them), not both"
            )
        return self
