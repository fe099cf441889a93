"""Writes the tables of `today.yaml`: a made-up business as its systems would export it, with a few rows that are wrong.

python scenarios/opening/generate.py
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

FOLDER = Path(__file__).parent / "today"
NOW = "2025-11-17 07:00"
EARLIER = "2025-11-16 22:00"
PRICES = {"mug": "9.00", "bowl": "14.50", "plate": "12.00"}
REGIONS = ("north", "south")


def write(name: str, header: Sequence[str], rows: Iterator[Sequence[object]]) -> None:
    with (FOLDER / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def stock(luck: Random) -> Iterator[Sequence[object]]:
    for warehouse in ("kiel", "ulm"):
        for item in PRICES:
            units = luck.randrange(60, 260) if item != "bowl" else 8
            yield warehouse, item, "free", units, luck.randrange(0, units), NOW
    yield "kiel", "plate", "quarantined", 12, "", NOW
    # What real tables hold too: an item of another business, a place that is closed, a count below zero.
    yield "kiel", "jug", "free", 30, 0, NOW
    yield "bonn", "mug", "free", 55, 0, NOW
    yield "ulm", "plate", "quarantined", -3, "", NOW
    yield "ulm", "mug", "free", 90, 0, NOW


def orders(luck: Random) -> Iterator[Sequence[object]]:
    for number in range(1, 61):
        order = f"S{10_000 + number}"
        day, hour = luck.randrange(10, 17), luck.randrange(6, 20)
        captured = f"2025-11-{day} {hour:02d}:{luck.randrange(60):02d}"
        requested = f"2025-11-{day + 4} {hour:02d}:00"
        promised = f"2025-11-{day + 5} 18:00" if number % 3 else ""
        if day == 16 or (day == 17 and hour > 6):
            captured = f"2025-11-16 {hour:02d}:30"
        channel, criticality = ("desk", "A") if number % 10 == 0 else ("web", "")
        if number == 7:
            promised = "2025-11-01 12:00"
        place = "east" if number == 41 else luck.choice(REGIONS)
        for line, item in enumerate(luck.sample(list(PRICES), luck.randrange(1, 3)), 1):
            ordered = luck.randrange(2, 12)
            open_ = luck.randrange(1, ordered) if number % 4 == 0 else ordered
            if number == 23:
                open_ = ordered + 2
            name = "jug" if number == 31 else item
            yield (
                *(order, line, channel, f"C{number % 17:03d}", place, criticality, captured, requested, promised),
                *(name, ordered, open_, ordered - open_ if open_ <= ordered else 0, PRICES[item], NOW),
            )


def purchases(luck: Random) -> Iterator[Sequence[object]]:
    for number, (warehouse, item) in enumerate([(w, i) for w in ("kiel", "ulm") for i in PRICES], 1):
        created = f"2025-11-{luck.randrange(11, 15)} 10:00"
        # One was due on Friday and did not come; of another the supplier never said when.
        eta = {2: "2025-11-14 12:00", 4: ""}.get(number, f"2025-11-{luck.randrange(17, 20)} 09:00")
        yield f"P{700 + number}", "mill", warehouse, item, luck.randrange(100, 300), created, eta, EARLIER
    yield "P720", "forge", "kiel", "mug", 100, "2025-11-12 10:00", "2025-11-18 09:00", EARLIER
    yield "P721", "mill", "kiel", "mug", 0, "2025-11-12 10:00", "2025-11-18 09:00", EARLIER


def shipments(told: Sequence[Sequence[object]], luck: Random) -> Iterator[Sequence[object]]:
    for number, row in enumerate([row for row in told if row[12] and row[4] in REGIONS][:8]):
        eta = "2025-11-15 12:00" if number == 3 else "2025-11-18 15:00" if number % 2 else ""
        left = ("van", "2025-11-16 16:00", eta, NOW)
        yield f"V{900 + number}", row[0], row[1], row[12], luck.choice(("kiel", "ulm")), *left
    yield "V950", "S99999", 1, 2, "kiel", "van", "2025-11-16 16:00", "", NOW


def main() -> None:
    luck = Random(1)
    FOLDER.mkdir(exist_ok=True)
    told = list(orders(luck))
    write("stock", ("warehouse", "item", "status", "quantity", "reserved", "as_of"), stock(luck))
    head = ("order", "line", "channel", "customer", "region", "criticality", "captured_at", "requested_at")
    write("orders", (*head, "promised_at", "item", "ordered", "open", "shipped", "price", "as_of"), iter(told))
    columns = ("purchase_order", "supplier", "warehouse", "item", "due", "created_at", "eta", "as_of")
    write("purchase_orders", columns, purchases(luck))
    columns = ("shipment", "order", "line", "quantity", "warehouse", "carrier", "shipped_at", "eta", "as_of")
    write("shipments", columns, shipments(told, luck))


if __name__ == "__main__":
    main()
