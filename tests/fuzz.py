"""What the property tests of our parsers try, tried by a fuzzer that follows the code it reaches.

`make fuzz` gives each of them PAPERTRAY_FUZZ_SECONDS, a minute when it is not set. A test says what
must hold; Hypothesis makes its input of the fuzzer's bytes
(https://hypothesis.readthedocs.io/en/latest/how-to/external-fuzzers.html).
"""

import os
import subprocess
import sys
from importlib import import_module
from typing import Any

SECONDS = os.environ.get("PAPERTRAY_FUZZ_SECONDS", "60")

PARSERS = ("api.aluma.tags", "api.human_lambdas.route", "operations.tools", "store")
"""Whose branches the fuzzer sees."""

TESTS = (
    "test_aluma_tags.test_any_header_is_tags_or_refused",
    "test_operations.test_pages_are_pages_of_the_document_in_order",
    "test_operations.test_no_text_makes_reading_fail",
    "test_parsers.test_no_text_is_a_project_file_that_breaks_its_reader",
    "test_parsers.test_a_project_file_with_anything_in_any_place_is_read_or_refused",
    "test_parsers.test_a_project_file_that_was_changed_on_the_way_is_read_or_refused",
    "test_parsers.test_any_text_is_a_positive_duration_or_none",
    "test_parsers.test_any_text_is_a_positive_size_or_none",
    "test_parsers.test_any_text_is_a_cursor_or_names_nothing",
)


def fuzz(test: str) -> None:
    """Try one, until its time is over; never returns."""
    atheris: Any = import_module("atheris")  # only `make fuzz` installs it
    module, name = test.split(".")
    with atheris.instrument_imports(include=list(PARSERS)):
        found = getattr(import_module(f"tests.properties.{module}"), name)
    atheris.Setup([sys.argv[0], f"-max_total_time={SECONDS}"], found.hypothesis.fuzz_one_input)
    atheris.Fuzz()


def main() -> None:
    failed: list[str] = []
    for test in TESTS:
        done = subprocess.run(
            [sys.executable, "-m", "tests.fuzz", test],
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        said = [line for line in done.stderr.splitlines() if line.startswith("Done ")]
        print(f"{test}: {said[-1] if said else 'failed'}", flush=True)
        if done.returncode:
            print(done.stderr[-4000:])
            failed.append(test)
    sys.exit(bool(failed))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        fuzz(sys.argv[1])
    main()
