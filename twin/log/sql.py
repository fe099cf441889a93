"""A run as SQL views, for notebooks and analysts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from twin.log.errors import RunError
from twin.log.parts import ENTRIES, TRUTH, find_parts

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["connect"]

_COMMANDS = """
create view commands as
select "position", "at", type, subject, correlation, payload::json -> 'command' as payload,
       payload::json ->> '$.refusal.code' as refusal
from entries
"""

_EVENTS = """
create view events as
select "position", "at", ordinal, event ->> 'type' as type,
       coalesce(event ->> 'order', event ->> 'purchase_order', correlation) as "order", event as payload
from (
    select "position", "at", correlation,
           generate_subscripts(json_extract(payload::json, '$.events[*]'), 1) - 1 as ordinal,
           unnest(json_extract(payload::json, '$.events[*]')) as event
    from entries
)
"""

_DELIVERIES = """
create view deliveries as
select "position", "at", ordinal, delivery ->> 'key' as key, delivery ->> 'gateway' as gateway,
       delivery ->> '$.effect.type' as type, delivery ->> 'correlation' as correlation,
       coalesce(delivery ->> 'criticality', '') as criticality,
       coalesce((delivery ->> 'attempt')::bigint, 1) as attempt,
       coalesce((delivery ->> 'deadline')::bigint, 0) as deadline, delivery as payload
from (
    select "position", "at", generate_subscripts(json_extract(payload::json, '$.deliveries[*]'), 1) - 1 as ordinal,
           unnest(json_extract(payload::json, '$.deliveries[*]')) as delivery
    from entries
)
"""


def connect(run: Path | str) -> DuckDBPyConnection:
    """An in-memory DuckDB connection with the views entries, commands, events, deliveries and truth over a run.

    `events` has one row an event: position, at (ms), ordinal within its entry (from 0), type, order (else purchase
    order), payload (JSON). Raises `RunError` where the run has no finished part.
    """
    import duckdb

    run = Path(run)
    parts = find_parts(run / ENTRIES)
    if not parts:
        raise RunError(f"{run} has no finished part of entries; run it again")
    connection = duckdb.connect(":memory:")
    connection.execute(f"create view entries as select * from {_files(str(part.path) for part in parts)}")
    for view in (_COMMANDS, _EVENTS, _DELIVERIES):
        connection.execute(view)
    truth = find_parts(run / TRUTH)
    connection.execute(
        f"create view truth as select * from {_files(str(part.path) for part in truth)}"
        if truth
        else "create view truth as select 0::bigint as \"position\", 0::bigint as \"at\", '' as type, '' as subject, "
        "'' as node, '' as sku, 0::bigint as quantity, '' as detail where false"
    )
    return connection


def _files(paths: Iterable[str]) -> str:
    quoted = ", ".join("'" + path.replace("'", "''") + "'" for path in paths)
    return f"read_parquet([{quoted}])"
