"""The JSON Schema of project files, for editors: written to docs/, or compared with what is there.

`python scripts/project_schema.py` writes it, `--check` compares.
"""

import json
import sys
from pathlib import Path

from store.project_file import project_schema

TARGET = Path(__file__).parents[1] / "docs" / "project.schema.json"


def main() -> int:
    """Write the schema, or say that it is not as it should be."""
    text = f"{json.dumps(project_schema(), indent=2, ensure_ascii=False)}\n"
    if "--check" not in sys.argv[1:]:
        TARGET.write_text(text, encoding="utf-8")
        return 0
    if TARGET.is_file() and TARGET.read_text(encoding="utf-8") == text:
        return 0
    sys.stderr.write(f"{TARGET.name} is not what store/project_file.py says: run `make docs`.\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
