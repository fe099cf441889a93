"""A small order book and the business that replays it, written by code: no sample data is needed."""

from __future__ import annotations

from pathlib import Path

__all__ = ["small_book"]

START_DAY = 17
"""Of November 2025, a Monday: the run's first day; demand lasts six days."""

SCENARIO = """\
schema: 1
extends: minimal.yaml
title: A small book
run: {start: 2025-11-17T00:00Z, horizon: 6d, drain: 14d, seed: 1}
policies: {returns: {window: 1d}}
channels:
  - {id: web, demand: {kind: book}}
  - {id: shop, style: inside_sales, requested: 2d, on_shortage: reject, demand: {kind: book}}
items:
  - {id: bowl, price: 7.00 GBP, cost: 3.00 GBP}
  - {id: mug, price: 4.50 GBP, cost: 2.00 GBP}
stock:
  - {warehouse: main, item: mug, on_hand: 400}
  - {warehouse: main, item: bowl, on_hand: 20}
order_book:
  source: csv
  path: orders.csv
  mapping:
    order: order
    sku: sku
    quantity: quantity
    at: {column: at, format: iso, timezone: UTC}
    price: price
    customer: customer
    cancel_prefix: C
    non_products: {POST: postage}
    channels: [{channel: web, customer: missing}, {channel: shop}]
    regions: {default: home}
"""


def _rows() -> list[str]:
    rows = ["A0,mug,3,2025-11-16 09:00,4.50,ann,UK"]  # before the run
    for number in range(1, 25):
        day, hour = START_DAY + (number - 1) // 4, 8 + 2 * (number % 4 or 4)
        at, customer = f"2025-11-{day} {hour:02}:00", ("", "ann", "bob")[number % 3]
        rows.append(f"A{number},mug,{1 + number % 5},{at},4.50,{customer},UK")
        rows.append(f"A{number},bowl,{1 + number % 2},{at},7.00,{customer},UK")
        if number % 6 == 1:
            rows.append(f"A{number},POST,1,{at},3.00,{customer},UK")
        if number % 8 == 2 and customer:
            rows.append(f"C{number},mug,-1,2025-11-{day} {hour:02}:30,4.50,{customer},UK")
        if number % 8 == 7 and customer:
            rows.append(f"C{number},bowl,-1,2025-11-{day} {hour:02}:45,7.00,{customer},UK")
        if number == 5:
            rows.append("C900,mug,-2,2025-11-18 10:40,4.50,eve,UK")  # bought nothing here
        if number % 10 == 3:
            rows.append(f"D{number},mug,-{number},2025-11-{day} {hour:02}:50,0,,UK")  # written off
    rows.append("A25,mug,2,2025-11-23 09:00,4.50,bob,UK")  # after the demand
    rows.append("A26,bowl,1,2025-11-24 09:00,7.00,bob,UK")
    return rows


def small_book(folder: Path, minimal: Path) -> Path:
    """The scenario file, with its book of about sixty lines, in `folder`; it extends the file `minimal`."""
    (folder / "minimal.yaml").write_text(minimal.read_text(encoding="utf-8"), encoding="utf-8")
    rows = "\n".join(["order,sku,quantity,at,price,customer,country", *_rows()])
    (folder / "orders.csv").write_text(rows + "\n", encoding="utf-8")
    path = folder / "small_book.yaml"
    path.write_text(SCENARIO, encoding="utf-8")
    return path
