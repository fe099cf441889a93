"""The mapping: which column of which file means what, in which zone and format its times are."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from twin.event_log import ACTIVITIES, EventLogError

__all__ = ["SHIPPED", "ActivityColumn", "EventLogMapping", "FieldColumns", "SourcePart", "Stamp", "read_mapping"]

SHIPPED = Path(__file__).parent / "mappings"
"""Mappings of public data sets that come with the program; the data does not."""

_WHOLE_MAPPING = "mapping"
_DEPTH_MAX = 10


def _stamp(value: object) -> object:
    return {"column": value} if isinstance(value, str) else value


def _listed(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


Texts = Annotated[tuple[str, ...], BeforeValidator(_listed)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Stamp(_Model):
    """A column of times, and where it differs from the rest of the log.

    `day: end` means that the column names a day and that its last millisecond is meant, in the log's zone:
    a parcel that is promised for a day may come until midnight. `recorded` is the column of the record time.
    `quantity` is the column of the units that this event is about, if not the line's.
    `when` is a column and the values that say that it happened: without `column` its time is not known.
    `otherwise` is the column of the time where the first is blank.
    """

    column: str | None = None
    otherwise: str | None = None
    format: str | None = None
    day: Literal["start", "end"] = "start"
    recorded: str | None = None
    quantity: str | None = None
    when: dict[str, Texts] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Stamp:
        if self.column is None and not self.when:
            raise ValueError("neither `column` nor `when`; name the column of its time")
        return self


StampColumn = Annotated[Stamp, BeforeValidator(_stamp)]


class ActivityColumn(_Model):
    """A log with one row an event: the columns of its name and time, and what each name means here.

    `ignore` names what is left out; `*` in it stands for all that has no meaning here.
    """

    column: str
    time: StampColumn
    names: dict[str, str] = Field(min_length=1)
    ignore: Texts = ()

    @property
    def ignores_rest(self) -> bool:
        """Whether what is not translated is left out."""
        return "*" in self.ignore

    def leaves_out(self, name: str) -> bool:
        """Whether an event of that name is ignored."""
        return name not in self.names and (self.ignores_rest or name in self.ignore)


class FieldColumns(_Model):
    """Columns of ids and amounts; `value` is in major units, as written."""

    order: str | None = None
    line: str | None = None
    purchase_order: str | None = None
    shipment: str | None = None
    item: str | None = None
    quantity: str | None = None
    value: str | None = None
    customer: str | None = None
    channel: str | None = None
    region: str | None = None
    site: str | None = None
    supplier: str | None = None
    origin: str | None = None
    carrier: str | None = None
    requested: StampColumn | None = None
    promised: StampColumn | None = None
    stock_view: str | None = None
    candidates: str | None = None


class Constants(_Model):
    """What every row says of a field for which the export has no column."""

    item: str | None = None
    quantity: str | None = Field(default=None, pattern=r"^[0-9]{1,12}$")
    customer: str | None = None
    channel: str | None = None
    region: str | None = None
    site: str | None = None
    supplier: str | None = None
    origin: str | None = None
    carrier: str | None = None


TRANSLATED = ("item", "customer", "channel", "region", "site", "supplier", "origin", "carrier")
"""Fields whose values may be given other names; ids of orders and lines lead from one event to the next."""


class SourcePart(_Model):
    """One file of an export that has several: a glob of its name, and how its rows find those before it.

    `join` leads from this file's column to one of the files before, as `name.column`. Without `many` a second
    row with the same key is an error: a doubled seller would double the orders.
    """

    file: str
    join: dict[str, str] | None = None
    many: bool = False


class Times(_Model):
    """`zone` is the IANA zone of stamps without an offset; `format` is `iso`, `epoch_ms`, `epoch_s` or strptime's."""

    zone: str | None = None
    format: str = "iso"

    @model_validator(mode="after")
    def _zone_exists(self) -> Times:
        if self.zone is not None:
            try:
                ZoneInfo(self.zone)
            except (KeyError, ValueError, OSError) as error:
                raise ValueError(f"zone {self.zone!r} is unknown; write an IANA name such as Europe/London") from error
        return self


class EventLogMapping(_Model):
    """Columns by name, and what a company states about its log; see docs/event_log.md for each key."""

    title: str
    times: Times = Times()
    as_of: str | None = None
    currency: str = Field(default="", pattern=r"^([A-Z]{3})?$")
    currency_exponent: int = Field(default=2, ge=0, le=4)
    encoding: str = "utf-8"
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    decimal: Literal[".", ","] = "."
    blanks: Texts = ()
    case: str | None = None
    each: str | None = None
    files: dict[str, SourcePart] = Field(default_factory=dict)
    where: dict[str, Texts] = Field(default_factory=dict)
    fields: FieldColumns
    optional: Texts = ()
    constants: Constants = Constants()
    values: dict[str, dict[str, str]] = Field(default_factory=dict)
    events: dict[str, StampColumn] = Field(default_factory=dict)
    activity: ActivityColumn | None = None
    deliveries: Literal["by_quantity", "whole"] = "by_quantity"
    duplicates: Literal["refuse", "drop", "keep"] = "refuse"
    caveats: Texts = ()
    refuse: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _fits_together(self) -> EventLogMapping:
        if bool(self.events) == (self.activity is not None):
            raise ValueError(
                "a log has one row an event (`activity`) or one row a case with a column for each event (`events`); "
                "give one of the two"
            )
        meant = self.events if self.activity is None else dict.fromkeys(self.activity.names.values())
        for name in meant:
            if name not in ACTIVITIES:
                close = difflib.get_close_matches(name, ACTIVITIES, n=1)
                guess = f" (did you mean {close[0]!r}?)" if close else ""
                raise ValueError(f"{name!r} is no activity; there are {', '.join(ACTIVITIES)}{guess}")
        reduced = self.events.get("reduced")
        if reduced is not None and reduced.quantity is None:
            raise ValueError("events.reduced: how many units were taken off is not told; give it a `quantity`")
        if self.fields.order is None and self.fields.purchase_order is None:
            raise ValueError("fields: neither `order` nor `purchase_order`; name the column of one")
        for name in self.constants.model_fields_set:
            if not (getattr(self.constants, name) or "").strip():
                raise ValueError(f"constants.{name}: says nothing; write the value, or leave it out")
        for name, said in self.constants:
            if said is not None and getattr(self.fields, name) is not None:
                raise ValueError(f"constants.{name}: `fields` names a column of it; leave one of the two out")
        for name in self.values:
            if name not in TRANSLATED:
                raise ValueError(f"values.{name}: it cannot be translated; fields here are {', '.join(TRANSLATED)}")
            if getattr(self.fields, name) is None:
                raise ValueError(f"values.{name}: no column of it is mapped; name it in `fields`")
        for place, (name, part) in enumerate(self.files.items()):
            if (place == 0) != (part.join is None):
                said = "has a `join`, but nothing stands before it" if place == 0 else "has no `join`"
                raise ValueError(f"files.{name}: {said}; every file but the first is joined to one before it")
            if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
                raise ValueError(f"files.{name}: the name is not usable; write small letters, digits and _")
        try:
            "".encode(self.encoding)
        except LookupError:
            raise ValueError(f"encoding: {self.encoding!r} is unknown; write utf-8 or cp1252") from None
        return self

    @model_validator(mode="after")
    def _can_do_without(self) -> EventLogMapping:
        mapped = dict.fromkeys(column for _, column in self.columns())
        needed = {column: key for key, column in self.columns() if key.startswith(_NEEDED)}
        for name, part in self.files.items():
            for own, other in (part.join or {}).items():
                needed |= dict.fromkeys((own, f"{name}.{own}", other), f"files.{name}.join")
        subjects = [one for one in (self.fields.order, self.fields.purchase_order) if one is not None]
        if subjects and all(one in self.optional for one in subjects):
            needed |= dict.fromkeys(subjects, "the id of an order")
        for column in self.optional:
            if column not in mapped:
                raise ValueError(f"optional: the mapping names no column {column!r}; leave it out, or map it")
            if column in needed:
                raise ValueError(f"optional: nothing can be told without {needed[column]} ({column!r}); leave it out")
        return self

    def columns(self) -> Iterator[tuple[str, str]]:
        """Every (key of the mapping, column) that it names, joins left out."""
        for name, held in self.fields:
            if isinstance(held, Stamp):
                yield from _columns_of(f"fields.{name}", held)
            elif held is not None:
                yield f"fields.{name}", held
        for name, stamp in self.events.items():
            yield from _columns_of(f"events.{name}", stamp)
        if self.activity is not None:
            yield "activity.column", self.activity.column
            yield from _columns_of("activity.time", self.activity.time)
        for column in self.where:
            yield f"where.{column}", column


_NEEDED: Final = ("activity.column", "activity.time.column", "where.", "events.reduced.quantity")
"""Keys of a mapping whose columns no export may lack."""


def _columns_of(key: str, stamp: Stamp) -> Iterator[tuple[str, str]]:
    named = {
        "column": stamp.column,
        "otherwise": stamp.otherwise,
        "recorded": stamp.recorded,
        "quantity": stamp.quantity,
    }
    yield from ((f"{key}.{part}", column) for part, column in named.items() if column is not None)
    yield from ((f"{key}.when", column) for column in stamp.when or ())


def read_mapping(source: Path | EventLogMapping | Mapping[str, Any]) -> EventLogMapping:
    """The checked mapping from a YAML file, the name of a shipped one, or a plain map.

    Raises `EventLogError` that names the first wrong key, and the likely one where a key is unknown.
    """
    if isinstance(source, EventLogMapping):
        return source
    place, plain = _WHOLE_MAPPING, source
    if isinstance(source, Path):
        place, plain = str(source), _read_yaml(source)
    try:
        return EventLogMapping.model_validate(_as_texts(plain))
    except ValidationError as error:
        raise _explain(place, error) from None


def _read_yaml(path: Path) -> Any:
    shipped = SHIPPED / f"{path.name}.yaml"
    if not path.exists() and path.name == str(path) and shipped.exists():
        path = shipped
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        names = ", ".join(sorted(one.stem for one in SHIPPED.glob("*.yaml")))
        raise EventLogError(
            str(path), "there is no such mapping", f"give a YAML file, or the name of a shipped one: {names}"
        ) from None
    except IsADirectoryError:
        raise EventLogError(str(path), "is a folder, not a mapping", "name the YAML file inside it") from None
    except UnicodeDecodeError:
        raise EventLogError(str(path), "is no text in UTF-8", "a mapping is a YAML file") from None
    try:
        plain = YAML(typ="safe", pure=True).load(text)
    except MarkedYAMLError as error:
        line = "" if error.problem_mark is None else f":{error.problem_mark.line + 1}"
        raise EventLogError(f"{path}{line}", f"is no YAML ({error.problem})", "correct this line") from None
    except YAMLError as error:
        raise EventLogError(str(path), f"is no YAML ({str(error).splitlines()[0]})", "correct it") from None
    if not isinstance(plain, dict):
        raise EventLogError(str(path), "is no map of keys", "a mapping begins with `title:`; see docs/event_log.md")
    return plain


def _as_texts(node: Any, key: str = "", depth: int = 0) -> Any:
    if depth > _DEPTH_MAX:
        raise EventLogError(
            _WHOLE_MAPPING, "its keys are nested without an end", "write no alias (*) into its own anchor"
        )
    # YAML reads 2018-05-01 as a date and 1 in a list of values as a number; the mapping wants what was written.
    if isinstance(node, dict):
        return {str(name): _as_texts(held, str(name), depth + 1) for name, held in node.items()}
    if isinstance(node, (list, tuple)):
        return [_as_texts(held, "", depth + 1) for held in node]
    if node is None or isinstance(node, (str, bool)) or key == "currency_exponent":
        return node
    return str(node)


def _explain(place: str, error: ValidationError) -> EventLogError:
    problems = error.errors(include_url=False)
    # An unknown key first: a misspelled key also shows up as a missing one, which misleads.
    first = next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])
    path = [str(part) for part in first["loc"]]
    where = ".".join([place, *path]) if place == _WHOLE_MAPPING else f"{place}: {'.'.join(path)}" if path else place
    if first["type"] == "extra_forbidden":
        keys = sorted(_keys_beside(path))
        close = difflib.get_close_matches(path[-1], keys, n=1)
        guess = f" (did you mean {close[0]!r}?)" if close else ""
        return EventLogError(where, "unknown key", f"keys here: {', '.join(keys)}{guess}")
    if first["type"] == "missing":
        return EventLogError(where, "key is missing", "state it, as docs/event_log.md shows")
    if first["type"] == "value_error":
        text = first["msg"].removeprefix("Value error, ")
        problem, _, remedy = text.partition("; ")
        return EventLogError(where, problem, remedy)
    # In the words of YAML: its reader has not met our models.
    wanted = re.sub(r"valid dictionary( or instance of \w+)?", "map", first["msg"]).replace("valid tuple", "list")
    return EventLogError(where, f"{first['input']!r} is not usable", f"{wanted[0].lower()}{wanted[1:]}")


def _keys_beside(path: list[str]) -> list[str]:
    models: dict[str, type[_Model]] = {
        "times": Times,
        "fields": FieldColumns,
        "constants": Constants,
        "activity": ActivityColumn,
    }
    if len(path) == 1:
        return list(EventLogMapping.model_fields)
    if len(path) == 2 and path[0] in models:
        return list(models[path[0]].model_fields)
    return list((SourcePart if path[0] == "files" else Stamp).model_fields)
