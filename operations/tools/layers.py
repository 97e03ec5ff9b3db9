"""Layers of PDFs (optional content): which are hidden stays as it was.

Source: ISO 32000-1, 8.11.
"""

import pikepdf
from pikepdf import Array, Dictionary, Name

_LISTS = (Name.ON, Name.OFF, Name.Order, Name.RBGroups, Name.Locked, Name.AS)


def carry_layers(target: pikepdf.Pdf, source: pikepdf.Pdf) -> None:
    """Bring the layers of a document into another, to which pages of it were copied."""
    given = source.Root.get(Name.OCProperties)
    if not isinstance(given, Dictionary):
        return
    if not given.is_indirect:
        given = source.make_indirect(given)
    copied = target.copy_foreign(given)
    own = target.Root.get(Name.OCProperties)
    if own is None:
        target.Root.OCProperties = copied
        return
    defaults, added = own.D, copied.D
    groups = copied.get(Name.OCGs, Array())
    _say_what_is_shown(defaults, own.get(Name.OCGs, Array()))
    _say_what_is_shown(added, groups)
    own.OCGs = Array([*own.get(Name.OCGs, Array()), *groups])
    for key in _LISTS:
        if key in added:
            defaults[key] = Array([*defaults.get(key, Array()), *added[key]])


def _say_what_is_shown(defaults: pikepdf.Object, groups: pikepdf.Object) -> None:
    """Name the layers that are hidden, where those that are shown are named instead."""
    if defaults.get(Name.BaseState) == Name.OFF:
        shown = {group.objgen for group in defaults.get(Name.ON, Array())}
        defaults.OFF = Array([group for group in list(groups) if group.objgen not in shown])
        del defaults.BaseState
