"""Take out of an element tree what the ome-types model would refuse, and nothing else.

The model is all or nothing: one invalid attribute anywhere and there is no metadata at all. Its own classes
say what each attribute and child has to be, so they are asked one by one here.
"""

from __future__ import annotations

import types
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin
from xml.etree.ElementTree import Element

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from bfio.omexml.tree import local_name

__all__ = ["prune"]


def prune(element: Element, model: type[BaseModel]) -> bool:
    """Remove invalid attributes and children of `element`, in place.

    Returns
    -------
    bool
        Whether the element is of use: False where something that the schema requires is missing.
    """
    attributes, children, any_content = _fields(model)
    if any_content:
        return True
    for name, field in attributes.items():
        if name in element.attrib and not _accepts(field, element.attrib[name]):
            del element.attrib[name]
    for child in list(element):
        found = children.get(local_name(child))
        if found is None or not _prune_child(child, found):
            element.remove(child)
    _drop_repeated(element, children)
    present = {local_name(child) for child in element}
    return all(
        not field.is_required() or name in element.attrib or name in present
        for name, field in (*attributes.items(), *children.items())
    )


def _prune_child(child: Element, field: FieldInfo) -> bool:
    model = _model_of(field.annotation)
    if model is not None:
        return prune(child, model)
    return _accepts(field, child.text or "")


def _drop_repeated(element: Element, children: dict[str, FieldInfo]) -> None:
    seen = set()
    for child in list(element):
        name = local_name(child)
        single = name in children and get_origin(children[name].annotation) is not list
        if single and name in seen:
            element.remove(child)
        seen.add(name)


@cache
def _fields(model: type[BaseModel]) -> tuple[dict[str, FieldInfo], dict[str, FieldInfo], bool]:
    """Attributes and children by their XML names, and whether anything at all may be inside."""
    attributes, children, any_content = {}, {}, False
    for field in model.model_fields.values():
        extra = field.json_schema_extra
        if not isinstance(extra, dict):
            continue
        kind, name = extra.get("type"), str(extra.get("name"))
        any_content = any_content or kind == "Wildcard"
        if kind == "Attribute":
            attributes[name] = field
        elif kind == "Element":
            children[name] = field
    return attributes, children, any_content


@cache
def _adapter(annotation: Any, metadata: tuple[Any, ...]) -> TypeAdapter[Any]:
    return TypeAdapter(Annotated[annotation, *metadata] if metadata else annotation)


def _accepts(field: FieldInfo, text: str) -> bool:
    annotation: Any = field.annotation
    if get_origin(annotation) is list:
        annotation = get_args(annotation)[0]
    if (field.json_schema_extra or {}).get("name") == "ID":  # type: ignore[union-attr]
        return True  # the model numbers what has the wrong form
    try:
        _adapter(annotation, tuple(field.metadata)).validate_python(text.strip())
    except (ValidationError, ValueError, TypeError):
        return False
    return True


def _model_of(annotation: Any) -> type[BaseModel] | None:
    """The model class in ``X``, ``X | None`` or ``list[X]``."""
    if get_origin(annotation) in (Union, types.UnionType, list):
        return next((found for found in map(_model_of, get_args(annotation)) if found is not None), None)
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None
