from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from store.ids import id_of, short_of


@given(st.uuids())
def test_an_id_comes_back_from_its_22_characters(id_: UUID):
    short = short_of(id_)
    assert len(short) == 22
    assert id_of(short) == id_


@given(st.text(max_size=30))
def test_what_is_no_id_is_none_and_every_id_has_one_spelling(text: str):
    found = id_of(text)
    assert found is None or short_of(found) == text
