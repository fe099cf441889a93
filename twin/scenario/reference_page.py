"""The schema reference, made from the models so that it cannot disagree with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo

from twin.scenario.base import WrittenAs, _Ref
from twin.scenario.distributions import CountUnion, DurationUnion, Written
from twin.scenario.explain import kinds_of, union_of
from twin.scenario.model import Scenario
from twin.scenario.policies import HoldingCharge, ReviewSpec

__all__ = ["reference_page", "reference_tables"]

_HEAD = """\
# Scenario files

<!-- Made by `python -m twin.scenario > docs/scenario.md`; change the models, not this page. -->

A scenario is one YAML file: a business, its demand and policies, and what is expected of it. `twin
validate` checks it without running it and tells every mistake at once, with file and line.

## Rules

- `extends: base/uk_distributor.yaml` (a path from this file's folder) starts from another file. Maps merge;
  lists of maps with `id` merge by `id`, in the base's order and then what is new; anything else is
  replaced; `null` removes. A map whose `kind` changes is replaced as a whole. Files may extend files, but
  not in a circle.
- Values carry their units: durations `250ms` `30s` `5m` `2h` `1d` `2w` and sums `1d12h`; rates `40/h`,
  `475/week`, `3/2h`; money `12.50 GBP` (EUR, GBP, JPY, USD; one currency a scenario); percentages `93%`;
  instants with their zone `2025-11-17T00:00Z`; times of day `16:00`. Quantities are plain whole numbers. A
  year is 365 days. Everything is read exactly; what is finer than a millisecond, a minor unit or a part per
  million is refused.
- Whole numbers go up to 1_000_000_000_000, seeds to 2^63 - 1, amounts of money to 10^15 minor units, mean
  numbers of orders to 1000/s. A run starts from 1970 to 2199 and takes at most 100 years (36525d), drain
  included.
- Ids are small letters, digits, `_`, `.` and `-`. Items are any text without `/`.
- A key that is not listed here is refused, and so is one that stands twice. There are no expressions, no
  environment variables and no YAML merge keys.
- The scenario's digest covers everything but the title, comments, the order of keys and the names of files.
- In Python: `Scenario.model_validate({...})` with the same values, and `scenario.with_changes({...})` by
  the rules of `extends`. Mistakes then name the path: `warehouses[0].calendar`.

## Distributions

A bare value is fixed: `lead_time: 2d`, `lines: 3`. A bare table is empirical. Anything else is a map with a
`kind`:

"""


def reference_page() -> str:
    """The page in Markdown: rules, then one table for each part of a scenario."""
    text = _HEAD
    rows = [("durations", DurationUnion), ("counts", CountUnion)]
    for what, union in rows:
        text += f"| Of {what}: `kind` | Keys | Means |\n|---|---|---|\n"
        for model in union_of(union):
            keys = ", ".join(f"`{key}`" for key in model.model_fields if key != "kind")
            text += f"| `{kinds_of(model)[0]}` | {keys} | {_doc(model)} |\n"
        text += "\n"
    return text + reference_tables(Scenario)


def reference_tables(root: type[BaseModel]) -> str:
    """A table for a model and for each that it has parts of."""
    text = ""
    for path, model in _models("", root, {}):
        title = f"`{path}`" if path else "Top level"
        text += f"## {title}\n\n{_doc(model)}\n\n| Key | Value | Unless given | Means |\n|---|---|---|---|\n"
        for name, field in model.model_fields.items():
            text += _row(name, field)
        text += "\n"
    return text.rstrip() + "\n"


def _doc(model: type[BaseModel]) -> str:
    """The model's docstring; a generic model's copies have it from the model they were made of."""
    for base in model.__mro__:
        if base.__doc__ and base is not BaseModel:
            return " ".join(base.__doc__.split())
    return ""


def _row(name: str, field: FieldInfo) -> str:
    default = "required" if field.is_required() else _default(field)
    means = (field.description or "").replace("|", "\\|").replace("\n", " ")
    value = _value(_annotation(field))
    return f"| `{field.alias or name}` | {value} | {default} | {means} |\n"


def _default(field: FieldInfo) -> str:
    default = field.get_default(call_default_factory=True, validated_data={})
    if default is None or default in ((), {}):
        return "–"
    if isinstance(default, ReviewSpec | HoldingCharge):
        return "`continuous`"
    if isinstance(default, BaseModel) and type(default).model_fields and not kinds_of(type(default)):
        return "as below"
    # Written as a file would have it, by the field's own serializer.
    written = TypeAdapter(_annotation(field)).dump_python(default, mode="json", exclude_none=True)
    return f"`{_flow(written)}`"


def _annotation(field: FieldInfo) -> Any:
    return Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation


def _flow(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return "''" if value == "" else str(value)


def _value(annotation: Any) -> str:
    """What may stand there, in words."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        inner, *metadata = arguments
        for item in metadata:
            if isinstance(item, WrittenAs):
                return item.name
            reference = getattr(item, "func", None)
            if isinstance(reference, _Ref):
                return f"{reference.noun} id" + (f" or `{reference.also}`" if reference.also else "")
        return _value(inner)
    if origin in (Union, UnionType):
        given = [part for part in arguments if part is not type(None)]
        if len(given) == 1:
            return _value(given[0])
        models = [part for part in union_of(annotation) if kinds_of(part)] if _all_models(annotation) else []
        if models:
            return "map, `kind` one of " + ", ".join(f"`{kind}`" for model in models for kind in kinds_of(model))
        return " or ".join(_value(part) for part in given)
    if origin is Literal:
        return ", ".join(f"`{choice}`" for choice in arguments)
    if origin in (tuple, list):
        return f"list of {_value(arguments[0])}"
    if origin is dict:
        return f"map of {_value(arguments[0])} to {_value(arguments[1])}"
    names = {str: "text", int: "whole number", bool: "`true`, `false`", Any: "anything"}
    return names.get(annotation, "map")


def _all_models(annotation: Any) -> bool:
    return all(isinstance(part, type) and issubclass(part, BaseModel) for part in union_of(annotation))


def _models(
    path: str, model: type[BaseModel], seen: dict[type[BaseModel], str]
) -> Iterator[tuple[str, type[BaseModel]]]:
    """Each model once, with the path at which it stands first."""
    if model in seen:
        return
    seen[model] = path
    yield path, model
    for name, field in model.model_fields.items():
        if any(isinstance(item, Written) for item in field.metadata):
            continue
        here = f"{path}.{field.alias or name}" if path else str(field.alias or name)
        for inner, many in _inner(field.annotation, ""):
            kinds = kinds_of(inner)
            yield from _models(f"{here}{many}" + (f" {{kind: {kinds[0]}}}" if kinds else ""), inner, seen)


def _inner(annotation: Any, many: str) -> Iterator[tuple[type[BaseModel], str]]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        if not any(isinstance(item, Written) for item in arguments[1:]):
            yield from _inner(arguments[0], many)
    elif origin in (Union, UnionType):
        for part in arguments:
            yield from _inner(part, many)
    elif origin in (tuple, list):
        yield from _inner(arguments[0], many + "[]")
    elif origin is dict:
        yield from _inner(arguments[1], many)
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation, many
