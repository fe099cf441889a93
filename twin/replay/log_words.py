"""A foreign log in the words of the scenario that was made from it: its sites, regions, carriers, items and channel."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa
from msgspec.structs import replace

from twin.event_log import COLUMNS, EventLog, arrow_schema
from twin.replay.facts import CalibrationRefused
from twin.replay.foreign_cases import OTHER, origin_expression
from twin.scenario import Scenario

__all__ = ["in_words_of"]

_SHOWN: Final = 5


def in_words_of(log: EventLog, base: Scenario, base_file: Path) -> EventLog:
    """The log as `base` names things, by the base's `log_names`; the same log where the base has none.

    An event's site and region are those of its case. Where the base has an item for each site, a line is some units of
    its site's item, one where the log has no quantity. Left out are purchase orders then, since such a base buys
    nothing, and approvals and releases, since it releases at once: its handling is counted from the placing on.
    Amounts in the currency that the base names so are taken digit by digit.
    Raises `CalibrationRefused` for an origin or region of an order that is none of the base's.
    """
    names = base.log_names
    if names is None:
        return log
    texts = [name for name, (kind, _) in COLUMNS.items() if kind == "string" and name not in ("case_id", "activity")]
    for name in names.origin:
        if name not in texts:
            raise CalibrationRefused(
                f"{base_file}: log_names.origin: {name!r} is no field of a log; fields are {', '.join(texts)}"
            )
    known = {"sites": {one.id for one in base.warehouses}, "regions": set(base.regions)}
    with duckdb.connect() as con:
        con.register("events", log.table.append_column("seq", pa.array(range(log.table.num_rows), pa.int64())))
        con.execute(
            f"create temp table cases as select case_id, trim({origin_expression(names.origin)}) as origin, "
            "coalesce(max(site), '') as site, coalesce(max(region), '') as region, "
            'bool_or("order" is not null) as ordered '
            "from events group by case_id"
        )
        # A log whose sites are the base's already, such as one of its run, keeps them.
        con.execute("update cases set origin = site where site in (select unnest(?))", [sorted(known["sites"])])
        origin_ids = _ids(con, "origin", names.sites, known["sites"], log, base_file)
        region_ids = _ids(con, "region", names.regions, known["regions"], log, base_file)
        cases: Any = con.sql("select case_id, origin, region from cases").to_arrow_table()
        sites = [origin_ids.get(name) for name in cases["origin"].to_pylist()]
        told = {
            "case_id": cases["case_id"].to_pylist(),
            "site_id": sites,
            "region_id": [region_ids.get(name) for name in cases["region"].to_pylist()],
            "carrier_id": [names.carriers.get(site or "") for site in sites],
            "item_id": [names.items.get(site or "") for site in sites],
        }
        con.register("words", pa.table(told, schema=pa.schema([(name, pa.string()) for name in told])))
        found: Any = con.sql(_query(bool(names.items), names.channel)).to_arrow_table()
        words = found.drop_columns("seq").cast(arrow_schema())
    digits = names.currency is not None and log.currency == names.currency
    return replace(log, table=words, currency=base.currency if digits else log.currency)


def _query(stands_for: bool, channel: str | None) -> str:
    """The events in their order, with what the words say in place of what the log says."""
    of_order = '"order" is not null'
    said = {
        "site": "coalesce(site_id, site)",
        "region": "coalesce(region_id, region)",
        "carrier": f"case when {of_order} then coalesce(carrier_id, carrier) else carrier end",
        "item": f"case when {of_order} then coalesce(item_id, item) else item end",
    }
    if channel is not None:
        # An id of the scenario: small letters, digits, `_`, `.` and `-`.
        said["channel"] = f"case when {of_order} then '{channel}' else channel end"
    if stands_for:
        said["quantity"] = (
            f"case when {of_order} and activity = 'order_placed' then coalesce(quantity, 1) else quantity end"
        )
    columns = ", ".join(f'{said.get(name, f"""events."{name}" """)} as "{name}"' for name in COLUMNS)
    # Such a base buys nothing, and releases what is placed: from then on its handling was measured.
    left_out = "starts_with(activity, 'purchase_order') or activity in ('order_approved', 'released')"
    kept = f"where not ({left_out})" if stands_for else ""
    return f"select {columns}, seq from events join words using (case_id) {kept} order by seq"


def _ids(
    con: duckdb.DuckDBPyConnection, column: str, ids: Mapping[str, str], known: set[str], log: EventLog, base_file: Path
) -> dict[str, str]:
    """The id of each name that cases have; none where the base gives no names."""
    if not ids:
        return {}
    rows: list[Any] = con.execute(
        f"select {column}, count(*) filter (ordered) from cases group by 1 order by 2 desc, 1"
    ).fetchall()
    rest = OTHER if OTHER in known else None
    found = {name: ids.get(name) or (name if name in known else rest) for name, _ in rows}
    strange = [(name, cases) for name, cases in rows if found[name] is None and cases]
    if strange:
        shown = ", ".join(f"{name!r}" if name else "none at all" for name, _ in strange[:_SHOWN])
        more = f" and {len(strange) - _SHOWN} more" if len(strange) > _SHOWN else ""
        cases = sum(count for _, count in strange)
        key = "sites" if column == "origin" else "regions"
        raise CalibrationRefused(
            f"{base_file}: log_names.{key} has no {column} {shown}{more}, which {cases:,} cases of {log.title} have; "
            "list it there, or calibrate the base over a time that has it"
        )
    return {name: id for name, id in found.items() if id is not None}
