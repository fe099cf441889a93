"""The mapping: which column means what, and the rules a company states about its own book."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from twin.order_book import OrderBookError

__all__ = ["ChannelRule", "OrderBookMapping", "RegionSplit", "StampColumn", "read_mapping"]

_DURATION = re.compile(r"([0-9]+)(s|m|h|d)", re.ASCII)
_UNIT_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_RULE_NAME = r"^[a-z][a-z0-9_]*$"
_RESERVED = (
    "order_line",
    "missing_customer",
    "free_of_charge",
    "credit_matched",
    "credit_partly_matched",
    "credit_unmatched",
    "stock_adjustment",
    "positive_credit",
    "zero_quantity",
    "negative_price",
)
_WHOLE_MAPPING = "mapping"


def _duration_ms(value: object) -> object:
    if isinstance(value, str):
        found = _DURATION.fullmatch(value)
        if found is None:
            raise ValueError(f"{value!r} is no duration; write 30s, 5m, 2h or 1d")
        return int(found[1]) * _UNIT_MS[found[2]]
    raise ValueError(f"{value!r} has no unit; write 30s, 5m, 2h or 1d")


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class StampColumn(_Model):
    """The column of the order's time.

    `format` is `iso` or a strptime format. `timezone` is the IANA zone of stamps that carry no offset;
    of a local time that occurs twice the first is meant, one that never occurs is an error.
    """

    column: str
    format: str = "iso"
    timezone: str = "UTC"

    @model_validator(mode="after")
    def _zone_exists(self) -> StampColumn:
        try:
            ZoneInfo(self.timezone)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(
                f"timezone {self.timezone!r} is unknown; write an IANA name such as Europe/London"
            ) from error
        return self


class RegionSplit(_Model):
    """One country over several regions, by a keyed hash of the customer.

    A customer keeps their region in every run, and no other customer's region depends on it.
    """

    split: dict[str, Annotated[int, Field(gt=0)]] = Field(min_length=1)

    def region(self, customer: str) -> str:
        digest = hashlib.blake2b(customer.encode(), digest_size=8, person=b"book region").digest()
        mark = int.from_bytes(digest, "big") % sum(self.split.values())
        passed = 0
        for region, weight in self.split.items():
            passed += weight
            if mark < passed:
                return region
        raise AssertionError("a remainder is smaller than the sum of the weights")


class ChannelRule(_Model):
    """Orders that meet every stated condition belong to `channel`; the first rule that fits wins."""

    channel: str
    customer: Literal["present", "missing"] | None = None
    country: tuple[str, ...] | None = Field(default=None, strict=False)

    def fits(self, customer: str, country: str) -> bool:
        if self.customer is not None and (self.customer == "present") != bool(customer):
            return False
        return self.country is None or country in self.country


class OrderBookMapping(_Model):
    """Columns by name, and the stated rules; see docs/order_book.md for each key."""

    order: str
    sku: str
    quantity: str
    at: StampColumn
    price: str
    description: str | None = None
    customer: str | None = None
    country: str | None = None
    encoding: str = "utf-8"
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    currency_exponent: int = Field(default=2, ge=0, le=4)
    cancel_prefix: str | None = None
    sku_case: Literal["keep", "upper"] = "keep"
    same_order_within: Annotated[int, BeforeValidator(_duration_ms)] = 300_000
    order_lines: Literal["together", "anywhere"] = "together"
    non_products: dict[str, Annotated[str, Field(pattern=_RULE_NAME)]] = Field(default_factory=dict)
    channels: tuple[ChannelRule, ...] = Field(min_length=1, strict=False)
    regions: dict[str, str | RegionSplit] = Field(min_length=1)

    @model_validator(mode="after")
    def _rules_are_complete(self) -> OrderBookMapping:
        last = self.channels[-1]
        if last.customer is not None or last.country is not None:
            raise ValueError("channels: the last rule has a condition; end with one that has only `channel`")
        if "default" not in self.regions:
            raise ValueError("regions: no `default`; add the region of countries that are not listed")
        for code, rule in self.non_products.items():
            if rule in _RESERVED:
                raise ValueError(f"non_products.{code}: {rule!r} is a rule of the adapter; use another name")
        try:
            "".encode(self.encoding)
        except LookupError:
            raise ValueError(f"encoding: {self.encoding!r} is unknown; write utf-8 or cp1252") from None
        return self

    @property
    def columns(self) -> dict[str, str]:
        """Field -> column, in the order in which a reader hands the cells over."""
        named = {
            "order": self.order,
            "sku": self.sku,
            "quantity": self.quantity,
            "at": self.at.column,
            "price": self.price,
            "description": self.description,
            "customer": self.customer,
            "country": self.country,
        }
        return {field: column for field, column in named.items() if column is not None}

    @cached_property
    def _folded_non_products(self) -> tuple[tuple[str, str], ...]:
        return tuple((code.upper(), rule) for code, rule in self.non_products.items())

    def non_product_rule(self, sku: str) -> str | None:
        """The rule under which this code is no product; codes and globs ignore case, the first wins."""
        folded = sku.upper()
        for pattern, rule in self._folded_non_products:
            if fnmatchcase(folded, pattern):
                return rule
        return None

    def channel_of(self, customer: str, country: str) -> str:
        """The channel of an order; `customer` is empty where none is named."""
        for rule in self.channels:
            if rule.fits(customer, country):
                break
        return rule.channel

    def region_of(self, customer: str, country: str) -> str:
        """The region of an order; `customer` is the named or the guest customer."""
        region = self.regions.get(country, self.regions["default"])
        return region if isinstance(region, str) else region.region(customer)


def read_mapping(mapping: OrderBookMapping | Mapping[str, Any]) -> OrderBookMapping:
    """The checked mapping, from a plain map as it stands in a scenario file.

    Raises `OrderBookError` that names the first wrong key, and the likely one where a key is unknown.
    """
    if isinstance(mapping, OrderBookMapping):
        return mapping
    try:
        return OrderBookMapping.model_validate(dict(mapping))
    except ValidationError as error:
        raise _explain(error) from None


def _explain(error: ValidationError) -> OrderBookError:
    problems = error.errors(include_url=False)
    # An unknown key first: a misspelled key also shows up as a missing one, which misleads.
    first = next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])
    if first["loc"][-1:] == ("str",) and isinstance(first["input"], Mapping):
        # of the two things a region may be, a map was meant as the split
        first = next(p for p in problems if "RegionSplit" in p["loc"] and p["loc"][:2] == first["loc"][:2])
    path = [str(part) for part in first["loc"] if part not in ("str", "RegionSplit")]
    place = ".".join([_WHOLE_MAPPING, *path])
    if first["type"] == "extra_forbidden":
        keys = sorted(_keys_beside(path))
        close = difflib.get_close_matches(path[-1], keys, n=1)
        guess = f" (did you mean {close[0]!r}?)" if close else ""
        return OrderBookError(place, "unknown key", f"keys here: {', '.join(keys)}{guess}")
    if first["type"] == "missing":
        return OrderBookError(place, "key is missing", "state it, as docs/order_book.md shows")
    if first["type"] == "value_error":
        text = first["msg"].removeprefix("Value error, ")
        problem, _, remedy = text.partition("; ")
        return OrderBookError(place, problem, remedy)
    found = first["input"]
    return OrderBookError(place, f"{found!r} is not usable", f"{first['msg'][0].lower()}{first['msg'][1:]}")


def _keys_beside(path: list[str]) -> list[str]:
    models: dict[str, type[_Model]] = {"at": StampColumn, "channels": ChannelRule, "regions": RegionSplit}
    model = models.get(path[0], OrderBookMapping) if len(path) > 1 else OrderBookMapping
    return list(model.model_fields)
