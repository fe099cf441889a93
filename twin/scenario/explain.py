"""Validation errors as a reader of the file needs them: where in the file, and what would be right."""

from __future__ import annotations

from decimal import Decimal
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from twin.scenario.distributions import Written
from twin.scenario.errors import Path, dotted, join_some, suggestion

__all__ = ["explain", "kinds_of", "union_of"]


def explain(error: ValidationError, root: type[BaseModel], plain: Any) -> list[tuple[Path, str]]:
    """Path from the top of the scenario and text of each problem, in the order in which they were found.

    `plain` is what was validated.
    """
    return [_explain(details, root, plain) for details in error.errors(include_url=False)]


def union_of(annotation: Any) -> tuple[Any, ...]:
    """The alternatives of an annotation without its wrappers: models, tuples, plain types."""
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *metadata = get_args(annotation)
        written = [item.union for item in metadata if isinstance(item, Written)]
        return union_of(written[0] if written else inner)
    if origin in (Union, UnionType):
        return tuple(choice for part in get_args(annotation) for choice in union_of(part))
    return () if annotation is type(None) else (annotation,)


def _field_annotation(field: FieldInfo) -> Any:
    written = [item.union for item in field.metadata if isinstance(item, Written)]
    return written[0] if written else field.annotation


def kinds_of(model: type[BaseModel]) -> tuple[str, ...]:
    """The values of `kind` by which a model of a union is told."""
    field = model.model_fields.get("kind")
    if field is None or not field.is_required() or get_origin(field.annotation) is not Literal:
        return ()
    return get_args(field.annotation)


def _keys(model: type[BaseModel]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _locate(location: tuple[str | int, ...], root: type[BaseModel]) -> tuple[Path, tuple[Any, ...]]:
    """The path in the file, without the tags of unions, and the alternatives of what stands there."""
    path: list[str | int] = []
    here: tuple[Any, ...] = (root,)
    for part in location:
        models = [choice for choice in here if isinstance(choice, type) and issubclass(choice, BaseModel)]
        tagged = [model for model in models if part in kinds_of(model)] if len(models) > 1 else []
        if tagged:
            here = tuple(tagged)
            continue
        if part == "[key]":
            continue
        if len(models) > 1 and part not in [key for model in models for key in _keys(model)]:
            # A tag that no model has: the error is about the union as a whole.
            continue
        path.append(part)
        here = _below(here, part)
    return tuple(path), here


def _below(here: tuple[Any, ...], part: str | int) -> tuple[Any, ...]:
    found: list[Any] = []
    for choice in here:
        origin, arguments = get_origin(choice), get_args(choice)
        if isinstance(choice, type) and issubclass(choice, BaseModel):
            field = _keys(choice).get(str(part))
            if field is not None:
                found += union_of(_field_annotation(field))
        elif origin in (tuple, list) and isinstance(part, int):
            repeated = len(arguments) == 1 or arguments[-1] is Ellipsis
            if repeated or part < len(arguments):
                found += union_of(arguments[0] if repeated else arguments[part])
        elif origin is dict:
            found += union_of(arguments[1])
    return tuple(found)


def _models_at(path: tuple[str | int, ...], root: type[BaseModel]) -> list[type[BaseModel]]:
    _, here = _locate(path, root)
    return [choice for choice in here if isinstance(choice, type) and issubclass(choice, BaseModel)]


def _shown(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a map"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, Decimal | int):
        return str(value)
    text = str(value)
    return f"'{text[:57]}...'" if len(text) > 60 else f"'{text}'"


def _as_written(path: Path, plain: Any) -> Path:
    """The path without the keys that a short form leaves out: `transit: 2d` has no `value`."""
    written: list[str | int] = []
    for part in path:
        if part in ("value", "table") and not isinstance(plain, dict):
            continue
        written.append(part)
        if isinstance(plain, dict):
            plain = plain.get(part)
        elif isinstance(plain, list) and isinstance(part, int) and part < len(plain):
            plain = plain[part]
    return tuple(written)


_WANTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a map",
    "model_type": "a map",
    "model_attributes_type": "a map",
    "missing_argument": "a value",
}


def _name(path: Path) -> str:
    """The last key of the path with the list positions after it: `hours[1]`."""
    last = max((i for i, part in enumerate(path) if isinstance(part, str)), default=0)
    return dotted(path[last:])


def _explain(details: ErrorDetails, root: type[BaseModel], plain: Any) -> tuple[Path, str]:
    kind, value, context = details["type"], details["input"], details.get("ctx", {})
    location = details["loc"]
    path, here = _locate(location, root)
    path = _as_written(path, plain)
    name = _name(path)
    lead = f"{name}: " if name else ""
    if kind == "reference":
        return path, details["msg"]
    if kind == "refused":
        return path, lead + details["msg"]
    if kind == "extra_forbidden":
        keys = sorted({key for model in _models_at(location[:-1], root) for key in _keys(model)})
        word = str(path[-1])
        return path, f"unknown key '{word}'; keys here: {join_some(keys)}{suggestion(word, keys)}"
    if kind == "missing":
        place = _name(path[:-1])
        return path, f"missing key '{path[-1]}'" + (f" in {place}" if place else "")
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        kinds = [name for choice in here for name in kinds_of(choice)]
        if kind == "union_tag_not_found":
            return path, f"{lead}missing key 'kind'; kinds here: {join_some(kinds)}"
        word = str(context.get("tag", ""))
        return (*path, "kind"), f"unknown kind '{word}'; kinds here: {join_some(kinds)}{suggestion(word, kinds)}"
    if kind == "literal_error":
        allowed = [str(choice) for literal in here for choice in get_args(literal)]
        hint = suggestion(str(value), allowed)
        return path, f"{lead}unknown value {_shown(value)}; write one of {join_some(allowed)}{hint}"
    if kind == "greater_than_equal":
        low = "negative" if context["ge"] == 0 else "too small"
        return path, f"{lead}{_shown(value)} is {low}; write {context['ge']} or more"
    if kind == "less_than_equal":
        return path, f"{lead}{_shown(value)} is too large; write {context['le']} or less"
    if kind == "too_short":
        return path, f"{lead}the list is empty; give at least one entry"
    if kind in _WANTED:
        wanted = _WANTED[kind]
        keys = sorted({key for model in here if hasattr(model, "model_fields") for key in _keys(model)})
        if wanted == "a map" and keys:
            wanted += f" with keys such as {join_some(keys)}"
        return path, f"{lead}expected {wanted}, got {_shown(value)}"
    return path, lead + details["msg"].removeprefix("Value error, ")
