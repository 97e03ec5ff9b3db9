import pickle
import re

import pytest

from store import errors
from store.errors import FieldsInvalidError, PapertrayError


def classes() -> list[type[PapertrayError]]:
    def below(kind: type[PapertrayError]) -> list[type[PapertrayError]]:
        return [kind, *(c for sub in kind.__subclasses__() for c in below(sub))]

    return [kind for kind in below(PapertrayError) if kind.__module__ == errors.__name__]


def drawn(kind: type[PapertrayError], depth: int = 0) -> list[tuple[int, str, int, str]]:
    row = (depth, kind.__name__, kind.http_status, kind.code)
    children = [c for c in kind.__subclasses__() if c.__module__ == errors.__name__]
    return [row, *(r for child in children for r in drawn(child, depth + 1))]


def test_the_picture_of_the_tree_is_the_tree() -> None:
    picture = [
        (len(m[1]) // 2, m[2], int(m[3]), m[4])
        for line in (errors.__doc__ or "").splitlines()
        if (m := re.fullmatch(r"( *)(\w+Error) +(\d{3})  (\w+)", line))
    ]
    assert picture == drawn(PapertrayError)


def test_every_code_is_there_once() -> None:
    codes = [kind.code for kind in classes()]
    assert len(codes) == len(set(codes))


@pytest.mark.parametrize("kind", classes())
def test_every_error_says_what_to_do_and_travels_whole(kind: type[PapertrayError]) -> None:
    error = kind()
    assert error.message.endswith(".")
    assert len(error.message.split(". ")) >= 1
    copy = pickle.loads(pickle.dumps(kind("Said so.", page=3)))
    assert (type(copy), copy.message, copy.details) == (kind, "Said so.", {"page": 3})


def test_a_failed_task_shows_error_and_details() -> None:
    assert FieldsInvalidError(fields={"total": "missing"}).as_result() == {
        "error": "Some field values are not valid. The details have the reason for each field.",
        "details": {"code": "fields_invalid", "fields": {"total": "missing"}},
    }
