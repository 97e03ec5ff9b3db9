"""Name trees and number trees of PDFs: what stands in them, whatever their shape.

Source: ISO 32000-1, 7.9.6 (name trees) and 7.9.7 (number trees). pikepdf reads them too, but not
those of the documents that pages are copied from (`assembly.py`).
"""

from collections.abc import Iterator

from pikepdf import Array, Dictionary, Name, Object

_MAX_DEPTH = 64


def names_in(tree: object) -> dict[str, Object]:
    """What stands in a name tree, by its name."""
    return {str(key): value for key, value in _pairs(tree, Name.Names)}


def numbers_in(tree: object) -> dict[int, Object]:
    """What stands in a number tree, by its number."""
    return {key: value for key, value in _pairs(tree, Name.Nums) if isinstance(key, int)}


def _pairs(tree: object, of_leaves: Name) -> Iterator[tuple[object, Object]]:
    seen: set[tuple[int, int]] = set()

    def below(node: object, depth: int) -> Iterator[tuple[object, Object]]:
        if not isinstance(node, Dictionary) or depth > _MAX_DEPTH or node.objgen in seen:
            return
        if node.is_indirect:
            seen.add(node.objgen)
        pairs, kids = node.get(of_leaves), node.get(Name.Kids)
        if isinstance(pairs, Array):
            items = list(pairs)
            yield from zip(items[::2], items[1::2], strict=False)
        for kid in list(kids) if isinstance(kids, Array) else ():
            yield from below(kid, depth + 1)

    return below(tree, 0)
