"""Adobe Commerce's source priority: the links of a stock and its sources as its REST API has them.

Names and meanings are those of `/V1/inventory/stock-source-links` and of the Source Selection Algorithm `priority` of
Inventory Management (Multi-Source Inventory), which is the default one: it goes through the enabled sources of a stock
from the lowest number up and takes of each item what each has, until the order is filled.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from twin.scenario.errors import Problem, ScenarioError, join_some
from twin.scenario.merging import Node
from twin.scenario.routing.document import Document, Fields
from twin.scenario.routing.rows import ALWAYS, LEFT_OUT, Found, RuleRow, check_whole

__all__ = ["TITLE", "adobe_names", "import_adobe"]

TITLE: Final = "Adobe Commerce's source priorities"

_EXTENSIONS: Final = "extension_attributes"
_FIELDS: Final = ("source_code", "stock_id", "priority", _EXTENSIONS)
_SILENT: Final = ("source_name",)
"""Extension attributes of a link that change nothing"""
_SPLIT: Final = "each source gives what it has, down the list"


class _Link:
    """One entry, read."""

    def __init__(self, fields: Fields) -> None:
        self.fields = fields
        self.source = fields.text("source_code")
        self.stock = fields.whole("stock_id")
        self.priority = fields.whole("priority")

    @property
    def stock_name(self) -> str:
        return f"stock/{self.stock}"


def adobe_names(document: Document) -> list[str]:
    """The sources, and where there are several the stocks."""
    links = [_Link(Fields(node, "", _FIELDS, [])) for node in document.entries]
    sources = [link.source for link in links if link.source is not None]
    stocks = dict.fromkeys(link.stock_name for link in links if link.stock is not None)
    return list(dict.fromkeys([*sources, *(stocks if len(stocks) > 1 else ())]))


def import_adobe(document: Document, bindings: Mapping[str, str]) -> Found:
    """The links as a ranking of warehouses. Raises `ScenarioError` with everything that cannot be imported."""
    problems: list[Problem] = []
    links = []
    for index, node in enumerate(document.entries):
        link = _Link(Fields(node, f"{document.key}[{index}]", _FIELDS, problems))
        _check_extensions(link.fields, problems)
        links.append(link)
    _check_beside(document, problems)
    _check_links(links)
    remaining = [link for link in links if bindings.get(link.stock_name) != LEFT_OUT]
    stocks = list(dict.fromkeys(link.stock_name for link in remaining if link.stock is not None))
    if len(stocks) > 1:
        text = (
            f"the file ranks sources for several stocks ({join_some(stocks)}), and one ranking holds for all orders "
            f"here; leave all but one out, as with --bind {stocks[1]}={LEFT_OUT}"
        )
        second = next(link for link in remaining if link.stock_name == stocks[1])
        problems.append(Problem(document.file, second.fields.line_of("stock_id"), text))
    _check_bound(remaining, bindings)
    if not problems and not any(bindings[str(link.source)] != LEFT_OUT for link in remaining):
        text = f"every source or stock is bound to {LEFT_OUT}; bind at least one source to a warehouse"
        problems.append(Problem(document.file, document.line, text))
    if problems:
        unique = dict.fromkeys((problem.line, problem.message) for problem in problems)
        raise ScenarioError([Problem(document.file, line, message) for line, message in sorted(unique)])
    return _mapped(links, bindings)


def _check_extensions(fields: Fields, problems: list[Problem]) -> None:
    if fields.empty(_EXTENSIONS):
        return
    value = fields.found[_EXTENSIONS].value
    if not isinstance(value, dict):
        fields.refuse(_EXTENSIONS, "expected fields")
        return
    for name, node in value.items():
        if name not in _SILENT:
            text = (
                f"{_EXTENSIONS}.{name} is not imported: an extension of the shop has it, and what that does is not "
                "known here; take it out of a copy once you know"
            )
            problems.append(Problem(node.file, node.line, f"{fields.where}.{text}"))


def _check_beside(document: Document, problems: list[Problem]) -> None:
    """Whether all links stand in the file: its page holds all, and no filter has taken a source out."""
    if "total_count" in document.beside:
        count = document.beside["total_count"]
        check_whole(document, count.value, "total_count", count.line, problems)
    if "search_criteria" in document.beside:
        for field in _filtered(document.beside["search_criteria"]):
            if field.value not in ("stock_id", "stockId"):
                text = f"the list is filtered by '{field.value}'; fetch all sources of a stock"
                problems.append(Problem(document.file, field.line, f"search_criteria: {text}"))


def _filtered(node: Node) -> list[Node]:
    """The fields that the search was filtered by, wherever they stand."""
    if isinstance(node.value, list):
        return [field for inner in node.value for field in _filtered(inner)]
    if not isinstance(node.value, dict):
        return []
    found: list[Node] = []
    for key, inner in node.value.items():
        if key == "sort_orders":
            continue
        found += [inner] if key == "field" else _filtered(inner)
    return found


def _check_links(links: list[_Link]) -> None:
    """A source once in a stock, and no two with one priority: which goes first is then not said."""
    sources: dict[tuple[int, str], _Link] = {}
    places: dict[tuple[int, int], _Link] = {}
    for link in links:
        if link.stock is None:
            continue
        if link.source is not None and sources.setdefault((link.stock, link.source), link) is not link:
            line = sources[link.stock, link.source].fields.line_of("source_code")
            text = f"'{link.source}' stands twice in stock {link.stock}; first in line {line}; keep one of them"
            link.fields.refuse("source_code", text)
        if link.priority is not None and places.setdefault((link.stock, link.priority), link) is not link:
            line = places[link.stock, link.priority].fields.line_of("priority")
            text = f"{link.priority} is the priority of the source in line {line}, too; which goes first is not said"
            link.fields.refuse("priority", f"{text}: give each its own")


def _check_bound(links: list[_Link], bindings: Mapping[str, str]) -> None:
    taken: dict[str, str] = {}
    for link in links:
        if link.source is None:
            continue
        warehouse = bindings.get(link.source)
        if warehouse is None:
            text = (
                f"nobody binds the source '{link.source}'; add --bind {link.source}=WAREHOUSE, or {LEFT_OUT} where it "
                "is disabled or no part of the twin"
            )
            link.fields.refuse("source_code", text)
        elif warehouse != LEFT_OUT and taken.setdefault(warehouse, link.source) != link.source:
            text = f"'{link.source}' and '{taken[warehouse]}' are both bound to {warehouse}; bind one of them elsewhere"
            link.fields.refuse("source_code", f"{text}, or to {LEFT_OUT}")


def _mapped(links: list[_Link], bindings: Mapping[str, str]) -> Found:
    found = Found(_SPLIT)
    rule = "the algorithm Source Priority"
    found.rules.append(("ranked_nodes", rule))
    found.rows.append(RuleRow("", "", "", ALWAYS, {"rules[0]": "ranked_nodes"}, rule))
    for link in sorted(links, key=lambda link: (link.stock or 0, link.priority or 0)):
        fields = link.fields
        name = f"stock {link.stock}: {link.source}"
        warehouse = bindings.get(str(link.source), LEFT_OUT)
        settings: dict[str, object] = {}
        if bindings.get(link.stock_name) == LEFT_OUT:
            note = f"left out: {link.stock_name} is bound to {LEFT_OUT}"
        elif warehouse == LEFT_OUT:
            note = f"left out: it is bound to {LEFT_OUT}"
        else:
            settings, note = {f"ranking[{len(found.ranking)}]": warehouse}, ""
            found.ranking.append((warehouse, f"{link.source}, priority {link.priority} (line {fields.line})"))
        found.rows.append(_row(fields, name, "source_code", settings, note))
        found.rows.append(_row(fields, name, "priority", {}, "the order of the ranking"))
        found.rows.append(_row(fields, name, "stock_id", {}, "here the ranking holds for all orders"))
        if _EXTENSIONS in fields.found:
            at = f"line {fields.line_of(_EXTENSIONS)}"
            found.rows.append(RuleRow(name, _EXTENSIONS, "–", at, {}, "no order goes differently"))
    found.remarks += [
        "the algorithm is chosen when an order is shipped, and does not stand in this file: this is Source Priority, "
        "the default; for Distance Priority write rules: [nearest], which goes by transit times",
        "a source that is disabled is passed over there; whether it is does not stand in this file: bind it to "
        f"{LEFT_OUT}",
        "a warehouse that is no source of the stock does not serve there; here it comes after the ranking: give it no "
        "lane where it must not",
        "sources are chosen there when an order is shipped, by the stock of then; here when it is captured",
    ]
    return found


def _row(fields: Fields, rule: str, field: str, settings: Mapping[str, object], note: str) -> RuleRow:
    return RuleRow(rule, field, str(fields.found[field].value), f"line {fields.line_of(field)}", settings, note)
