"""Sourcing rules of order systems become sourcing policies: every field is told, or refused with its place (PL-03)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from tests.commands import Told
from twin.core.sourcing import Candidate, SourcingContext, SourcingLine, source
from twin.log import connect
from twin.scenario import ScenarioError, load
from twin.scenario.routing import ImportedRules, fragment_text, import_rules, names_of, read_document

ROOT = Path(__file__).resolve().parents[2]
SPREE = ROOT / "tests/unit/routing/spree.json"
ADOBE = ROOT / "tests/unit/routing/adobe.json"
BUSINESS = ROOT / "scenarios/drills/base.yaml"
HOME = {"default_location": "hamburg", "preferred_location": "none"}
SOURCES = {"nj": "hamburg", "texas": "munich", "closed_store": "none", "stock/3": "none"}


def imported(path: Path, bindings: dict[str, str]) -> ImportedRules:
    document = read_document(path)
    assert document is not None
    return import_rules(document, bindings)


def sourcing(folder: Path, text: str, **bindings: str) -> dict[str, Any]:
    """The policy that a file with this text becomes; Spree's default location is main unless another is given."""
    path = folder / "rules.json"
    path.write_text(text, encoding="utf-8")
    found: dict[str, Any] = imported(path, bindings or {"default_location": "main"}).policies["policies"]["sourcing"]
    return found


def problems(folder: Path, text: str | bytes, **bindings: str) -> list[str]:
    """What is wrong with a file, without its folder."""
    path = folder / "rules.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ScenarioError) as caught:
        imported(path, bindings or {"default_location": "main", "east": "main", "west": "other"})
    return [str(problem).replace(f"{folder}/", "") for problem in caught.value.problems]


def spree(*rules: str, meta: str = "") -> str:
    """A list of rules, each in a line of its own from line 2 on."""
    return '{"data": [\n' + ",\n".join(rules) + "\n]" + (f',\n"meta": {meta}' if meta else "") + "}\n"


def a_rule(kind: str = "minimize_splits", position: object = 1, more: str = "", active: str = "true") -> str:
    return f'{{"type": "{kind}", "active": {active}, "position": {position}{more}}}'


def adobe(*links: str, key: str = "links", more: str = "") -> str:
    return f'{{"{key}": [\n' + ",\n".join(links) + f"\n]{more}}}\n"


def a_link(source: str = "east", priority: object = 1, stock: object = 2, more: str = "") -> str:
    return f'{{"source_code": "{source}", "stock_id": {stock}, "priority": {priority}{more}}}'


def binds(bindings: dict[str, str]) -> list[str]:
    return [part for name, to in bindings.items() for part in ("--bind", f"{name}={to}")]


# --- what rules become


def test_the_rules_of_spree_become_the_rules_that_they_mean() -> None:
    """PL-03: in the order of their positions, and nothing of the file is left out of the table."""
    found = imported(SPREE, HOME)
    assert found.policies["policies"]["sourcing"] == {
        "rules": ["minimize_splits", "ranked_nodes"],
        "ranking": ["hamburg"],
        "split_lines": True,
        "outside": None,
    }
    for index, rule in enumerate(json.loads(SPREE.read_text(encoding="utf-8"))["data"], 1):
        rows = [row for row in found.rows if row.rule == f"{index} {rule['type']}"]
        assert {field for row in rows for field in row.field.split(", ")} == set(rule)


def test_the_priorities_of_adobe_become_a_ranking() -> None:
    """PL-03: from the lowest number up, without what is left out."""
    found = imported(ADOBE, SOURCES)
    assert found.policies["policies"]["sourcing"] == {
        "rules": ["ranked_nodes"],
        "ranking": ["munich", "hamburg"],
        "split_lines": True,
        "outside": None,
    }
    for link in json.loads(ADOBE.read_text(encoding="utf-8"))["items"]:
        rows = [row for row in found.rows if row.rule == f"stock {link['stock_id']}: {link['source_code']}"]
        assert {row.field for row in rows} == set(link)
    left_out = {row.rule: row.note for row in found.rows if row.field == "source_code" and not row.settings}
    assert left_out == {
        "stock 2: closed_store": "left out: it is bound to none",
        "stock 3: leipzig": "left out: stock/3 is bound to none",
    }


def test_links_that_are_written_count_as_links_that_are_read(tmp_path: Path) -> None:
    text = adobe(a_link("east", 2), a_link("west", 1))
    assert sourcing(tmp_path, text, east="main", west="other")["ranking"] == ["other", "main"]


def test_rules_go_by_position_and_not_by_where_they_stand(tmp_path: Path) -> None:
    text = spree(a_rule("minimize_splits", 2), a_rule("default_location", 1))
    assert sourcing(tmp_path, text)["rules"] == ["ranked_nodes", "minimize_splits"]


@pytest.mark.parametrize(
    ("rules", "becomes"),
    [
        ([], ["ranked_nodes"]),
        ([a_rule("minimize_splits", 1)], ["minimize_splits", "ranked_nodes"]),
        ([a_rule("minimize_splits", 1, active="false")], ["ranked_nodes"]),
        ([a_rule("default_location", 1, active="false"), a_rule("minimize_splits", 2)],
         ["minimize_splits", "ranked_nodes"]),
        ([a_rule("closest_location", 1, ', "preferences": {"unit": "km"}', active="false")], ["ranked_nodes"]),
    ],
)  # fmt: skip
def test_what_is_not_active_is_not_applied_and_the_default_location_breaks_the_last_tie(
    tmp_path: Path, rules: list[str], becomes: list[str]
) -> None:
    found = sourcing(tmp_path, spree(*rules))
    assert (found["rules"], found["ranking"]) == (becomes, ["main"])


def test_names_are_those_that_need_a_binding(tmp_path: Path) -> None:
    def names(text: str) -> list[str]:
        (tmp_path / "rules.json").write_text(text, encoding="utf-8")
        document = read_document(tmp_path / "rules.json")
        assert document is not None
        return names_of(document)

    assert names(spree(a_rule())) == ["default_location"]
    assert names(spree(a_rule("preferred_location"))) == ["default_location", "preferred_location"]
    assert names(spree(a_rule("preferred_location", active="false"))) == ["default_location"]
    assert names(adobe(a_link("east"), a_link("west", 2))) == ["east", "west"]
    assert names(adobe(a_link("east"), a_link("east", 1, 3))) == ["east", "stock/2", "stock/3"]


def test_settings_of_resilience4j_are_none_of_them(tmp_path: Path) -> None:
    for text in ("resilience4j: {}\n", "data: []\nresilience4j.retry: {}\n", "spring: {a: 1}\n"):
        (tmp_path / "application.yml").write_text(text, encoding="utf-8")
        assert read_document(tmp_path / "application.yml") is None


# --- what is refused

_KEYS = st.sampled_from(
    ["type", "active", "position", "preferences", "channel_id", "source_code", "stock_id", "priority", "count", "field"]
)
REFUSED: list[tuple[str, str]] = [
    # rules of Spree
    (spree(a_rule("closest_location")),
     "rules.json:2: data[0].type: the rule 'closest_location' is not imported: it is none of Spree's own "
     "(minimize_splits, default_location, preferred_location), and a class of the application cannot be run here; set "
     "active to false in a copy, or let it decide as a service"),
    (spree(a_rule(), a_rule("preferred_location", 2)),
     "rules.json:3: data[1].type: the rule 'preferred_location' is not imported: it looks for a location that somebody "
     "has pinned on the order, and orders here have none; add --bind preferred_location=none if hardly any order has "
     "one"),
    (spree(a_rule(more=', "preferences": {"unit": "km"}')),
     "rules.json:2: data[0].preferences.unit is not imported: no rule of Spree's own has it; take it out"),
    (spree(a_rule(more=', "preferences": [1]')), "rules.json:2: data[0].preferences: expected fields"),
    (spree(a_rule(), a_rule("minimize_splits", 2)),
     "rules.json:3: data[1].type: 'minimize_splits' stands twice; first in line 2; keep one of them"),
    (spree(a_rule(), a_rule("default_location", 1)),
     "rules.json:3: data[1].position: 1 is the position of the rule in line 2, too; give each its own"),
    (spree(a_rule(more=', "channel_id": "a"'), a_rule("default_location", 2, ', "channel_id": "b"')),
     "rules.json:3: data[1].channel_id: rules of several channels (a, b); one set of rules holds here: give one's"),
    (spree(a_rule(more=', "weight": 3')),
     "rules.json:2: data[0]: unknown field 'weight'; fields here: type, active, position, channel_id, preferences, id, "
     "label, description, preference_schema, created_at, updated_at"),
    (spree('{"active": true, "position": 1}'), "rules.json:2: data[0].type: it is missing; give a text"),
    (spree('{"type": "minimize_splits", "position": 1}'),
     "rules.json:2: data[0].active: it is missing; give true or false"),
    (spree(a_rule(active='"yes"')), "rules.json:2: data[0].active: expected true or false, got 'yes'"),
    (spree('{"type": "minimize_splits", "active": true}'),
     "rules.json:2: data[0].position: it is missing; give a whole number"),
    (spree(a_rule(position='"first"')), "rules.json:2: data[0].position: expected a whole number, got 'first'"),
    (spree(a_rule(position=1.5)), "rules.json:2: data[0].position: expected a whole number, got 1.5"),
    (spree(a_rule(position="true")), "rules.json:2: data[0].position: expected a whole number, got true"),
    (spree('{"type": ["a"], "active": true, "position": 1}'),
     "rules.json:2: data[0].type: expected a text, got a list"),
    (spree('{"type": {"a": 1}, "active": true, "position": 1}'),
     "rules.json:2: data[0].type: expected a text, got a map"),
    (spree("{}"), "rules.json:2: data[0].type: it is missing; give a text"),
    (spree(a_rule(more=', "channel_id": 7')), "rules.json:2: data[0].channel_id: expected a text, got 7"),
    (spree(a_rule(), meta='{"pages": 2}'),
     "rules.json:4: meta.pages: the file is one of 2 pages; fetch all rules in one page"),
    (spree(a_rule(), meta='{"count": "1"}'),
     "rules.json:4: meta.count: expected a whole number; give the number of entries"),
    (spree("null"), "rules.json:2: data[0]: expected fields such as type, active, position, got nothing"),
    (spree(a_rule(), meta='{"count": 5, "pages": 3}'),
     "rules.json:4: meta.count: the file holds 1 of 5 entries; fetch all of them in one page"),
    (spree(a_rule(), meta="7"), "rules.json:4: meta: expected fields such as count and pages"),
    ('{"data": {"type": "minimize_splits"}}\n', "rules.json:1: data: expected a list of rules, got a map"),
    ('{"data": [],\n"rules": []}\n', "rules.json:2: unknown key 'rules'; keys here: data, meta"),
    # links of Adobe Commerce
    (adobe(a_link(), a_link("east", 2)),
     "rules.json:3: links[1].source_code: 'east' stands twice in stock 2; first in line 2; keep one of them"),
    (adobe(a_link(), a_link("west", 1)),
     "rules.json:3: links[1].priority: 1 is the priority of the source in line 2, too; which goes first is not said: "
     "give each its own"),
    (adobe(a_link(), a_link("west", 1, 3)),
     "rules.json:3: the file ranks sources for several stocks (stock/2, stock/3), and one ranking holds for all orders "
     "here; leave all but one out, as with --bind stock/3=none"),
    (adobe(a_link("north")),
     "rules.json:2: links[0].source_code: nobody binds the source 'north'; add --bind north=WAREHOUSE, or none where "
     "it is disabled or no part of the twin"),
    (adobe(a_link(more=', "extension_attributes": {"cutoff": "17:00"}')),
     "rules.json:2: links[0].extension_attributes.cutoff is not imported: an extension of the shop has it, and what "
     "that does is not known here; take it out of a copy once you know"),
    (adobe(a_link(more=', "extension_attributes": "a"')),
     "rules.json:2: links[0].extension_attributes: expected fields"),
    (adobe(a_link(more=', "distance": 3')),
     "rules.json:2: links[0]: unknown field 'distance'; fields here: source_code, stock_id, priority, "
     "extension_attributes"),
    (adobe('{"source_code": "east", "stock_id": 2}'),
     "rules.json:2: links[0].priority: it is missing; give a whole number"),
    (adobe('{"source_code": "east", "priority": 2}'),
     "rules.json:2: links[0].stock_id: it is missing; give a whole number"),
    (adobe('{"stock_id": 1, "priority": 2}'), "rules.json:2: links[0].source_code: it is missing; give a text"),
    (adobe(a_link(priority='"high"')), "rules.json:2: links[0].priority: expected a whole number, got 'high'"),
    (adobe("{}"), "rules.json:2: links[0].source_code: it is missing; give a text"),
    (adobe('{"source_code": 5, "stock_id": 1, "priority": 2}'),
     "rules.json:2: links[0].source_code: expected a text, got 5"),
    (adobe(a_link(), key="items", more=',\n"total_count": "1"'),
     "rules.json:4: total_count: expected a whole number; give the number of entries"),
    (adobe("3"), "rules.json:2: links[0]: expected fields such as source_code, stock_id, priority, got 3"),
    (adobe(a_link(), key="items", more=',\n"total_count": 12'),
     "rules.json:4: total_count: the file holds 1 of 12 entries; fetch all of them in one page"),
    (adobe(a_link(), key="items", more=',\n"search_criteria": {"filter_groups": [{"filters": [\n'
           '{"field": "source_code", "value": "east", "condition_type": "eq"}]}]}'),
     "rules.json:5: search_criteria: the list is filtered by 'source_code'; fetch all sources of a stock"),
    ('{"links": []}\n', "rules.json:1: links: the list is empty; give at least one entry"),
    ('{"links": [],\n"items": []}\n',
     "rules.json:2: 'items' stands beside 'links', and each holds rules; give a file with one of them"),
    ('{"links": [],\n"priority": 1}\n', "rules.json:2: unknown key 'priority'; keys here: links"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_what_has_no_counterpart_is_refused_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    """PL-03: every rule and field that is not imported is told by name, with the line and what to do."""
    assert message in problems(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "rules.json: the file is empty; give settings of Resilience4j, or sourcing rules of Spree (data) or Adobe "
         "Commerce (links, items)"),
        ("[]\n", "rules.json:1: expected keys such as resilience4j, data, links or items, got a list"),
        ('{"data": [\n', "rules.json:2: not valid JSON: Expecting value (column 1); is the file cut off?"),
        ('{"data": [{"type": "x", "lab', "rules.json:1: not valid JSON: Unterminated string starting at (column 25)"),
        ('{"data": [{"type" "x"}]}', "rules.json:1: not valid JSON: Expecting ':' delimiter (column 19)"),
        (b"\x89PNG", "rules.json:1: byte 0x89 is not UTF-8"),
        ('{"data": [],\n"data": []}\n', "rules.json:2: the key 'data' stands twice; first in line 1"),
    ],
)  # fmt: skip
def test_a_file_that_is_not_usable_is_told(tmp_path: Path, text: str | bytes, message: str) -> None:
    """PL-03: a malformed file has one message with its place."""
    (found,) = problems(tmp_path, text)
    assert found.startswith(message)


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 3) | st.sampled_from(["", "east", "minimize_splits", "stock_id"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_KEYS, inner, max_size=3),
    max_leaves=8,
)
_ENTRY = st.dictionaries(_KEYS, _ANY, max_size=5)


@given(st.sampled_from(["data", "links", "items"]), st.lists(_ENTRY | _ANY, max_size=3), _ANY)
def test_whatever_a_file_holds_is_mapped_or_refused(
    tmp_path_factory: pytest.TempPathFactory, key: str, entries: list[object], beside: object
) -> None:
    """PL-03: nothing in a file of such a shape ends in anything but a policy or a list of problems."""
    path = tmp_path_factory.mktemp("any") / "rules.json"
    more = {"data": "meta", "links": "links", "items": "search_criteria"}[key]
    path.write_text(json.dumps({more: beside, key: entries}), encoding="utf-8")
    try:
        found = imported(path, {**HOME, "east": "main", "minimize_splits": "other", "stock_id": "third"})
    except ScenarioError as error:
        assert all(problem.line for problem in error.problems)
    else:
        assert found.policies["policies"]["sourcing"]["ranking"]


def test_all_that_is_wrong_is_told_at_once_and_in_order(tmp_path: Path) -> None:
    text = spree(a_rule("closest_location"), a_rule("cheapest_location", 2), a_rule("preferred_location", 3))
    found = problems(tmp_path, text, preferred_location="main")
    assert [line.partition(": ")[0] for line in found] == [
        "rules.json:1",
        *(f"rules.json:{line}" for line in (2, 3, 4)),
    ]


def test_a_filter_by_stock_keeps_no_source_out(tmp_path: Path) -> None:
    filters = '{"filter_groups": [{"filters": [{"field": "stock_id", "value": "2", "condition_type": "eq"}]}],'
    sort = '"sort_orders": [{"field": "priority", "direction": "ASC"}], "page_size": 20}'
    text = adobe(a_link(), key="items", more=f', "search_criteria": {filters} {sort}, "total_count": 1')
    assert sourcing(tmp_path, text, east="main")["ranking"] == ["main"]


def test_a_source_that_nobody_needs_may_be_left_out_but_not_all(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, adobe(a_link(), a_link("west", 2)), east="none", west="none")
    assert found == ("rules.json:1: every source or stock is bound to none; bind at least one source to a warehouse")
    (found,) = problems(tmp_path, adobe(a_link(), a_link("west", 2)), east="main", west="main")
    assert found == (
        "rules.json:3: links[1].source_code: 'west' and 'east' are both bound to main; bind one of them elsewhere, or "
        "to none"
    )


# --- the command


def test_the_command_shows_the_table_and_writes_the_fragment(  # PL-03
    told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    out = tmp_path / "sourcing.yaml"
    code, shown, err = told("policies", ADOBE, *binds(SOURCES), "--extends", BUSINESS, "--out", out)
    assert (code, err) == (0, "")
    for text in ("Adobe Commerce's source priorities: stock 2: texas", "ranking[0]: munich", f"fragment: {out}"):
        assert text in shown
    assert out.read_text(encoding="utf-8") == fragment_text(imported(ADOBE, SOURCES), str(BUSINESS))
    rules = load(out).policies.sourcing
    assert (rules.rules, rules.ranking, rules.split_lines) == (("ranked_nodes",), ("munich", "hamburg"), True)


def test_the_command_gives_json_of_the_rules(told: Told) -> None:
    code, out, _ = told("policies", SPREE, *binds(HOME), "--json")
    found = json.loads(out)
    assert code == 0
    assert found["fragment"]["policies"]["sourcing"]["ranking"] == ["hamburg"]
    assert next(row for row in found["rows"] if row["becomes"]) == {
        "rule": "2 minimize_splits",
        "field": "type",
        "value": "minimize_splits",
        "said": "line 18",
        "becomes": {"rules[0]": "minimize_splits"},
        "note": "ranks once an order there, each line here",
    }


@pytest.mark.parametrize("width", ["80", "200"])
def test_no_line_of_the_tables_is_wider_than_the_terminal(
    told: Told, monkeypatch: pytest.MonkeyPatch, width: str
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    _, shown, _ = told("policies", SPREE, *binds(HOME))
    tables, _, rest = shown.partition("\n- ")
    assert "default_location" in tables
    assert max(map(len, tables.splitlines())) <= int(width)
    # Nor are the remarks below, and no sentence stands in a column of a word or two.
    assert max(map(len, rest.partition("\n\n")[0].splitlines())) <= int(width)
    assert "here the rules hold" in tables and "ranks once an order" in tables


@pytest.mark.parametrize(
    ("bind", "text"),
    [
        ("texas", "--bind texas: give NAME=WAREHOUSE, as in nj=main"),
        ("=munich", "--bind =munich: give NAME=WAREHOUSE, as in nj=main"),
        (
            "texs=munich",
            "unknown name 'texs'; names here: nj, texas, closed_store, leipzig, stock/2, stock/3 (did you ",
        ),
        ("stock/3=munich", "--bind stock/3=munich: a stock is no warehouse; stock/3=none leaves it out"),
    ],
)
def test_a_binding_of_what_the_rules_do_not_have_is_told(told: Told, bind: str, text: str) -> None:
    code, shown, err = told("policies", ADOBE, "--bind", bind)
    assert (code, shown) == (2, "")
    assert text in err
    code, _, err = told("policies", ADOBE, "--bind", "nj=a", "--bind", "nj=b")
    assert code == 2
    assert "--bind nj=b: 'nj' is bound to a already; bind it once" in err


def test_a_refused_rule_leaves_an_earlier_fragment_as_it_was(told: Told, tmp_path: Path) -> None:  # PL-03
    out, path = tmp_path / "sourcing.yaml", tmp_path / "rules.json"
    assert told("policies", SPREE, *binds(HOME), "--out", out)[0] == 0
    before = out.read_text(encoding="utf-8")
    path.write_text(spree(a_rule("closest_location")), encoding="utf-8")
    code, shown, err = told("policies", path, "--bind", "default_location=hamburg", "--out", out)
    assert (code, shown) == (2, "")
    assert err.startswith(f"twin: {path}:2: data[0].type: the rule 'closest_location' is not imported: ")
    assert out.read_text(encoding="utf-8") == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["rules.json", "sourcing.yaml"]


def test_a_fragment_of_another_kind_is_left_alone(told: Told, tmp_path: Path) -> None:
    out = tmp_path / "delivery.yaml"
    settings = ROOT / "tests/unit/resilience4j/application.yml"
    bound = {"portal": "supplier", "erp": "erp", "pricing": "none"}
    assert told("policies", settings, *binds(bound), "--out", out)[0] == 0
    code, _, err = told("policies", SPREE, *binds(HOME), "--out", out)
    assert code == 2
    assert "there is a file that is not a fragment of sourcing rules; remove it, or give another name" in err


def test_a_warehouse_that_the_business_does_not_have_is_told_where_the_fragment_says_it(
    told: Told, tmp_path: Path
) -> None:
    out = tmp_path / "sourcing.yaml"
    told("policies", SPREE, *binds({**HOME, "default_location": "berlin"}), "--extends", BUSINESS, "--out", out)
    code, _, err = told("validate", out)
    assert code == 2
    assert f"{out}:10: unknown warehouse 'berlin'; warehouses here: hamburg, munich" in err


@pytest.mark.parametrize("name", ["true", "12", "a: b", "-x", 'q"', "# no"])
def test_a_warehouse_reads_back_whatever_its_name(tmp_path: Path, name: str) -> None:
    (tmp_path / "rules.json").write_text(spree(), encoding="utf-8")
    found = imported(tmp_path / "rules.json", {"default_location": name})
    (tmp_path / "fragment.yaml").write_text(fragment_text(found), encoding="utf-8")
    assert YAML(typ="safe").load(tmp_path / "fragment.yaml") == found.policies


@given(st.dictionaries(st.sampled_from(["augsburg", "hamburg", "munich", "zwickau"]), st.integers(0, 9), min_size=2))
def test_an_order_of_one_line_goes_where_spree_sends_it(stock: dict[str, int]) -> None:
    """PL-03: the imported rules decide as Spree's own description of them says; with one line nothing differs."""
    policy = imported(SPREE, HOME).policies["policies"]["sourcing"]
    candidates = tuple(Candidate(node, units, 1, 1) for node, units in stock.items())
    line = SourcingLine(1, "bolt", 5, candidates)
    context = SourcingContext(
        0, "o1", "north", (line,), split_lines=policy["split_lines"], ranking=tuple(policy["ranking"])
    )
    # Who covers most, then the default location, then by number; what the first lacks comes from the next.
    ranked = sorted(stock, key=lambda node: (-(stock[node] >= 5), node != "hamburg", node))
    left, expected = 5, []
    for node in ranked:
        take = min(stock[node], left)
        left -= take
        expected += [(node, take)] if take else []
    legs = source(context, policy["rules"]).legs
    assert [(leg.node, leg.quantity) for leg in legs if leg.route == "stock"] == expected


# --- both parts on one scenario


def decided(run: Path) -> list[tuple[str, str, int]]:
    """Warehouse, reason and units of every leg that was sourced from stock."""
    with connect(run) as connection:
        return connection.sql(
            "select leg ->> 'node', leg ->> 'rule', (leg ->> 'quantity')::int from (select unnest(from_json("
            "payload -> 'legs', '[\"json\"]')) as leg from events where type = 'sourcing.decided') "
            "where leg ->> 'route' = 'stock'"
        ).fetchall()


def test_a_run_sources_as_the_imported_rules_say_with_imported_retries(told: Told, tmp_path: Path) -> None:
    """PL-03: the ranking decides against distance, and retry settings of another file hold beside it."""
    settings = ROOT / "tests/unit/resilience4j/application.yml"
    delivery, rules = tmp_path / "delivery.yaml", tmp_path / "sourcing.yaml"
    bound = {"portal": "supplier", "erp": "erp", "pricing": "none"}
    assert told("policies", settings, *binds(bound), "--extends", BUSINESS, "--out", delivery)[0] == 0
    assert told("policies", ADOBE, *binds(SOURCES), "--extends", "delivery.yaml", "--out", rules)[0] == 0
    scenario = load(rules)
    assert scenario.policies.delivery.of("supplier").bulkhead == 10
    code, _, err = told("run", rules, "--out", tmp_path / "run", "--no-report", "--quiet")
    assert code == 0, err
    legs = decided(tmp_path / "run")
    assert {(node, rule) for node, rule, _ in legs} >= {("munich", "ranked_nodes")}
    assert not [leg for leg in legs if leg[:2] == ("hamburg", "ranked_nodes")]
    code, _, err = told("run", delivery, "--out", tmp_path / "before", "--no-report", "--quiet")
    assert code == 0, err
    before = decided(tmp_path / "before")
    assert any(node == "hamburg" and rule == "nearest" for node, rule, _ in before)


def test_orders_go_down_the_ranking_and_spill_over(told: Told, tmp_path: Path) -> None:
    """PL-03: every decision of a run is the one that Source Priority makes, counted here by its own description."""
    fragment = tmp_path / "sourcing.yaml"
    assert told("policies", ADOBE, *binds(SOURCES), "--extends", BUSINESS, "--out", fragment)[0] == 0
    (tmp_path / "mine.yaml").write_text(
        "schema: 1\nextends: sourcing.yaml\ntitle: Large orders\nchannels:\n"
        "  - {id: desk, demand: {quantity: {kind: uniform, low: 1, high: 30}}}\n",
        encoding="utf-8",
    )
    code, _, err = told("run", tmp_path / "mine.yaml", "--out", tmp_path / "run", "--no-report", "--quiet")
    assert code == 0, err
    with connect(tmp_path / "run") as connection:
        rows = connection.sql("select payload::varchar from events where type = 'sourcing.decided'").fetchall()
    split = 0
    for decision in (json.loads(text) for (text,) in rows):
        for line in {one["line"] for one in decision.get("considered", [])}:
            legs = [leg for leg in decision["legs"] if leg["line"] == line]
            held = {one["node"]: one["available"] for one in decision["considered"] if one["line"] == line}
            left, taken = sum(leg["quantity"] for leg in legs), []
            for node in ("munich", "hamburg"):
                take = min(max(held.get(node, 0), 0), left)
                left -= take
                taken += [(node, take)] if take else []
            assert [(leg["node"], leg["quantity"]) for leg in legs if leg["route"] == "stock"] == taken
            split += len(taken) > 1
    assert split > 0
