"""Form fields of PDFs: carried along with their pages, under names that do not clash.

Source: ISO 32000-1, 12.7.
"""

import re
from collections.abc import Iterator, Sequence

import pikepdf
from pikepdf import Array, Dictionary, Name, String

_MAX_DEPTH = 64
"""Of fields inside each other."""

ObjectId = tuple[int, int]


def carry_fields(
    target: pikepdf.Pdf,
    source: pikepdf.Pdf,
    page_indices: Sequence[int],
    pages: Sequence[pikepdf.Page],
) -> None:
    """Bring the fields of pages that were copied just now into the form of their new document.

    A field of which a part is on a page that was not copied keeps its other parts.

    Args:
        target: the new document.
        source: the one the pages are from.
        page_indices: 0-based, of the pages there.
        pages: their copies in the new one.
    """
    given = source.Root.get(Name.AcroForm)
    if not isinstance(given, Dictionary):
        return
    widgets = {annotation.objgen for page in pages for annotation in annotations_of(page)}
    copied = (target.copy_foreign(top) for top in _fields_on(source, given, page_indices))
    fields = [one for one in copied if isinstance(one, Dictionary) and _prune(one, widgets)]
    if not fields:
        return
    form = _form_of(target)
    _carry_defaults(target, source, form, given, fields)
    taken = {str(field.T) for field in form.Fields if isinstance(field.get(Name.T), String)}
    for field in fields:
        _rename(field, taken)
        form.Fields.append(field)
    if given.get(Name.NeedAppearances) is True:
        form.NeedAppearances = True
    _carry_calculations(target, form, given, fields)


def annotations_of(page: pikepdf.Page) -> Iterator[Dictionary]:
    """What lies on a page beside its content: links, notes, parts of fields."""
    annotations = page.obj.get(Name.Annots)
    for annotation in list(annotations) if isinstance(annotations, Array) else []:
        if isinstance(annotation, Dictionary):
            yield annotation


def tree_of(field: pikepdf.Object) -> Iterator[Dictionary]:
    """A field and all that is below it, each once."""
    seen: set[ObjectId] = set()

    def below(one: pikepdf.Object, depth: int) -> Iterator[Dictionary]:
        if not isinstance(one, Dictionary) or depth > _MAX_DEPTH or one.objgen in seen:
            return
        if one.is_indirect:
            seen.add(one.objgen)
        yield one
        kids = one.get(Name.Kids)
        for kid in list(kids) if isinstance(kids, Array) else []:
            yield from below(kid, depth + 1)

    return below(field, 0)


def top_fields(pdf: pikepdf.Pdf) -> list[Dictionary]:
    """The fields of a document that are in no other field."""
    form = pdf.Root.get(Name.AcroForm)
    fields = form.get(Name.Fields) if isinstance(form, Dictionary) else None
    every = list(fields) if isinstance(fields, Array) else []
    return [field for field in every if isinstance(field, Dictionary)]


def _fields_on(
    source: pikepdf.Pdf, form: Dictionary, page_indices: Sequence[int]
) -> list[Dictionary]:
    """The top fields of which a part is on one of these pages, in the order of the form."""
    fields = form.get(Name.Fields)
    order = {f.objgen: n for n, f in enumerate(fields)} if isinstance(fields, Array) else {}
    found: dict[ObjectId, Dictionary] = {}
    for index in page_indices:
        for annotation in annotations_of(source.pages[index]):
            if annotation.get(Name.Subtype) == Name.Widget:
                top = _top_of(annotation)
                if top.is_indirect and top.objgen in order:
                    found[top.objgen] = top
    return sorted(found.values(), key=lambda field: order[field.objgen])


def _top_of(field: Dictionary) -> Dictionary:
    for _ in range(_MAX_DEPTH):
        parent = field.get(Name.Parent)
        if not isinstance(parent, Dictionary):
            break
        field = parent
    return field


def _prune(field: pikepdf.Object, widgets: set[ObjectId]) -> bool:
    """Take out of a field what is on none of the pages; answers whether anything is left."""
    # What is at the end of the list is deepest, so that each comes after all that is below it.
    tree = list(tree_of(field))
    kept: set[ObjectId] = set()
    for one in reversed(tree):
        kids = one.get(Name.Kids)
        if isinstance(kids, Array):
            one.Kids = Array([kid for kid in list(kids) if kid.objgen in kept])
            if len(one.Kids):
                kept.add(one.objgen)
        elif one.objgen in widgets:
            kept.add(one.objgen)
    return bool(tree) and tree[0].objgen in kept


def _form_of(target: pikepdf.Pdf) -> Dictionary:
    if Name.AcroForm not in target.Root:
        target.Root.AcroForm = target.make_indirect(Dictionary(Fields=Array()))
    form = target.Root.AcroForm
    assert isinstance(form, Dictionary)  # noqa: S101  # made above
    return form


def _carry_defaults(
    target: pikepdf.Pdf,
    source: pikepdf.Pdf,
    form: Dictionary,
    given: Dictionary,
    fields: Sequence[Dictionary],
) -> None:
    """What a form says for all of its fields: fonts and the like, appearance, alignment."""
    for key in (Name.DA, Name.Q):
        value = given.get(key)
        if value is None:
            continue
        plain = pikepdf.Object.parse(Array([value]).unparse())[0]
        for field in fields:
            if key not in field:
                field[key] = plain
    resources = given.get(Name.DR)
    if isinstance(resources, Dictionary):
        if not resources.is_indirect:
            resources = source.make_indirect(resources)
        copied = target.copy_foreign(resources)
        assert isinstance(copied, Dictionary)  # noqa: S101  # as what it is a copy of
        _carry_resources(form, copied, fields)


def _carry_resources(form: Dictionary, given: Dictionary, fields: Sequence[Dictionary]) -> None:
    if Name.DR not in form:
        form.DR = Dictionary()
    for category in sorted(given.keys()):
        there = form.DR.get(category)
        if not isinstance(there, Dictionary) or not isinstance(given[category], Dictionary):
            form.DR[category] = given[category]
            continue
        for name in sorted(given[category].keys()):
            value = given[category][name]
            free = name
            if name in there and there[name].unparse(resolved=True) != value.unparse(resolved=True):
                free = next(n for k in range(2, 10**6) if (n := f"{name}-{k}") not in there)
                _rename_in_appearances(fields, name, free)
            there[free] = value


def _rename_in_appearances(fields: Sequence[Dictionary], name: str, new_name: str) -> None:
    pattern = re.compile(re.escape(name).encode() + rb"(?![^\s()<>\[\]{}/%])")
    for top in fields:
        for field in tree_of(top):
            appearance = field.get(Name.DA)
            if isinstance(appearance, String):
                field.DA = String(pattern.sub(new_name.encode(), bytes(appearance)))


def _rename(field: Dictionary, taken: set[str]) -> None:
    """Let a field have a name that no other has: two of one name would be one field."""
    if not isinstance(field.get(Name.T), String):
        return
    name = str(field.T)
    free = name
    number = 2
    while free in taken:
        free = f"{name}-{number}"
        number += 1
    if free != name:
        field.T = String(free)
    taken.add(free)


def _carry_calculations(
    target: pikepdf.Pdf, form: Dictionary, given: Dictionary, fields: Sequence[Dictionary]
) -> None:
    """The order in which values are computed from others."""
    order = given.get(Name.CO)
    if not isinstance(order, Array):
        return
    there = {field.objgen for top in fields for field in tree_of(top)}
    copied = [target.copy_foreign(field) for field in list(order) if field.is_indirect]
    kept = [field for field in copied if field.objgen in there]
    if kept:
        form.CO = Array([*form.get(Name.CO, Array()), *kept])
