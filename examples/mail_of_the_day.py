"""A flow of one's own with Papertray's operations: the letters of a day become one text.

python examples/mail_of_the_day.py scans/ out/
"""

import asyncio
import sys
from pathlib import Path

from prefect import flow

from operations import extract_text, merge_pdfs
from operations.extract_text import ExtractTextParams
from operations.merge import MergeParams


@flow
async def mail_of_the_day(folder: Path, out: Path) -> str:
    """Put the letters of a folder together, and write down what they say.

    Args:
        folder: of PDFs and images.
        out: where the PDF and the text get to.

    Returns:
        The name of the file with the text, in `out`.
    """
    letters = sorted(path for path in folder.iterdir() if path.is_file())
    merged = await merge_pdfs(letters, MergeParams(), folder=out)
    whole = out / merged.files[0]
    text = await extract_text(whole, ExtractTextParams(format="markdown"), folder=out)
    return text.file


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python examples/mail_of_the_day.py FOLDER OUT")
    print(asyncio.run(mail_of_the_day(Path(sys.argv[1]), Path(sys.argv[2]))))
