"""The scenario as a whole: its top-level keys, what must fit across them, its digest and its text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import blake2b
from io import StringIO
from os.path import relpath
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError, PydanticSerializationError
from ruamel.yaml import YAML

from twin.scenario.base import KNOWN, Id, Model, Tuple, at_least_one, refuse
from twin.scenario.business import Assortment, Carrier, Item, Lane, Stock, Supplier, Warehouse
from twin.scenario.consistency import duplicates, known_ids, misfits
from twin.scenario.demand import BookFile, Channel, OpeningFiles, ResidualFile
from twin.scenario.disruptions import Disruption
from twin.scenario.distributions import DistributionSpec
from twin.scenario.errors import Path, Problem, ScenarioError, choices, dotted
from twin.scenario.expect import Expectation
from twin.scenario.explain import explain
from twin.scenario.faults import Fault
from twin.scenario.interfaces import Interface
from twin.scenario.interventions import Intervention
from twin.scenario.inventory import Inventory
from twin.scenario.log_names import LogNames
from twin.scenario.master_data import MasterData
from twin.scenario.merging import merge_plain
from twin.scenario.monitor import Monitor
from twin.scenario.policies import Costs, Policies
from twin.scenario.services import Service
from twin.scenario.times import CalendarSpec, RunSpec
from twin.scenario.units import CURRENCY_EXPONENTS
from twin.streams.distributions import Fixed

__all__ = ["SCHEMA", "Erp", "Scenario", "checked"]

SCHEMA = 1


def _currency(value: str) -> str:
    if value not in CURRENCY_EXPONENTS:
        raise refuse(choices("currency", "currencies", value, list(CURRENCY_EXPONENTS)), bare=True)
    return value


class Erp(Model):
    """The ERP, which posts invoices."""

    latency: DistributionSpec = Fixed(200)
    """Of a message to or from it, each way"""
    posting: DistributionSpec = Fixed(0)
    """Time to post an invoice"""


class Scenario(Model):
    """One business, its demand and policies, and what is expected of it.

    Read from a file by `twin.scenario.load`, or built in Python: `Scenario.model_validate({...})` with the
    values as they would stand in the file (`"2h"`, `"12.50 GBP"`). Both check alike and raise `ScenarioError`.
    """

    schema_: Annotated[Literal[1], Field(alias="schema")]
    """Version of this schema: 1"""
    title: str
    """One line for reports"""
    description: str = ""
    """What it is about"""
    run: RunSpec
    """When and how long"""
    currency: Annotated[str, AfterValidator(_currency)]
    """The one currency of all amounts"""
    calendars: Tuple[CalendarSpec] = ()
    """Opening times; `always` is predefined"""
    regions: Annotated[Tuple[Id], AfterValidator(at_least_one)]
    """Where customers are"""
    warehouses: Annotated[Tuple[Warehouse], AfterValidator(at_least_one)]
    """Stocking locations"""
    suppliers: Tuple[Supplier] = ()
    """Sources of purchased goods"""
    carriers: Tuple[Carrier] = ()
    """Who takes parcels to regions"""
    lanes: Tuple[Lane] = ()
    """Ways from warehouses to regions"""
    channels: Annotated[Tuple[Channel], AfterValidator(at_least_one)]
    """Ways in which customers order"""
    order_book: BookFile | None = None
    """A real order book that feeds the channels whose demand is `{kind: book}`"""
    items: Tuple[Item] = ()
    """What is sold, listed"""
    assortment: Assortment | None = None
    """What is sold, derived by rules"""
    stock: Tuple[Stock] = ()
    """Opening stock"""
    opening: OpeningFiles | None = None
    """What was under way at the start, from tables: instead of `stock`"""
    residuals: ResidualFile | None = None
    """Recorded luck that a run is given again, instead of drawing it"""
    log_names: LogNames | None = None
    """What the log of another system calls the places of this scenario, which was made from it"""
    policies: Policies = Policies()
    """The rules of the business"""
    costs: Costs = Costs()
    """What stock and shortages cost"""
    erp: Erp = Erp()
    """The ERP"""
    inventory: Inventory | None = None
    """Who holds the inventory; the engine, alone, unless given"""
    services: Tuple[Service] = ()
    """Services outside that decide in the engine's place"""
    interfaces: Tuple[Interface] = ()
    """What serves the engine's calls to its partners; calls to others reach them unhindered"""
    faults: Tuple[Fault] = ()
    """What goes wrong in interfaces"""
    master_data: MasterData | None = None
    """Values of items that change in the middle of the run, and how the engine hears of it"""
    monitor: Monitor | None = None
    """Who watches the log and raises alerts"""
    disruptions: Tuple[Disruption] = ()
    """What goes wrong with sites, suppliers, carriers and demand"""
    interventions: Tuple[Intervention] = ()
    """What people do about it in the middle of the run"""
    expect: Tuple[Expectation] = ()
    """What the outcome is held against"""

    _sources: tuple[FilePath, ...] = PrivateAttr(default=())

    @property
    def sources(self) -> tuple[FilePath, ...]:
        """Files it was read from, the base first; none for a scenario built in Python."""
        return self._sources

    @property
    def digest(self) -> str:
        """32 hexadecimal digits of BLAKE2b over the validated scenario in canonical form.

        Neither the title, comments, the order of keys, the writing of a value (`60s`, `1m`) nor the names of
        the scenario's files count, and of the path of an order book, an opening or residuals only its last part does.
        """
        plain = self.plain()
        del plain["title"]
        if self.order_book is not None:
            plain["order_book"]["path"] = FilePath(self.order_book.path).name
        if self.opening is not None:
            plain["opening"]["path"] = FilePath(self.opening.path).name
        if self.residuals is not None:
            plain["residuals"]["path"] = FilePath(self.residuals.path).name
        text = json.dumps(plain, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return blake2b(text.encode(), digest_size=16).hexdigest()

    def decisions_of(self, service: str) -> tuple[str, ...]:
        """What a service is asked to decide: sourcing, promise, release."""
        outside = {
            "sourcing": self.policies.sourcing.outside,
            "promise": self.policies.promise.outside,
            "release": self.policies.release.outside,
        }
        return tuple(decision for decision, asked in outside.items() if asked is not None and asked.service == service)

    def plain(self) -> dict[str, Any]:
        """Maps, lists, text, whole numbers and truth values, as they would stand in one file."""
        return _without_empty_maps(_dumped(self))

    def to_yaml(self, folder: FilePath | None = None) -> str:
        """The whole scenario as one file without `extends`; for a file in `folder`, book paths lead from there."""
        plain = self.plain()
        if folder is not None and self.order_book is not None:
            plain["order_book"]["path"] = FilePath(relpath(self.order_book.file, folder)).as_posix()
        if folder is not None and self.opening is not None:
            plain["opening"]["path"] = FilePath(relpath(self.opening.folder, folder)).as_posix()
        if folder is not None and self.residuals is not None:
            plain["residuals"]["path"] = FilePath(relpath(self.residuals.file, folder)).as_posix()
        yaml = YAML(typ="safe", pure=True)
        yaml.default_flow_style = None
        # The keys of a file have an order that helps its reader.
        yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
        yaml.width = 110
        yaml.allow_unicode = True
        out = StringIO()
        yaml.dump(plain, out)
        return out.getvalue()

    def with_changes(self, changes: Mapping[str, object]) -> Self:
        """A new scenario with `changes` merged over this one by the rules of `extends`, checked anew.

        Raises `ScenarioError`.
        """
        changed = type(self).model_validate(merge_plain(self.plain(), changes))
        changed._sources = self._sources
        before, after = self.order_book, changed.order_book
        if before is not None and after is not None and before.path == after.path:
            after._folder = before._folder
        opened, opens = self.opening, changed.opening
        if opened is not None and opens is not None and opened.path == opens.path:
            opens._folder = opened._folder
        luck, changed_luck = self.residuals, changed.residuals
        if luck is not None and changed_luck is not None and luck.path == changed_luck.path:
            changed_luck._folder = luck._folder
        return changed

    @classmethod
    def model_validate(cls, obj: Any) -> Self:  # type: ignore[override]
        """The scenario of a map of plain values; raises `ScenarioError` with a path for each problem."""
        try:
            return super().model_validate(obj)
        except ValidationError as error:
            found = [(_path(details["loc"]), details["msg"]) for details in error.errors()]
            problems = [Problem("", 0, _from_path(path, text)) for path, text in found]
        raise ScenarioError(problems)

    @model_validator(mode="wrap")
    @classmethod
    def _checked(cls, value: Any, validate: ModelWrapValidatorHandler[Self]) -> Self:
        """Validates with the ids in view, and tells all problems at once, each by its final text."""
        if isinstance(value, Scenario):
            return validate(value)
        plain = _plain(value)
        problems = duplicates(plain)
        scenario: Self | None = None
        token = KNOWN.set(known_ids(plain))
        try:
            scenario = validate(plain)
        except ValidationError as error:
            problems = explain(error, cls, plain) + problems
        finally:
            KNOWN.reset(token)
        if scenario is not None:
            problems += misfits(scenario)
        if scenario is None or problems:
            raise ValidationError.from_exception_data(
                "scenario",
                [
                    InitErrorDetails(
                        type=PydanticCustomError("scenario", "{text}", {"text": text}), loc=path, input=None
                    )
                    for path, text in problems
                ],
            )
        return scenario


def checked(plain: dict[str, Any]) -> tuple[Scenario | None, list[tuple[Path, str]]]:
    """The scenario, or the path and text of each problem."""
    try:
        return TypeAdapter(Scenario).validate_python(plain), []
    except ValidationError as error:
        return None, [(_path(details["loc"]), details["msg"]) for details in error.errors()]


def _path(location: tuple[int | str, ...]) -> Path:
    return tuple(location)


def _from_path(path: Path, text: str) -> str:
    """The text after its path; the key that the text begins with is in the path already."""
    where = dotted(path)
    last = max((index for index, part in enumerate(path) if isinstance(part, str)), default=0)
    text = text.removeprefix(f"{dotted(path[last:])}: ")
    return f"{where}: {text}" if where else text


def _plain(value: Any) -> Any:
    """Models as the maps they would be in a file, without keys that are null; anything else as it is."""
    if isinstance(value, BaseModel):
        return _dumped(value)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _dumped(model: BaseModel) -> dict[str, Any]:
    try:
        return model.model_dump(mode="json", by_alias=True, exclude_none=True)
    except PydanticSerializationError as error:
        if isinstance(error.__cause__, KeyboardInterrupt):
            # Pydantic takes an interrupt that comes while it writes a value for a failure of that value.
            raise error.__cause__ from None
        raise


def _without_empty_maps(value: dict[str, Any]) -> dict[str, Any]:
    """Without maps that say nothing: leaving them out means the same."""
    kept = {key: _without_empty_maps(item) if isinstance(item, dict) else item for key, item in value.items()}
    for key, item in kept.items():
        if isinstance(item, list):
            kept[key] = [_without_empty_maps(part) if isinstance(part, dict) else part for part in item]
    return {key: item for key, item in kept.items() if item != {}}
