"""Find the documents on a photo: four corners each, whatever they lie on.

The photo is cut into areas in several ways, by thresholds and by edges; each area that is close
to a quadrilateral is a candidate, and so are four long lines that meet in one. A candidate is
judged by how much both sides of each of its edges differ, once the edges were moved to where the
photo has them; at last they are found in all the pixels of the photo.

To be imported in a child only: it loads OpenCV.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.typing import NDArray

cv2.setNumThreads(1)  # one slot is one core

Pixels = MatLike
Points = NDArray[np.float64]
"""Shape (n, 2): x, y in pixels; (0, 0) is the outer corner of the first pixel."""

WORK_PIXELS = 800
"""Long side of the copy on which candidates are looked for."""

_MIN_AREA_RATIO = 0.015
"""Of the photo: a smaller one cannot be read anyway."""

_MAX_AREA_RATIO = 0.985
"""More than this is the photo itself."""

_MIN_FILL_RATIO = 0.86
"""How much of the quadrilateral around it an area must fill, and the other way round."""

_MIN_ANGLE_DEGREES = 40.0
_MAX_SIDES_RATIO = 14.0
"""A till receipt is up to ten times as long as wide."""

_MIN_SCORE = 0.5
_MIN_RELATIVE_SCORE = 0.7
"""Of the best: where one is clear, what is doubtful beside it is a pattern of the table."""

_MIN_SIDE_SCORE = 0.22
_MAX_OVERLAP_RATIO = 0.15
"""Of the smaller of two documents."""

_STEP_DIFFERENCE = 22.0
"""Difference in CIE L*a*b* (L 0..255) between both sides of an edge that is beyond doubt."""


@dataclass(frozen=True)
class Candidate:
    """A quadrilateral that may be a document."""

    corners: Points
    score: float
    """0..1."""


def find_documents(photo: Pixels) -> list[Points]:
    """The corners of each document on a photo, refined; the largest document first.

    Args:
        photo: shape (height, width, 3), RGB.

    Returns:
        For each document its corners, shape (4, 2), clockwise from its top left one, within the
        photo. Empty where there is none, or where it fills the photo to its borders.
    """
    height, width = photo.shape[:2]
    scale = min(1.0, WORK_PIXELS / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    if min(size) < 32:
        return []
    work = cv2.resize(photo, size, interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(work, cv2.COLOR_RGB2LAB)
    found = _select([*_areas(lab), *_frames(lab)], lab)
    if _is_page(lab, found):
        return []
    ratio = np.array([width / size[0], height / size[1]])
    documents: list[Points] = []
    for candidate in found:
        corners = _refined(candidate.corners * ratio, photo, 1.5 * max(ratio) + 2, bent=True)
        corners = np.clip(corners, 0, [width, height])
        documents.append(_from_top_left(corners))
    return sorted(documents, key=_area, reverse=True)


# Candidates


def _areas(lab: Pixels) -> Iterator[Points]:
    """Quadrilaterals around areas of the photo."""
    total = lab.shape[0] * lab.shape[1]
    seen: set[tuple[int, ...]] = set()
    for mask in _masks(lab):
        contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
        for contour in contours:
            if len(contour) < 4:
                continue
            hull = cv2.convexHull(contour)
            hull_area = cv2.contourArea(hull)
            if not _MIN_AREA_RATIO * total < hull_area < _MAX_AREA_RATIO * total:
                continue
            quad = _quad_around(hull[:, 0, :].astype(np.float64))
            if quad is None or not _is_plausible(quad):
                continue
            quad_area = _area(quad)
            if cv2.contourArea(contour) < _MIN_FILL_RATIO * quad_area:
                continue
            key = tuple(int(value) // 3 for value in quad.ravel())
            if key not in seen:
                seen.add(key)
                # Contours run through the middle of pixels.
                yield quad + 0.5


def _masks(lab: Pixels) -> Iterator[Pixels]:
    """The photo in black and white, in many ways."""
    # Letters are smaller than this and disappear in their paper; so does the grain of wood.
    letters = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (11, 11))
    light = cv2.medianBlur(cv2.morphologyEx(lab[:, :, 0], cv2.MORPH_CLOSE, letters), 5)
    dark = cv2.medianBlur(cv2.morphologyEx(lab[:, :, 0], cv2.MORPH_OPEN, letters), 5)
    colours = [cv2.medianBlur(lab[:, :, n], 7) for n in (1, 2)]
    away = sum((np.abs(plane.astype(np.int16) - 128) for plane in colours), np.int16(0))
    chroma = cv2.morphologyEx(np.minimum(away, 255).astype(np.uint8), cv2.MORPH_OPEN, letters)
    small = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))
    for plane in (light, dark, chroma, *colours):
        for level in _levels(plane):
            bright = cv2.threshold(plane, level, 255, cv2.THRESH_BINARY)[1]
            for mask in (bright, 255 - bright):
                # Without what touches the page: a pen, a finger, the edge of the table.
                yield cv2.morphologyEx(mask, cv2.MORPH_OPEN, small)
    for low, high in ((12, 30), (25, 60), (50, 120)):
        edges = cv2.Canny(light, low, high, L2gradient=True)
        for plane in colours:
            edges = cv2.bitwise_or(edges, cv2.Canny(plane, low, high, L2gradient=True))
        for thickness in (3, 7):
            block = np.ones((thickness, thickness), np.uint8)
            # What the edges close off, grown back to where the edges are.
            yield cv2.dilate(255 - cv2.dilate(edges, block), block)


_LINES = 14
_MIN_LINE_RATIO = 0.09
"""Of the long side of the photo."""


def _frames(lab: Pixels) -> Iterator[Points]:
    """Quadrilaterals between long lines, two and two about parallel.

    They find a document of which no area is left whole: where a shadow runs over it, or a finger
    holds it.
    """
    letters = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (11, 11))
    light = cv2.medianBlur(cv2.morphologyEx(lab[:, :, 0], cv2.MORPH_CLOSE, letters), 5)
    edges = cv2.Canny(light, 8, 24, L2gradient=True)
    height, width = light.shape
    shortest = _MIN_LINE_RATIO * max(height, width)
    segments = cv2.HoughLinesP(
        edges, 1, np.pi / 360, 40, minLineLength=shortest, maxLineGap=0.4 * shortest
    )
    if segments is None:
        return
    lines = _longest(segments.reshape(-1, 4).astype(np.float64))
    near = cv2.dilate(edges, np.ones((3, 3), np.uint8)) > 0
    framed: list[tuple[float, Points]] = []
    reach = 0.03 * max(height, width)
    parallel = [two for two in combinations(lines, 2) if _turn(*two) < _PARALLEL_DEGREES]
    for (first, second), (third, fourth) in combinations(parallel, 2):
        if _turn(first, third) < _ACROSS_DEGREES:
            continue
        around = (first, third, second, fourth)
        meetings = [_meeting(*around[n - 1], *around[n]) for n in range(4)]
        corners = np.array([meeting for meeting in meetings if meeting is not None])
        if len(corners) < 4:
            continue
        if corners.min() < -reach or (corners > (width + reach, height + reach)).any():
            continue
        if _is_plausible(corners) and _area(corners) > 2 * _MIN_AREA_RATIO * height * width:
            framed.append((_share_on(corners, near), corners))
    framed.sort(key=lambda one: one[0], reverse=True)
    yield from (corners + 0.5 for share, corners in framed[:40] if share > 0.55)


_PARALLEL_DEGREES = 24.0
_ACROSS_DEGREES = 50.0
_Line = tuple[Points, Points]


def _longest(segments: NDArray[np.float64]) -> list[_Line]:
    """The longest lines of many segments, each once."""
    lengths = np.hypot(segments[:, 2] - segments[:, 0], segments[:, 3] - segments[:, 1])
    lines: list[_Line] = []
    for n in np.argsort(-lengths):
        line = segments[n, :2], segments[n, 2:]
        if all(_turn(line, other) > 3 or _apart(line, other) > 5 for other in lines):
            lines.append(line)
        if len(lines) == _LINES:
            break
    return lines


def _turn(first: _Line, second: _Line) -> float:
    """The angle between two lines in degrees, 0..90."""
    a, b = first[1] - first[0], second[1] - second[0]
    return float(np.degrees(np.arctan2(abs(_cross(a, b)), abs(float(np.dot(a, b))))))


def _apart(line: _Line, other: _Line) -> float:
    """How far the ends of a line are from another, at most."""
    along = other[1] - other[0]
    along = along / np.linalg.norm(along)
    return max(abs(_cross(along, end - other[0])) for end in line)


def _share_on(quad: Points, near: NDArray[np.bool_]) -> float:
    """How much of the outline of a quadrilateral lies on edges: of its worst sides."""
    shares: list[float] = []
    for start, end in pairwise([*quad, quad[0]]):
        places = (start + (end - start) * np.linspace(0.04, 0.96, 48)[:, None]).astype(int)
        places = np.clip(places, 0, (near.shape[1] - 1, near.shape[0] - 1))
        shares.append(float(near[places[:, 1], places[:, 0]].mean()))
    return 0.5 * min(shares) + 0.5 * sum(shares) / 4


def _levels(plane: Pixels) -> list[int]:
    """Thresholds for a plane: Otsu's, and some on the way from dark to light."""
    low, high = np.quantile(plane, (0.02, 0.98))
    if high - low < 10:
        return []
    otsu, _ = cv2.threshold(plane, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    steps = np.linspace(low, high, 9)[1:-1]
    return sorted({int(otsu), *(int(step) for step in steps)})


def _quad_around(hull: Points) -> Points | None:
    """The quadrilateral around a convex hull that adds least to it.

    Sides of the hull are taken away one after the other, each time the one whose neighbours,
    extended until they meet, enclose the least more. So a rounded or dog-eared corner becomes
    the corner it was.
    """
    tolerance = 0.006 * cv2.arcLength(hull.astype(np.float32)[:, None], closed=True)
    simple = cv2.approxPolyDP(hull.astype(np.float32)[:, None], tolerance, closed=True)
    corners = [np.asarray(corner, np.float64) for corner in simple[:, 0, :]]
    if len(corners) < 4 or len(corners) > 40:
        return None
    while len(corners) > 4:
        best: tuple[float, int, Points] | None = None
        count = len(corners)
        for n in range(count):
            a, b, c, d = (corners[(n + k) % count] for k in range(-1, 3))
            meeting = _meeting(a, b, c, d)
            # They must meet beyond the side, not behind.
            if meeting is None or np.dot(meeting - b, b - a) < 0 or np.dot(meeting - c, c - d) < 0:
                continue
            added = abs(_cross(c - b, meeting - b)) / 2
            if best is None or added < best[0]:
                best = (added, n, meeting)
        if best is None:
            return None
        _, n, meeting = best
        corners[n] = meeting
        del corners[(n + 1) % count]
    return np.array(corners)


def _cross(a: Points, b: Points) -> float:
    return float(a[0] * b[1] - a[1] * b[0])


def _meeting(a: Points, b: Points, c: Points, d: Points) -> Points | None:
    """Where the lines through a, b and through c, d meet; None where they do not."""
    along, other = b - a, d - c
    divisor = _cross(along, other)
    if abs(divisor) < 1e-6 * (np.linalg.norm(along) * np.linalg.norm(other) + 1e-9):
        return None
    return a + along * (_cross(c - a, other) / divisor)


def _is_plausible(quad: Points) -> bool:
    """Whether a sheet of paper can look like this."""
    sides = np.roll(quad, -1, axis=0) - quad
    lengths = np.linalg.norm(sides, axis=1)
    if lengths.min() < 12 or lengths.max() > _MAX_SIDES_RATIO * lengths.min():
        return False
    turns = [_cross(sides[n - 1], sides[n]) for n in range(4)]
    if min(turns) <= 0 <= max(turns):
        return False
    cosines = [
        abs(float(np.dot(sides[n - 1], sides[n])) / (lengths[n - 1] * lengths[n])) for n in range(4)
    ]
    return max(cosines) < np.cos(np.radians(_MIN_ANGLE_DEGREES))


def _area(quad: Points) -> float:
    return abs(sum(_cross(a, b) for a, b in pairwise([*quad, quad[0]]))) / 2


# Judgement


_JUDGED_CLOSELY = 48
_WORK_REACH = 8.0
"""How far the edges of a candidate may be from those of the document, in working pixels."""


def _select(quads: Sequence[Points], lab: Pixels) -> list[Candidate]:
    """The best of the candidates that do not overlap."""
    smooth = cv2.GaussianBlur(lab, (0, 0), 1.0)
    total = lab.shape[0] * lab.shape[1]

    def preference(candidate: Candidate) -> float:
        # Of a page and a table on it, the page.
        return candidate.score * (_area(candidate.corners) / total) ** 0.15

    rough = [Candidate(quad, _score(quad, smooth, 4.5)) for quad in quads]
    rough = sorted((one for one in rough if one.score >= _MIN_SCORE), key=preference, reverse=True)
    close: list[Candidate] = []
    for one in _spread(rough):
        quad = _refined(one.corners, smooth, _WORK_REACH, bent=False)
        close.append(Candidate(quad, _score(quad, smooth, 2.5)))
    best = max((one.score for one in close), default=0.0)
    enough = max(_MIN_SCORE, _MIN_RELATIVE_SCORE * best)
    chosen: list[Candidate] = []
    for candidate in sorted(close, key=preference, reverse=True):
        if candidate.score >= enough and all(
            _overlap(candidate.corners, other.corners) < _MAX_OVERLAP_RATIO for other in chosen
        ):
            chosen.append(candidate)
    return chosen


def _spread(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The first of them, but of those that are about the same only two."""
    kept: list[Candidate] = []
    for one in candidates:
        alike = sum(np.abs(one.corners - other.corners).max() < 5 for other in kept)
        if alike < 2:
            kept.append(one)
        if len(kept) == _JUDGED_CLOSELY:
            break
    return kept


_PAPER_LEVEL = 190
_PAPER_EVENNESS = 14
_INK_STEP = 40
_PAGE_INK_RATIO = 0.012


def _is_page(lab: Pixels, found: Sequence[Candidate]) -> bool:
    """Whether the picture is a page itself: paper at its borders, and text beside what was found.

    A picture on a page, or a block of its text, would else be taken for a document.
    """
    if not found:
        return False
    light = lab[:, :, 0]
    margin = max(2, min(light.shape) // 50)
    inner = np.s_[margin:-margin, margin:-margin]
    border = np.ones(light.shape, bool)
    border[inner] = False
    paper = float(np.median(light[border]))
    even = np.abs(light[border].astype(np.int16) - int(paper)) < _PAPER_EVENNESS
    if paper < _PAPER_LEVEL or even.mean() < 0.8:
        return False
    block = cv2.getStructuringElement(cv2.MORPH_RECT, (11, 11))
    ink = cv2.morphologyEx(light, cv2.MORPH_BLACKHAT, block) > _INK_STEP
    beside = np.ones(light.shape, np.uint8)
    for candidate in found:
        outline = np.round(candidate.corners).astype(np.int32)
        cv2.fillConvexPoly(beside, outline, (0,))
        cv2.polylines(beside, [outline], isClosed=True, color=(0,), thickness=17)
    return bool((ink & (beside > 0)).sum() > _PAGE_INK_RATIO * max(1, int(beside.sum())))


def _overlap(first: Points, second: Points) -> float:
    """The share of the smaller that lies in the other."""
    a, b = (np.ascontiguousarray(quad, np.float32) for quad in (first, second))
    common, _ = cv2.intersectConvexConvex(a, b)
    return common / max(1.0, min(_area(first), _area(second)))


_ALONG = np.linspace(0.06, 0.94, 32)
_BEYOND = np.concatenate([np.linspace(-0.2, -0.06, 6), np.linspace(1.06, 1.2, 6)])
"""Shares of a side at which it is looked at, and beyond its ends."""


def _score(quad: Points, smooth: Pixels, offset: float) -> float:
    """How much a quadrilateral looks like a document on something else, 0..1.

    Args:
        quad: in the pixels of `smooth`.
        smooth: CIE L*a*b*.
        offset: how far inside and outside of an edge the colours are taken.
    """
    sides: list[float] = []
    lighter, restless, beyond = 0.0, 0.0, 0.0
    for start, end in _sides(quad):
        inside, outside, is_there = _both_sides(start, end, smooth, offset, _ALONG)
        difference = inside - outside
        # The paper may be in a shadow that crosses the edge: lightness counts, but less.
        distance = np.linalg.norm(difference * (0.8, 1.5, 1.5), axis=1)
        support = np.minimum(1.0, distance / _STEP_DIFFERENCE) * is_there
        sides.append(float(support.mean()))
        lighter += float(np.median(difference[:, 0])) / 4
        usual = np.median(difference, axis=0)
        inside_on, outside_on, _ = _both_sides(start, end, smooth, offset, _BEYOND)
        goes_on = (inside_on - outside_on) @ usual / max(float(usual @ usual), 1.0)
        beyond += float(np.clip(goes_on, 0, 1).mean()) / 4
        changes = np.linalg.norm(np.diff(inside, axis=0), axis=1)
        restless += float(np.minimum(changes, 25).mean()) / 4
    if min(sides) < _MIN_SIDE_SCORE:
        return 0.0
    score = 0.65 * sum(sides) / 4 + 0.35 * min(sides)
    # Along its edges paper is of one colour, whatever it lies on; a checked cloth is not.
    score *= float(np.clip(1 - (restless - 4) / 10, 0.4, 1))
    # The edges of paper end at its corners; those of boards, tiles and stripes go on.
    score *= 1 - 0.8 * beyond
    # Paper is nearly always lighter than what it lies on.
    return score if lighter > 0 else 0.75 * score


def _sides(quad: Points) -> list[tuple[Points, Points]]:
    """Its sides, clockwise as one sees them."""
    if sum(_cross(a, b) for a, b in pairwise([*quad, quad[0]])) < 0:
        quad = quad[::-1]
    return list(pairwise([*quad, quad[0]]))


def _both_sides(
    start: Points, end: Points, smooth: Pixels, apart: float, shares: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """The colours inside and outside of a side, at shares of its length; where both are there."""
    along = (end - start) / max(1e-6, float(np.linalg.norm(end - start)))
    outward = np.array([along[1], -along[0]])
    places = start + (end - start) * shares[:, None]
    height, width = smooth.shape[:2]
    beyond = places + outward * apart / 2
    is_there = (
        (beyond[:, 0] > 0) & (beyond[:, 0] < width) & (beyond[:, 1] > 0) & (beyond[:, 1] < height)
    )
    inside = _sampled(smooth, places - outward * apart)
    outside = _sampled(smooth, places + outward * apart)
    return inside, outside, is_there


def _sampled(pixels: Pixels, places: Points) -> NDArray[np.float32]:
    """The values at places, between pixels too; shape (n, channels)."""
    at = (places - 0.5).astype(np.float32)
    # remap() takes no picture of more than 32,767 rows: the places go in a single one.
    values = cv2.remap(
        pixels,
        at[None, :, 0],
        at[None, :, 1],
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return values[0].astype(np.float32)


# Refinement


_PROFILES = 96
_ROUNDS = 3


def _refined(quad: Points, photo: Pixels, reach: float, *, bent: bool) -> Points:
    """The same corners, exactly: where the lines meet that fit the edges in the photo.

    Args:
        quad: about right.
        photo: RGB or CIE L*a*b*.
        reach: how far the edges may be from where they are thought to be, in pixels.
        bent: whether the edges may be other than straight, as those of paper are: near a corner
            they then run as they run there, not as they do on the whole.
    """
    for round_ in range(_ROUNDS):
        within = reach / 2**round_ + 1
        before = np.array([start for start, _ in _sides(quad)])
        edges = [_edge_near(start, end, photo, within) for start, end in _sides(quad)]
        tries = [[edge.whole for edge in edges] * 2]
        if bent and round_ == _ROUNDS - 1:
            tries.insert(0, [edge.last for edge in edges] + [edge.first for edge in edges])
        for lines in tries:
            meetings = [_meeting(*lines[(n - 1) % 4], *lines[4 + n]) for n in range(4)]
            corners = np.array([m if m is not None else before[n] for n, m in enumerate(meetings)])
            if np.abs(corners - before).max() < 6 * within + 4 and _is_plausible(corners):
                quad = corners
                break
        else:
            return before
    return quad


@dataclass(frozen=True)
class _Edge:
    """Lines along an edge: of all of it, of its beginning, of its end."""

    whole: _Line
    first: _Line
    last: _Line


def _edge_near(start: Points, end: Points, photo: Pixels, reach: float) -> _Edge:
    """The edge that is found near a side."""
    nothing = _Edge((start, end), (start, end), (start, end))
    side = end - start
    length = float(np.linalg.norm(side))
    along = side / max(1e-6, length)
    outward = np.array([along[1], -along[0]])
    step = max(0.5, reach / 24)
    offsets = np.arange(-reach - 2 * step, reach + 2.5 * step, step)
    position = np.linspace(0.03, 0.97, _PROFILES)
    places = start + side * position[:, None]
    grid = places[:, None, :] + offsets[None, :, None] * outward
    values = _sampled(photo, grid.reshape(-1, 2)).reshape(len(places), len(offsets), -1)
    quarter = max(1, len(offsets) // 4)
    # The direction in colour space from outside to inside, the same for all of the side.
    inside, outside = values[:, :quarter].mean(axis=(0, 1)), values[:, -quarter:].mean(axis=(0, 1))
    difference = inside - outside
    strength = float(np.linalg.norm(difference))
    if strength < 2:
        return nothing
    # Across a few profiles, so that a fibre or a pixel of noise is no edge.
    level = cv2.blur(values @ (difference / strength), (3, 5))
    fall = level[:, :-2] - level[:, 2:]
    rows = np.arange(len(fall))
    best = fall.argmax(axis=1)
    good = (fall[rows, best] > 0.25 * strength) & (best > 0) & (best < fall.shape[1] - 1)
    if good.sum() < _MIN_PROFILES:
        return nothing
    # Between the steps: the top of the parabola through the steepest and its neighbours.
    middle = np.clip(best, 1, fall.shape[1] - 2)
    before, at, after = (fall[rows, middle + k] for k in (-1, 0, 1))
    bend = np.minimum(before - 2 * at + after, -1e-6)
    found = offsets[1 + middle] + np.clip(0.5 * (before - after) / bend, -1, 1) * step

    def line(fit: tuple[float, float]) -> _Line:
        offset, slope = fit
        return start + outward * offset, end + outward * (offset + slope)

    whole = _fitted(position, found, good, step)
    parts: list[_Line] = []
    for part, corner in ((position < _NEAR_SHARE, 0.0), (position > 1 - _NEAR_SHARE, 1.0)):
        fit = whole
        if (good & part).sum() >= _MIN_PROFILES:
            near = _fitted(position, found, good & part, step)
            moved = abs(near[0] + near[1] * corner - whole[0] - whole[1] * corner)
            fit = near if moved < _MAX_BEND_RATIO * length + 1 else whole
        parts.append(line(fit))
    return _Edge(line(whole), *parts)


_MIN_PROFILES = 12
_NEAR_SHARE = 0.4
_MAX_BEND_RATIO = 0.015


def _fitted(
    position: NDArray[np.float64],
    found: NDArray[np.float64],
    used: NDArray[np.bool_],
    step: float,
) -> tuple[float, float]:
    """Offset and slope of the line of least absolute deviations, by reweighting.

    What covers a part of the edge, as a finger does, does not move it.
    """
    slope, offset = 0.0, float(np.median(found[used]))
    for _ in range(8):
        apart = np.abs(found - (offset + slope * position))
        weight = np.where(used, 1 / np.maximum(apart, 0.3 * step + 0.1), 0.0)
        total = weight.sum()
        mean_x, mean_y = (weight * position).sum() / total, (weight * found).sum() / total
        spread = (weight * (position - mean_x) ** 2).sum()
        slope = float((weight * (position - mean_x) * (found - mean_y)).sum() / max(spread, 1e-9))
        offset = float(mean_y - slope * mean_x)
    return offset, slope


def _from_top_left(corners: Points) -> Points:
    """Clockwise, the side that is most on top and runs to the right first."""
    ordered = np.array([start for start, _ in _sides(corners)])
    sides = np.roll(ordered, -1, axis=0) - ordered
    first = int(np.argmax(sides[:, 0] / np.linalg.norm(sides, axis=1)))
    return np.roll(ordered, -first, axis=0)


def bounding_box(corners: Sequence[Sequence[float]] | Points) -> tuple[float, float, float, float]:
    """left, top, width, height of the upright rectangle around corners."""
    points = np.asarray(corners)
    left, top = points.min(axis=0)
    right, bottom = points.max(axis=0)
    return float(left), float(top), float(right - left), float(bottom - top)
