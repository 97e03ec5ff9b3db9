"""Sums and shares over the rows of a query, as both databases know them."""

from typing import Any

from sqlalchemy import ColumnElement, and_, case, extract, func


def count_where(condition: ColumnElement[bool]) -> ColumnElement[int]:
    """How many rows are so; of no rows at all, null."""
    return func.sum(case((condition, 1), else_=0))


def share_where(
    condition: ColumnElement[bool], *, among: ColumnElement[bool]
) -> ColumnElement[float]:
    """0..1: of some rows, how many are so; null where there are none."""
    return func.avg(case((and_(among, condition), 1.0), (among, 0.0)))


def seconds_between(begin: Any, end: Any) -> ColumnElement[Any]:
    """From one column to another."""
    return extract("epoch", end) - extract("epoch", begin)
