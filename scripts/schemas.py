"""The schemas that others build on: written to docs/, or compared with what is there.

`python -m scripts.schemas` writes them, `--check` compares. What a change does to those who send
requests or write project files is seen in the difference.
"""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from api.app import create_app
from store.project_file import project_schema

DOCS: Final = Path(__file__).parents[1] / "docs"

SCHEMAS: Final[Mapping[str, Callable[[], Any]]] = {
    "project.schema.json": project_schema,
    "openapi.json": lambda: create_app().openapi(),
}
"""What makes each file."""


def main() -> int:
    """Write the schemas, or say which is not as it should be."""
    is_wrong = False
    for name, make in SCHEMAS.items():
        target, text = DOCS / name, f"{json.dumps(make(), indent=2, ensure_ascii=False)}\n"
        if "--check" not in sys.argv[1:]:
            target.write_text(text, encoding="utf-8")
        elif not target.is_file() or target.read_text(encoding="utf-8") != text:
            sys.stderr.write(f"docs/{name} is not what the code says: run `make docs`.\n")
            is_wrong = True
    return int(is_wrong)


if __name__ == "__main__":
    sys.exit(main())
