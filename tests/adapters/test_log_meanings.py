"""What a mapping says of cells: constants, other names for values, decimal commas; and dates that few would believe."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from adapters.event_log import load
from twin.event_log import EventLog, EventLogError

MAPPING: dict[str, Any] = {
    "title": "Ein Handel",
    "times": {"zone": "Europe/Berlin", "format": "%d.%m.%Y"},
    "delimiter": ";",
    "currency": "EUR",
    "fields": {"order": "Auftrag", "quantity": "Menge", "value": "Netto", "region": "Gebiet", "site": "Lager"},
    "events": {"order_placed": "Eingang", "delivered": "Zustellung"},
    "deliveries": "whole",
}
HEADER = "Auftrag;Menge;Netto;Gebiet;Lager;Eingang;Zustellung\n"
ROWS = """A1;1;64,64;Nord;Lager Hamburg;01.03.2024;03.03.2024
A2;2;1.268,35;Süd;Lager München;02.03.2024;04.03.2024
A3;3;7;West;Lager Hamburg;03.03.2024;06.03.2024
"""


def read(folder: Path, rows: str = ROWS, **changes: Any) -> EventLog:
    """The log of these rows by the mapping above and its changes."""
    file = folder / "log.csv"
    file.write_text(HEADER + rows, encoding="utf-8")
    return load([file], MAPPING | {"decimal": ","} | changes)


def refused(folder: Path, rows: str = ROWS, **changes: Any) -> str:
    """What is said of a log that is refused."""
    with pytest.raises(EventLogError) as found:
        read(folder, rows, **changes)
    return str(found.value)


def placed(log: EventLog, column: str) -> list[Any]:
    """A column of the orders that were placed."""
    return [row[column] for row in log.table.to_pylist() if row["activity"] == "order_placed"]


def test_a_decimal_comma_is_read_as_the_mapping_says(tmp_path: Path) -> None:
    """RP-02: exports of other countries are read without being written again."""
    assert placed(read(tmp_path), "value_minor") == [6464, 126835, 700]
    assert placed(read(tmp_path), "quantity") == [1, 2, 3]


@pytest.mark.parametrize("cell", ["64.64", "1.268", "1.26,35", "1,268.35", "64,", "12.345.67,1"])
def test_with_a_decimal_comma_what_may_mean_two_things_is_no_amount(tmp_path: Path, cell: str) -> None:
    """RP-02: a point that may be a decimal one is not taken for one that parts thousands."""
    told = refused(tmp_path, ROWS.replace("64,64", cell))
    assert "1 of the cells of column 'Netto' are no amounts; write major units, such as 2,95" in told
    assert "decimals stand behind a comma" in told


def test_a_comma_where_the_mapping_names_none_is_refused_with_the_key(tmp_path: Path) -> None:
    """RP-02: the remedy is a key of the mapping, not another export."""
    assert 'set `decimal: ","`' in refused(tmp_path, decimal=".")
    # A quantity of 1,000 may well be a thousand.
    whole = refused(tmp_path, ROWS.replace("A1;1;64,64", "A1;1,000;64.64"), decimal=".")
    assert "no whole numbers; write base units, such as 12;" in whole


def test_constants_stand_in_every_row(tmp_path: Path) -> None:
    """RP-02: a business with one channel has no column that says so."""
    log = read(tmp_path, constants={"channel": "it's a shop", "carrier": "post"})
    assert set(log.table["channel"].to_pylist()) == {"it's a shop"}
    assert set(log.table["carrier"].to_pylist()) == {"post"}
    fields = {name: column for name, column in MAPPING["fields"].items() if name != "quantity"}
    assert placed(read(tmp_path, fields=fields, constants={"quantity": 4}), "quantity") == [4, 4, 4]


def test_values_get_the_names_that_the_mapping_gives_them(tmp_path: Path) -> None:
    """RP-02: what is not listed stays, and what is listed and stands nowhere is told."""
    names = {"region": {"Nord": "nord", "Süd": "sued", "Ost": "ost"}, "site": {"Lager Hamburg": "ham"}}
    log = read(tmp_path, values=names)
    assert placed(log, "region") == ["nord", "sued", "West"]
    assert placed(log, "site") == ["ham", "Lager München", "ham"]
    assert [(one.remark, one.count) for one in log.remarks] == [
        ("values of region that are translated and stand in no row: 'Ost'", 1)
    ]
    # Rows are chosen by what stands in the file.
    assert placed(read(tmp_path, values=names, where={"Gebiet": ["Süd"]}), "region") == ["sued"]


def test_a_column_that_an_export_may_lack_is_blank_where_it_does(tmp_path: Path) -> None:
    """RP-02: nobody was late in this export, and nothing was cancelled; where there is such a column, it is read."""
    fields = MAPPING["fields"] | {"carrier": "Frachtführer"}
    events = MAPPING["events"] | {"cancelled": {"column": "Storno", "recorded": "gebucht"}}
    optional = ["Frachtführer", "Storno", "gebucht", "Lager"]
    log = read(tmp_path, fields=fields, events=events, optional=optional)
    assert placed(log, "carrier") == [None, None, None]
    # Another case is another column.
    other = read(tmp_path, fields=MAPPING["fields"] | {"carrier": "lager"}, optional=["lager"])
    assert placed(other, "carrier") == [None, None, None]
    assert placed(log, "site") == ["Lager Hamburg", "Lager München", "Lager Hamburg"]
    assert set(log.table["activity"].to_pylist()) == {"order_placed", "delivered"}
    assert "no column 'Storno', which the mapping names as 'events.cancelled.column'" in refused(
        tmp_path, fields=fields, events=events, optional=optional[:1]
    )


def test_a_column_that_an_export_may_lack_is_blank_in_joined_files(tmp_path: Path) -> None:
    """RP-02: whichever of the files it would be in."""
    (tmp_path / "regions.csv").write_text("Auftrag;Gebiet\nA1;Nord\nA3;West\n", encoding="utf-8")
    (tmp_path / "log.csv").write_text(HEADER + ROWS, encoding="utf-8")
    mapping = MAPPING | {
        "decimal": ",",
        "files": {"log": {"file": "log.csv"}, "more": {"file": "regions.csv", "join": {"Auftrag": "log.Auftrag"}}},
        "fields": MAPPING["fields"] | {"region": "more.Gebiet", "carrier": "more.Fracht", "channel": "Kanal"},
        "optional": ["more.Fracht", "Kanal", "more.Gebiet"],
    }
    log = load([tmp_path / "log.csv", tmp_path / "regions.csv"], mapping)
    assert placed(log, "region") == ["Nord", None, "West"]
    assert placed(log, "carrier") == placed(log, "channel") == [None, None, None]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"optional": ["Kanal"]}, "optional: the mapping names no column 'Kanal'; leave it out, or map it"),
        (
            {"optional": ["Gebiet"], "where": {"Gebiet": ["Nord"]}},
            "optional: nothing can be told without where.Gebiet ('Gebiet'); leave it out",
        ),
        (
            {"optional": ["Auftrag", "Lager"]},
            "optional: nothing can be told without the id of an order ('Auftrag'); leave it out",
        ),
        (
            {"optional": ["weg"], "events": MAPPING["events"] | {"reduced": {"column": "gekürzt", "quantity": "weg"}}},
            "optional: nothing can be told without events.reduced.quantity ('weg'); leave it out",
        ),
        (
            {
                "optional": ["log.Lager"],
                "fields": MAPPING["fields"] | {"site": "log.Lager"},
                "files": {
                    "log": {"file": "log.csv"},
                    "more": {"file": "more.csv", "join": {"Lager": "log.Lager"}},
                },
            },
            "optional: nothing can be told without files.more.join ('log.Lager'); leave it out",
        ),
        ({"constants": {"channel": None}}, "constants.channel: says nothing; write the value, or leave it out"),
        ({"constants": {"channel": " "}}, "constants.channel: says nothing; write the value, or leave it out"),
        ({"constants": {"region": "nord"}}, "constants.region: `fields` names a column of it; leave one of the two"),
        ({"constants": {"order": "A1"}}, "constants.order: unknown key; keys here: carrier, channel,"),
        ({"constants": {"quantity": "many"}}, "constants.quantity: 'many' is not usable"),
        ({"values": {"order": {"A1": "A2"}}}, "values.order: it cannot be translated; fields here are item,"),
        ({"values": {"channel": {"Web": "web"}}}, "values.channel: no column of it is mapped; name it in `fields`"),
        ({"decimal": ";"}, "decimal: ';' is not usable"),
    ],
)
def test_a_mapping_that_cannot_be_meant_is_refused(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    """RP-02: each wrong key by its name."""
    assert told in refused(tmp_path, **changes)


def test_rows_of_one_order_without_its_lines_are_told(tmp_path: Path) -> None:
    """RP-02: quantities and values of but one of them count, which nobody would see."""
    more = "A1;5;9,00;Nord;Lager Hamburg;01.03.2024;04.03.2024\nA1;6;8,00;Nord;Lager Hamburg;01.03.2024;04.03.2024\n"
    told = [(one.remark, one.count, [row for row, _ in one.rows]) for one in read(tmp_path, ROWS + more).remarks]
    assert told == [
        ("further order_placed of a case, whose quantity and value are not added; lines need `line`", 2, [4, 5])
    ]
    assert read(tmp_path).remarks == ()


def days(*instants: datetime) -> str:
    """Orders of these days, each delivered two days later."""
    rows = [
        f"A{at};1;1,00;Nord;Lager;{one:%d.%m.%Y};{one + timedelta(days=2):%d.%m.%Y}" for at, one in enumerate(instants)
    ]
    return "\n".join(rows) + "\n"


FIRST = datetime(2024, 1, 1, tzinfo=UTC)
HALF_A_YEAR = [FIRST + timedelta(days=one) for one in range(180)]


def far(log: EventLog) -> list[tuple[str, int, tuple[int, ...]]]:
    """The remarks about far events, with the number of events and their first rows."""
    return [
        (one.remark, one.count, tuple(row for row, _ in one.rows)) for one in log.remarks if "all others" in one.remark
    ]


def test_events_long_after_all_others_are_told_and_not_repaired(tmp_path: Path) -> None:
    """RP-02: a date that is wrong by ten years makes the log ten years older."""
    rows = days(*HALF_A_YEAR).replace(
        "A7;1;1,00;Nord;Lager;08.01.2024;10.01.2024", "A7;1;1,00;Nord;Lager;08.01.2024;10.01.2034"
    )
    log = read(tmp_path, rows)
    assert far(log) == [("events 3,481 days or more after all others; are their dates right?", 1, (8,))]
    assert datetime.fromtimestamp(log.as_of_ms / 1000, UTC).year == 2034
    before = read(tmp_path, days(*HALF_A_YEAR).replace("Lager;01.01.2024", "Lager;01.01.1970"))
    assert far(before) == [("events 19,724 days or more before all others; are their dates right?", 1, (1,))]


def test_events_that_are_not_few_or_not_far_are_no_strangers(tmp_path: Path) -> None:
    """RP-02: a pause of a business, and the long tail of its deliveries, are no wrong dates."""
    assert far(read(tmp_path, days(*HALF_A_YEAR))) == []
    # Eighteen events tell nothing of what is usual, twenty do.
    for orders, told in ((9, []), (10, [(9,)])):
        few = days(*HALF_A_YEAR[:orders]).replace("09.01.2024;11.01.2024", "09.01.2024;11.01.2034")
        assert [rows for _, _, rows in far(read(tmp_path, few))] == told
    paused = [one if at < 90 else one + timedelta(days=900) for at, one in enumerate(HALF_A_YEAR)]
    assert far(read(tmp_path, days(*paused))) == []
    slow = days(*HALF_A_YEAR).replace("27.06.2024;29.06.2024", "27.06.2024;20.09.2024")
    assert far(read(tmp_path, slow)) == []
    late = days(*HALF_A_YEAR).replace("27.06.2024;29.06.2024", "27.06.2024;20.12.2024")
    assert [rows for _, _, rows in far(read(tmp_path, late))] == [(179,)]


@pytest.mark.parametrize("unit", ["ns", "us", "ms", "s"])
@pytest.mark.parametrize("zone", ["Europe/Berlin", None])
def test_times_of_a_parquet_file_are_read_however_fine_they_are(tmp_path: Path, unit: str, zone: str | None) -> None:
    """RP-02: pandas writes nanoseconds with a zone."""
    told = [datetime(2024, 3, day, 10, 30, tzinfo=UTC) for day in (1, 2, 3)]
    kind = pa.timestamp(unit, zone)
    # A column without a zone says what clocks in the mapping's zone show.
    shown = told if zone else [one.replace(tzinfo=None) + timedelta(hours=1) for one in told]
    table = pa.table(
        {
            "Auftrag": ["A1", "A2", "A3"],
            "Eingang": pa.array(shown, kind),
            "Zustellung": pa.array([one + timedelta(days=2) for one in shown], kind),
        }
    )
    pq.write_table(table, tmp_path / "log.parquet", version="2.6")
    assert pq.read_schema(tmp_path / "log.parquet").field("Eingang").type.unit == ("ms" if unit == "s" else unit)
    mapping = {"title": "P", "times": {"zone": "Europe/Berlin"}, "fields": {"order": "Auftrag"}} | {
        "events": MAPPING["events"]
    }
    log = load([tmp_path / "log.parquet"], mapping)
    assert placed(log, "event_ms") == [round(one.timestamp()) * 1000 for one in told]
