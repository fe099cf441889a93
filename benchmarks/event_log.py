"""How fast a foreign log of 1.5 million events is imported and profiled, and in how much memory.

The log is made here: 300 thousand orders of five events each, one row an event, as plain CSV, then in the other forms
that are read (`benchmarks.log_forms`), each as long as its figures take. `python -m benchmarks.event_log FORM...`
measures some of them, by the names of their files, as log.xes; csv is the first.
Each side runs in a process of its own, so that its peak memory is its own; on a busy machine its
seconds of processor say more than those of the clock. The peer, pandas, reads the file,
translates the activities and puts the times into their zone; it checks nothing and keeps its own columns. The peer
of the other forms is r4pm, which reads XES and OCEL 2.0 into its own memory, and hands out no table.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time

from benchmarks.log_forms import PEERS, STEPS, WRITERS

ORDERS = 300_000
MAPPING = """\
title: A log of the benchmark
times: {zone: Europe/Berlin, format: "%Y-%m-%d %H:%M:%S"}
fields:
  order: order
  quantity: quantity
  value: value
  region: region
  supplier: supplier
  carrier: carrier
  promised: promised
activity:
  column: step
  time: at
  names:
    placed: order_placed
    approved: order_approved
    packed: packed
    shipped: handed_to_carrier
    delivered: delivered
"""


def make_log(path: Path, orders: int) -> None:
    """Write a log that is the same on every machine: hours and hashes of the order's number."""
    from datetime import datetime, timedelta

    start = datetime(2023, 1, 2, 8)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write("order,step,at,quantity,value,region,supplier,carrier,promised\n")
        for order in range(orders):
            at = start + timedelta(seconds=order * 100)
            mixed = order * 2_654_435_761 % 2**32
            rest = (
                f"{1 + mixed % 9},{mixed % 30_000 / 100:.2f},region-{mixed % 27},supplier-{mixed % 997},"
                f"carrier-{mixed % 7},{at + timedelta(days=5):%Y-%m-%d %H:%M:%S}\n"
            )
            for number, step in enumerate(STEPS):
                file.write(
                    f"order-{order:07d},{step},{at + timedelta(hours=number * (5 + mixed % 40)):%Y-%m-%d %H:%M:%S},"
                )
                file.write(rest)


def measure(side: str, folder: Path) -> dict[str, object]:
    """Import the log of `folder` in this process."""
    csv, mapping = folder / "log.csv", folder / "map.yaml"
    row: dict[str, object] = {"benchmark": "event_log", "side": side, "csv_mb": round(csv.stat().st_size / 1e6)}
    if side == "pandas":
        import pandas as pd

        began, used = perf_counter(), process_time()
        frame = pd.read_csv(csv)
        frame["step"] = frame["step"].map({step: step for step in STEPS})
        for name in ("at", "promised"):
            stamps = pd.to_datetime(frame[name], format="%Y-%m-%d %H:%M:%S")
            zoned = stamps.dt.tz_localize("Europe/Berlin", ambiguous=True, nonexistent="shift_forward")
            frame[name] = zoned.dt.tz_convert("UTC")
        events, seconds, used = len(frame), perf_counter() - began, process_time() - used
    else:
        from adapters.event_log import load
        from twin.measures.of_event_log import profile_log

        began, used = perf_counter(), process_time()
        log = load([csv], mapping)
        seconds, used = perf_counter() - began, process_time() - used
        events = log.table.num_rows
        row["import_peak_mb"] = _peak_mb()
        row["table_mb"] = round(log.table.nbytes / 1e6)
        began = perf_counter()
        profile_log(log)
        row["profile_s"] = round(perf_counter() - began, 2)
    row |= {
        "events": events,
        "import_s": round(seconds, 2),
        "import_cpu_s": round(used, 2),
        "events_per_s": round(events / seconds),
        "peak_mb": _peak_mb(),
    }
    return row


def measure_form(side: str, path: Path) -> dict[str, object]:
    """Import one file in this process, by the mapping beside it."""
    row: dict[str, object] = {"benchmark": "event_log", "side": side, "form": path.name}
    row["file_mb"] = round(path.stat().st_size / 1e6)
    if side == "r4pm":
        import r4pm

        began, used = perf_counter(), process_time()
        r4pm.import_item(PEERS[path.name], str(path))
        seconds, used = perf_counter() - began, process_time() - used
        events = ORDERS * len(STEPS)
    else:
        from adapters.event_log import load

        began, used = perf_counter(), process_time()
        log = load([path], path.with_suffix(".yaml"))
        seconds, used = perf_counter() - began, process_time() - used
        events = log.table.num_rows
        if events != ORDERS * len(STEPS):
            raise SystemExit(f"{path.name}: {events} events were read, not {ORDERS * len(STEPS)}")
    return row | {
        "events": events,
        "import_s": round(seconds, 2),
        "import_cpu_s": round(used, 2),
        "events_per_s": round(events / seconds),
        "peak_mb": _peak_mb(),
    }


def _peak_mb() -> int:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_000)


def main(names: Sequence[str] = ("csv", *WRITERS)) -> None:
    """Make the log in each form, then import it in a process for each side."""
    with TemporaryDirectory() as parent:
        folder = Path(parent)
        if "csv" in names:
            make_log(folder / "log.csv", ORDERS)
            (folder / "map.yaml").write_text(MAPPING, encoding="utf-8")
            for side in ("ordertwin", "pandas"):
                _show(side, folder)
        for name, write in WRITERS.items():
            if name not in names:
                continue
            path = folder / name
            mapping = write(path, ORDERS)
            path.with_suffix(".yaml").write_text(json.dumps(mapping), encoding="utf-8")
            for side in ("ordertwin", "r4pm") if name in PEERS else ("ordertwin",):
                _show(side, path)
            path.unlink()


def _show(side: str, path: Path) -> None:
    if side != "ordertwin" and find_spec(side) is None:
        print(json.dumps({"benchmark": "event_log", "side": side, "skipped": f"{side} is not installed"}))
        return
    command = [sys.executable, "-m", "benchmarks.event_log", "--measure", side, str(path)]
    print(subprocess.run(command, check=True, capture_output=True, text=True).stdout, end="", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        asked = Path(sys.argv[3])
        print(json.dumps(measure(sys.argv[2], asked) if asked.is_dir() else measure_form(sys.argv[2], asked)))
    elif strange := [name for name in sys.argv[1:] if name not in ("csv", *WRITERS)]:
        sys.exit(f"unknown form {strange[0]!r}; there are csv, {', '.join(WRITERS)}")
    else:
        main(sys.argv[1:] or ("csv", *WRITERS))
