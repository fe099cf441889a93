"""Spree's order routing: the rules of a channel as its Admin API lists them (`.../order_routing_rules`).

Names and meanings are those of Spree's Admin API v3 and of its guide to order routing: active rules are walked by their
position, the first that does not tie decides, and the last tie goes to the default stock location.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from twin.scenario.errors import Problem, ScenarioError, join_some
from twin.scenario.routing.document import Document, Fields
from twin.scenario.routing.rows import ALWAYS, LEFT_OUT, Found, RuleRow, check_whole

__all__ = ["TITLE", "import_spree", "spree_names"]

TITLE: Final = "Spree's order routing rules"

_SILENT: Final = ("id", "label", "description", "preference_schema", "created_at", "updated_at")
_FIELDS: Final = ("type", "active", "position", "channel_id", "preferences", *_SILENT)
_DEFAULT: Final = "default_location"
_PREFERRED: Final = "preferred_location"
_SPLITS: Final = "minimize_splits"
_TYPES: Final = (_SPLITS, _DEFAULT, _PREFERRED)
_SPLIT: Final = "what the first location lacks of a line comes from the next"
_SPLITS_NOTE: Final = "ranks once an order there, each line here"
_SPLITS_REMARK: Final = (
    f"{_SPLITS} ranks locations for the whole order there, and the first gives what it has of each line; here each "
    "line goes first to those that hold all of it, among them to the one that holds most lines of the order whole"
)
_DEFAULT_NOTE: Final = "the default stock location first, all others alike"
_TIE_NOTE: Final = "the last tie goes to the default stock location"


class _Rule:
    """One entry, read."""

    def __init__(self, fields: Fields) -> None:
        self.fields = fields
        self.type = fields.text("type")
        self.active = fields.flag("active")
        self.position = fields.whole("position")
        self.channel = "" if fields.empty("channel_id") else fields.text("channel_id") or ""

    @property
    def counts(self) -> bool:
        """Whether it is applied; one that cannot be read counts, so that all that is wrong with it is told."""
        return self.active is not False


def spree_names(document: Document) -> list[str]:
    """The default stock location, and where a rule looks at it the preferred one."""
    rules = [_Rule(Fields(node, "", _FIELDS, [])) for node in document.entries]
    preferred = any(rule.type == _PREFERRED and rule.counts for rule in rules)
    return [_DEFAULT, _PREFERRED] if preferred else [_DEFAULT]


def import_spree(document: Document, bindings: Mapping[str, str]) -> Found:
    """The rules as sourcing rules here. Raises `ScenarioError` with everything that cannot be imported."""
    problems: list[Problem] = []
    rules = [_Rule(Fields(node, f"data[{index}]", _FIELDS, problems)) for index, node in enumerate(document.entries)]
    _check_rules(rules, problems)
    if "meta" in document.beside:
        _check_meta(document, problems)
    home = _home(document, bindings, problems)
    for rule in rules:
        if rule.counts:
            _check_active(rule, bindings, problems)
    if problems:
        unique = dict.fromkeys((problem.line, problem.message) for problem in problems)
        raise ScenarioError([Problem(document.file, line, message) for line, message in sorted(unique)])
    return _mapped(sorted(rules, key=lambda rule: rule.position or 0), home)


def _check_rules(rules: list[_Rule], problems: list[Problem]) -> None:
    """What Spree itself would not have: a type or a position twice, or rules of several channels in one list."""
    types: dict[str, _Rule] = {}
    places: dict[int, _Rule] = {}
    for rule in rules:
        if rule.type is not None and types.setdefault(rule.type, rule) is not rule:
            line = types[rule.type].fields.line_of("type")
            rule.fields.refuse("type", f"'{rule.type}' stands twice; first in line {line}; keep one of them")
        if rule.position is not None and places.setdefault(rule.position, rule) is not rule:
            line = places[rule.position].fields.line_of("position")
            text = f"{rule.position} is the position of the rule in line {line}, too; give each its own"
            rule.fields.refuse("position", text)
    channels = list(dict.fromkeys(rule.channel for rule in rules if rule.channel))
    for rule in rules:
        if rule.channel and rule.channel != channels[0]:
            text = f"rules of several channels ({join_some(channels)}); one set of rules holds here: give one's"
            rule.fields.refuse("channel_id", text)
            break


def _check_meta(document: Document, problems: list[Problem]) -> None:
    meta = document.beside["meta"]
    if not isinstance(meta.value, dict):
        problems.append(Problem(document.file, meta.line, "meta: expected fields such as count and pages"))
        return
    if "count" in meta.value:
        count = meta.value["count"]
        check_whole(document, count.value, "meta.count", count.line, problems)
    pages = meta.value.get("pages")
    if pages is not None and pages.value not in (0, 1):
        text = f"meta.pages: the file is one of {pages.value} pages; fetch all rules in one page"
        problems.append(Problem(document.file, pages.line, text))


def _home(document: Document, bindings: Mapping[str, str], problems: list[Problem]) -> str:
    home = bindings.get(_DEFAULT, LEFT_OUT)
    if home == LEFT_OUT:
        text = (
            "the last tie goes to Spree's default stock location, and the file does not say which that is; add "
            f"--bind {_DEFAULT}=WAREHOUSE"
        )
        problems.append(Problem(document.file, document.line, text))
    return home


def _check_active(rule: _Rule, bindings: Mapping[str, str], problems: list[Problem]) -> None:
    fields = rule.fields
    if rule.type is not None and rule.type not in _TYPES:
        text = (
            f"the rule '{rule.type}' is not imported: it is none of Spree's own ({', '.join(_TYPES)}), and a class of "
            "the application cannot be run here; set active to false in a copy, or let it decide as a service"
        )
        fields.refuse("type", text)
    if rule.type == _PREFERRED and bindings.get(_PREFERRED) != LEFT_OUT:
        text = (
            f"the rule '{_PREFERRED}' is not imported: it looks for a location that somebody has pinned on the order, "
            f"and orders here have none; add --bind {_PREFERRED}={LEFT_OUT} if hardly any order has one"
        )
        fields.refuse("type", text)
    if not fields.empty("preferences"):
        value = fields.found["preferences"].value
        if not isinstance(value, dict):
            fields.refuse("preferences", "expected fields")
            return
        for name, node in value.items():
            text = f"preferences.{name} is not imported: no rule of Spree's own has it; take it out"
            problems.append(Problem(node.file, node.line, f"{fields.where}.{text}"))


def _mapped(rules: list[_Rule], home: str) -> Found:
    found = Found(_SPLIT)
    for rule in rules:
        fields = rule.fields
        name = f"{rule.position} {rule.type}"
        at = f"{rule.type}, position {rule.position} (line {fields.line_of('type')})"
        settings: dict[str, object] = {}
        note = "not active: it is not applied there either"
        if rule.counts and rule.type == _SPLITS:
            settings, note = {f"rules[{len(found.rules)}]": _SPLITS}, _SPLITS_NOTE
            found.rules.append((_SPLITS, at))
            found.remarks.append(_SPLITS_REMARK)
        elif rule.counts and rule.type == _DEFAULT:
            settings, note = {f"rules[{len(found.rules)}]": "ranked_nodes", "ranking[0]": home}, _DEFAULT_NOTE
            found.rules.append(("ranked_nodes", at))
            found.ranking.append((home, at))
        elif rule.counts:
            note = f"bound to {LEFT_OUT}: it abstains, as there for an order that has no pinned location"
        found.rows.append(_row(fields, name, "type", settings, note))
        found.rows.append(_row(fields, name, "active", {}, ""))
        found.rows.append(_row(fields, name, "position", {}, "the order of the rules"))
        if rule.channel:
            found.rows.append(_row(fields, name, "channel_id", {}, "here the rules hold for all channels"))
        silent = [field for field in _SILENT if field in fields.found]
        if "preferences" in fields.found:
            silent.append("preferences")
        if silent:
            at_line = f"line {fields.line}"
            found.rows.append(RuleRow(name, ", ".join(silent), "–", at_line, {}, "no order goes differently"))
    if not found.ranking:
        settings = {f"rules[{len(found.rules)}]": "ranked_nodes", "ranking[0]": home}
        found.rules.append(("ranked_nodes", _TIE_NOTE))
        found.ranking.append((home, _TIE_NOTE))
        found.rows.append(RuleRow("", "", "", ALWAYS, settings, _TIE_NOTE))
    found.remarks += [
        "the rules hold where the channel's strategy is Spree's own, Rules; which it is does not stand in this file",
        "locations that tie to the last go by number there, here by the warehouse's id",
        "what no location has is a backorder there only where the item allows it; here the channel says what becomes "
        "of a shortage",
    ]
    return found


def _row(fields: Fields, rule: str, field: str, settings: Mapping[str, object], note: str) -> RuleRow:
    value = fields.found[field].value
    shown = str(value).lower() if isinstance(value, bool) else str(value)
    return RuleRow(rule, field, shown, f"line {fields.line_of(field)}", settings, note)
