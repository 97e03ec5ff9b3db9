"""Documents on photos, made and real: each corner is where it is, in pixels."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from operations.tools.find_documents import find_documents
from tests.photos import BACKGROUNDS, Corners, page, photo

LETTER: Corners = [(512.4, 96.2), (1104.8, 148.5), (1172.1, 1080.6), (420.3, 1010.9)]
CARD: Corners = [(420.6, 330.2), (1180.3, 250.7), (1230.9, 800.4), (380.1, 770.8)]
LEFT: Corners = [(140.2, 190.6), (600.8, 220.3), (640.5, 890.1), (110.7, 850.9)]
RECEIPT: Corners = [(980.3, 140.8), (1300.6, 170.2), (1270.1, 1050.7), (930.9, 1010.4)]
SMALL: Corners = [(700.2, 90.5), (1300.4, 140.1), (1270.8, 520.6), (690.3, 470.2)]
NARROW: Corners = [(1150.7, 600.3), (1370.2, 620.8), (1350.6, 1120.4), (1120.1, 1090.9)]

TOLERANCE_PIXELS = 3.0
"""On photos of 1600 x 1200 pixels."""


def errors(photo: Image.Image, expected: list[Corners]) -> list[float]:
    """The worst corner of each document, in pixels, the documents paired as they are nearest."""
    found = find_documents(np.asarray(photo))
    assert len(found) == len(expected)
    return [
        min(float(np.linalg.norm(one - np.array(corners), axis=1).max()) for one in found)
        for corners in expected
    ]


CASES: dict[str, tuple[list[tuple[Image.Image, Corners]], dict[str, Any]]] = {
    "one": ([(page(), LETTER)], {}),
    "in a shadow": ([(page(), LETTER)], {"shadow": 0.55}),
    "with a dog-ear": ([(page(), LETTER)], {"cut_corner": 0.12}),
    "with round corners": ([(page(1000, 630, (200, 215, 235)), CARD)], {"round_corners": 0.06}),
    "dark": ([(page(1000, 630, (70, 25, 40)), CARD)], {}),
    "two": ([(page(), LEFT), (page(500, 1300), RECEIPT)], {}),
    "three": (
        [(page(), LEFT), (page(1000, 630), SMALL), (page(500, 1300), NARROW)],
        {},
    ),
}


@pytest.mark.parametrize(
    ("case", "background"),
    [
        *((case, background) for case in ("one", "three") for background in BACKGROUNDS),
        *((case, background) for case in list(CASES)[1:-1] for background in ("cloth", "desk")),
    ],
)
def test_each_document_is_found_to_the_pixel(case: str, background: str) -> None:
    documents, more = CASES[case]
    made = photo(background, documents, seed=7, **more)
    worst = errors(made, [corners for _, corners in documents])
    assert max(worst) < TOLERANCE_PIXELS, worst


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_where_no_document_is_none_is_found(background: str) -> None:
    assert find_documents(np.asarray(photo(background, [], seed=3))) == []


HAND_CHECKED = {
    # As people see them; paper bends, so within 0.6 % of the long side.
    "photo_of_letter.jpg": [(206, 183), (964, 194), (1145, 1357), (57, 1377)],
    "photo_on_wood.jpg": [(91, 359), (796, 353), (898, 1324), (17, 1340)],
    "photo_of_timetable.jpg": [(160, 111), (1435, 130), (1493, 1145), (100, 1156)],
}


@pytest.mark.parametrize("name", HAND_CHECKED)
def test_the_corners_of_real_documents_are_found(name: str, samples: Path) -> None:
    real = Image.open(samples / name)
    assert max(errors(real, [HAND_CHECKED[name]])) < 0.006 * max(real.size)


@pytest.mark.parametrize("name", ["phototest.tif", "phototest-rotated-L.png", "baiona_alpha.png"])
def test_a_page_without_a_table_under_it_is_no_document_on_a_photo(
    name: str, samples: Path
) -> None:
    assert find_documents(np.asarray(Image.open(samples / name).convert("RGB"))) == []


def test_the_first_corner_is_the_top_left_one_and_they_go_clockwise() -> None:
    turned = photo("dark", [(page(), LETTER)]).rotate(-12, expand=True, fillcolor=(30, 30, 34))
    ((first, second, third, fourth),) = find_documents(np.asarray(turned))
    assert first[0] < second[0]
    assert first[1] < fourth[1]
    assert third[1] > second[1]
    assert fourth[0] < third[0]


def test_corners_beyond_the_photo_are_put_on_its_border() -> None:
    beyond: Corners = [(420, -12), (1104, 40), (1172, 1080), (420, 1010)]
    (found,) = find_documents(np.asarray(photo("dark", [(page(), beyond)])))
    assert found.min() >= 0
    assert np.abs(found - np.clip(beyond, 0, None)).max() < 12


@pytest.mark.parametrize("size", [(1, 1), (10, 4000), (31, 31), (33, 33), (2000, 40)])
def test_the_smallest_photos_have_no_documents(size: tuple[int, int]) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (*size, 3), np.uint8)
    assert find_documents(noise) == []


def test_twelve_megapixels_take_seconds_at_most() -> None:
    made = photo("wood", [(page(), LETTER)]).resize((4000, 3000))
    began = time.process_time()
    worst = errors(made, [[(2.5 * x, 2.5 * y) for x, y in LETTER]])
    # Measured: 0.3 s. A machine at work on much else counts several times that.
    assert time.process_time() - began < 5
    assert max(worst) < 2.5 * TOLERANCE_PIXELS
