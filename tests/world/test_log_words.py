"""From the export of another system to a scenario, and back: the log in the words of the scenario made from it."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from msgspec.structs import replace
from ruamel.yaml import YAML

from adapters.event_log import load as load_log
from twin.cli import main
from twin.event_log import EventLog
from twin.replay.distances import library
from twin.replay.facts import CalibrationRefused
from twin.replay.foreign import calibrate_log
from twin.replay.log_words import in_words_of
from twin.scenario import Scenario, ScenarioError, load
from twin.scenario.demand import GeneratedDemand
from twin.streams import Empirical

HOUR = 3_600_000
START = datetime(2024, 1, 1, tzinfo=UTC)
UNTIL = "2024-03-01T00:00Z"
MAPPING: dict[str, Any] = {
    "title": "Ein Handel",
    "times": {"zone": "UTC", "format": "%d.%m.%Y %H:%M"},
    "delimiter": ";",
    "currency": "EUR",
    "fields": {
        "order": "Auftrag",
        "line": "Pos",
        "item": "Artikel",
        "value": "Netto",
        "region": "Gebiet",
        "site": "Lager",
        "carrier": "Spediteur",
    },
    "decimal": ",",
    "events": {"order_placed": "Eingang", "handed_to_carrier": "Versand", "delivered": "Zustellung"},
    "deliveries": "whole",
}
SLOW = {"Nord": 20, "Süd": 44, "Ost": 30, "West": 30}


def export(orders: int = 500) -> list[list[str]]:
    """Orders of 100 days with capitals, umlauts and spaces in their names, two small regions, and no quantity."""
    luck, rows = random.Random(4), []
    for number in range(orders):
        at = START + timedelta(minutes=number * 288 + luck.randrange(60))
        region = luck.choices(list(SLOW), [55, 40, 3, 2])[0]
        # Some orders want something from either site.
        for line in range(1, luck.choice([1, 1, 2]) + 1):
            site = luck.choice(["Lager Hamburg", "Lager München"])
            out = at + timedelta(minutes=60 + luck.randrange(20 * 60))
            there = out + timedelta(minutes=SLOW[region] * 60 + luck.randrange(600))
            told = [f"{when:%d.%m.%Y %H:%M}" for when in (at, out, there)]
            rows.append([f"A{number}", str(line), f"SKU {luck.randrange(9)}", "12,50", region, site, "GelbPost", *told])
    return rows


HEADER = ["Auftrag", "Pos", "Artikel", "Netto", "Gebiet", "Lager", "Spediteur", "Eingang", "Versand", "Zustellung"]


def written(folder: Path, rows: list[list[str]], header: Sequence[str] = HEADER, **changes: Any) -> tuple[Path, Path]:
    """The export and its mapping as files."""
    file, mapping = folder / "export.csv", folder / "map.yaml"
    file.write_text("\n".join(";".join(row) for row in [header, *rows]) + "\n", encoding="utf-8")
    with mapping.open("w", encoding="utf-8") as out:
        YAML(typ="safe", pure=True).dump(MAPPING | changes, out)
    return file, mapping


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the export, its mapping, and the scenario that calibrate makes of them without a base."""
    folder = tmp_path_factory.mktemp("shop")
    file, mapping = written(folder, export())
    said = ["calibrate", str(file), "--mapping", str(mapping), "--until", UNTIL, "--out", str(folder / "mine.yaml")]
    assert main(said) == 0
    return folder


@pytest.fixture(scope="module")
def log(made: Path) -> EventLog:
    """The log of the export."""
    return load_log([made / "export.csv"], made / "map.yaml")


def test_the_chain_from_an_export_to_its_reconstruction_needs_no_change_of_the_data(made: Path) -> None:
    """RP-03, RP-05: mapping, profile, calibrate, run, reconstruct, with the file that calibrate wrote as the base.

    What the replay makes of the orders after the fitted part is what the log says of them: it has their luck.
    """
    file, mapping, mine = (str(made / name) for name in ("export.csv", "map.yaml", "mine.yaml"))
    assert main(["profile", file, "--mapping", mapping]) == 0
    assert main(["run", mine, "--out", str(made / "run")]) == 0
    again = str(made / "again")
    said = ["reconstruct", file, "--mapping", mapping, "--base", mine, "--fit-until", UNTIL, "--out", again]
    assert main([*said, "--seeds", "1", "--no-distances"]) == 0
    told = json.loads((made / "again/statement.json").read_bytes())
    figures = {(one["measure"], one["of"]): one["value"] for one in told["figures"]}
    for measure in ("order_cycle_time", "transit_time"):
        recorded, replayed = figures[measure, "recorded"], figures[measure, "as it was"]
        assert replayed == pytest.approx(recorded, rel=0.02), measure
    whole = next(one for one in told["agreement"] if not one["criticality"])
    assert whole["decisions"] > 200
    assert whole["same"] >= 0.97 * whole["decisions"]
    (orders,) = [one for one in told["inputs"] if one["name"].startswith("orders")]
    assert orders["share"] == 1.0
    assert any("lines ship from the recorded site is no decision" in one for one in told["never"])


def test_an_order_that_waits_for_its_release_takes_as_long_in_the_replay(tmp_path: Path) -> None:
    """RP-05: the more a log tells, the nearer: a base of calibrate releases at once, and its handling is counted from
    the placing on, however late the log releases what it ships."""
    rows = export(300)
    for row in rows:
        out = datetime.strptime(row[8], "%d.%m.%Y %H:%M").replace(tzinfo=UTC)
        row.append(f"{out - timedelta(minutes=5):%d.%m.%Y %H:%M}")
        row.append("7")
    events = {**MAPPING["events"], "released": "Freigabe"}
    changes = {"events": events, "fields": {**MAPPING["fields"], "quantity": "Menge"}}
    header = [*HEADER, "Freigabe", "Menge"]
    file, mapping = written(tmp_path, rows, header, **changes)
    mine, again = tmp_path / "mine.yaml", tmp_path / "again"
    cut = "2024-02-15T00:00Z"
    assert main(["calibrate", str(file), "--mapping", str(mapping), "--until", cut, "--out", str(mine)]) == 0
    said = ["reconstruct", str(file), "--mapping", str(mapping), "--base", str(mine), "--fit-until", cut]
    assert main([*said, "--out", str(again), "--seeds", "1", "--no-distances"]) == 0
    told = json.loads((again / "statement.json").read_bytes())
    figures = {(one["measure"], one["of"]): one["value"] for one in told["figures"]}
    for measure in ("order_to_ship", "order_cycle_time", "transit_time"):
        assert figures[measure, "as it was"] == pytest.approx(figures[measure, "recorded"], rel=0.02), measure
    # The units of the scenario are those of the log: seven a line, whatever is ordered from one site.
    made = load(mine)
    demand = made.channels[0].demand
    assert isinstance(demand, GeneratedDemand)
    assert isinstance(demand.quantity_per_line, Empirical)
    assert {units for _, units in demand.quantity_per_line.table} == {7, 14}
    assert {item.price.minor for item in made.items} == {round(1250 / 7)}


def test_a_log_is_calibrated_with_the_scenario_that_was_made_from_it(made: Path) -> None:
    """RP-03: the second calibration knows the first one's sites, lanes, channel and items, and says by what names."""
    file, mapping = str(made / "export.csv"), str(made / "map.yaml")
    said = ["calibrate", file, "--mapping", mapping, "--base", str(made / "mine.yaml"), "--until", "2024-04-01T00:00Z"]
    assert main([*said, "--out", str(made / "second.yaml")]) == 0
    text = (made / "second.yaml").read_text(encoding="utf-8")
    assert "in the words of the base's log_names" in " ".join(text.replace("#", " ").split())
    before, after = load(made / "mine.yaml"), load(made / "second.yaml")
    assert after.log_names == before.log_names
    assert {(one.from_, one.to) for one in after.lanes} == {(one.from_, one.to) for one in before.lanes}
    assert [one.transit for one in after.lanes] != [one.transit for one in before.lanes]


def test_the_calibrated_file_says_what_its_places_are_called_in_the_log(made: Path) -> None:
    """RP-03: the ids are made here, so the way back is part of the file; what is seen too seldom is not listed."""
    names = load(made / "mine.yaml").log_names
    assert names is not None
    assert names.origin == ("site",)
    assert names.sites == {"Lager Hamburg": "lager_hamburg", "Lager München": "lager_munchen"}
    assert names.regions == {"Nord": "nord", "Süd": "sud"}
    assert names.items == {site: f"of_{site}" for site in names.sites.values()}
    assert names.channel == "orders"


def test_lines_become_units_of_their_sites_items(made: Path, log: EventLog) -> None:
    """RP-05: a line without a quantity is one unit; all else of a line stays what the log says."""
    words = in_words_of(log, load(made / "mine.yaml"), made / "mine.yaml")
    there, here = log.table.to_pylist(), words.table.to_pylist()
    assert len(there) == len(here)
    site = {"Lager Hamburg": "lager_hamburg", "Lager München": "lager_munchen"}
    region = {"Nord": "nord", "Süd": "sud", "Ost": "other", "West": "other"}
    for before, after in zip(there, here, strict=True):
        placed = before["activity"] == "order_placed"
        assert after == before | {
            "site": site[before["site"]],
            "region": region[before["region"]],
            "carrier": "carrier",
            "channel": "orders",
            "item": f"of_{site[before['site']]}",
            "quantity": 1 if placed else None,
        }


def test_what_only_a_later_event_tells_of_a_case_counts_for_all_of_it(made: Path, log: EventLog) -> None:
    """RP-05: many a system knows the site of a line only when it ships."""
    rows = log.table.to_pylist()
    for row in rows:
        if row["activity"] == "order_placed":
            row["site"] = None
    late = replace(log, table=pa.Table.from_pylist(rows, schema=log.table.schema))
    base = load(made / "mine.yaml")
    told = in_words_of(late, base, made / "mine.yaml").table
    assert told.equals(in_words_of(log, base, made / "mine.yaml").table)


def test_a_log_in_the_bases_own_words_stays_as_it_is(made: Path, log: EventLog) -> None:
    """RP-05: such as a run's that went through a file, or one whose values the mapping has translated."""
    base = load(made / "mine.yaml")
    once = in_words_of(log, base, made / "mine.yaml")
    assert in_words_of(once, base, made / "mine.yaml").table.equals(once.table)
    plain = load(made / "mine.yaml").with_changes({"log_names": None})
    assert in_words_of(log, plain, made / "mine.yaml") is log


def test_origins_of_several_fields_are_known_again(made: Path, log: EventLog, tmp_path: Path) -> None:
    """RP-05: `--origin carrier,site` makes a site of each pair, and the pair's parcels go with its carrier."""
    found = calibrate_log(log, round(datetime(2024, 3, 1, tzinfo=UTC).timestamp()) * 1000, origin=("carrier", "site"))
    (tmp_path / "pairs.yaml").write_text(found.text, encoding="utf-8")
    words = in_words_of(log, load(tmp_path / "pairs.yaml"), tmp_path / "pairs.yaml").table
    assert set(words["site"].to_pylist()) == {"gelbpost_lager_hamburg", "gelbpost_lager_munchen"}
    assert set(words["carrier"].to_pylist()) == {"gelbpost"}
    # In these words no pair says where goods come from any more, but the site does.
    again = in_words_of(replace(log, table=words), load(tmp_path / "pairs.yaml"), tmp_path / "pairs.yaml")
    assert again.table.equals(words)


def test_amounts_of_a_currency_that_no_scenario_has_are_taken_digit_by_digit(log: EventLog, tmp_path: Path) -> None:
    """RP-05: as in the calibrated file, which says so; any other currency than these two stays what it is."""
    foreign = replace(log, currency="BRL")
    found = calibrate_log(foreign, round(datetime(2024, 3, 1, tzinfo=UTC).timestamp()) * 1000)
    (tmp_path / "reais.yaml").write_text(found.text, encoding="utf-8")
    base = load(tmp_path / "reais.yaml")
    words = in_words_of(foreign, base, tmp_path / "reais.yaml")
    assert (base.currency, words.currency) == ("USD", "USD")
    assert words.table["value_minor"].equals(log.table["value_minor"])
    assert in_words_of(log, base, tmp_path / "reais.yaml").currency == "EUR"


def test_purchases_are_left_out_where_nothing_is_ever_bought(made: Path, log: EventLog) -> None:
    """RP-05: the base has plenty of everything and no supplier."""
    bought = dict.fromkeys(log.table.column_names) | {"case_id": "P1", "purchase_order": "P1", "event_ms": 0, "row": 1}
    both = [{**bought, "activity": f"purchase_order_{end}", "supplier": "Acme"} for end in ("created", "received")]
    more = replace(log, table=pa.concat_tables([log.table, pa.Table.from_pylist(both, schema=log.table.schema)]))
    base = load(made / "mine.yaml")
    words = in_words_of(more, base, made / "mine.yaml").table
    assert words.equals(in_words_of(log, base, made / "mine.yaml").table)


def test_a_place_that_the_base_has_not_is_refused_by_its_name(made: Path, tmp_path: Path) -> None:
    """RP-05: a new warehouse is none of the others, unless the base has a place for what is seen too seldom."""
    rows = export()
    rows[-1][5] = "Lager Köln"
    rows[-2][4] = "Übersee"
    file, mapping = written(tmp_path, rows)
    log, base = load_log([file], mapping), load(made / "mine.yaml")
    told = r"log_names\.sites has no origin 'Lager Köln', which 1 cases of Ein Handel have; list it there, or"
    with pytest.raises(CalibrationRefused, match=told):
        in_words_of(log, base, made / "mine.yaml")
    listed = base.with_changes({"log_names": {"sites": {"Lager Köln": "lager_hamburg"}}})
    words = in_words_of(log, listed, made / "mine.yaml").table.to_pylist()
    assert words[-1]["site"] == "lager_hamburg"
    assert words[-4]["region"] == "other"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            {"sites": {"Lager Köln": "koeln"}},
            "unknown warehouse 'koeln'; warehouses here: lager_",
        ),
        ({"regions": {"Nord": "nrd"}}, "unknown region 'nrd'"),
        ({"items": {"lager_hamburg": "of_koeln"}}, "unknown item 'of_koeln'"),
        ({"carriers": {"koeln": "carrier"}}, "unknown warehouse 'koeln'"),
        ({"channel": "shop"}, "unknown channel 'shop'"),
    ],
)
def test_names_of_what_a_scenario_has_not_are_refused(made: Path, change: dict[str, Any], told: str) -> None:
    """RP-03: as every other id is."""
    with pytest.raises(ScenarioError, match=told):
        load(made / "mine.yaml").with_changes({"log_names": change})


def test_an_origin_that_is_no_field_is_refused(made: Path, log: EventLog) -> None:
    """RP-03: the fields of a log are few and named."""
    base: Scenario = load(made / "mine.yaml").with_changes({"log_names": {"origin": ["depot"]}})
    with pytest.raises(CalibrationRefused, match=r"log_names\.origin: 'depot' is no field of a log; fields are order,"):
        in_words_of(log, base, made / "mine.yaml")


def test_a_reconstruction_asks_for_its_extra_before_it_reads(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """RP-05: a log takes minutes to read, and three runs take more."""
    monkeypatch.setitem(sys.modules, "log_distance_measures", None)
    library.cache_clear()
    monkeypatch.setattr("twin.cli.reconstructing._log_of", lambda *_: pytest.fail("the log was read"))
    said = ["reconstruct", str(made / "export.csv"), "--mapping", str(made / "map.yaml"), "--fit-until", UNTIL]
    assert main([*said, "--base", str(made / "mine.yaml"), "--out", str(tmp_path / "again"), "--quiet"]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "ordertwin[fidelity]" in told
    assert not (tmp_path / "again").exists()
