"""Small order books, and the mapping that docs/order_book.md shows."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]
REAL = ROOT.parent / "shared" / "data" / "online_retail" / "orders_2010-03_2010-04.csv.gz"
HEADER = "Invoice,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID,Country"

needs_real_book = pytest.mark.skipif(
    not REAL.exists(), reason="the Online Retail sample is not beside the project (shared/data/online_retail)"
)


def documented_mapping() -> dict[str, Any]:
    """A fresh copy of the mapping in docs/order_book.md."""
    page = (ROOT / "docs" / "order_book.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(order: .*?)```", page, re.DOTALL)
    mapping: dict[str, Any] = YAML(typ="safe").load(block)
    return mapping


def line(
    order: str,
    sku: str = "22423",
    quantity: object = 6,
    price: object = "2.95",
    customer: str = "17850",
    at: str = "2010-03-01 08:38:00",
    country: str = "United Kingdom",
    description: str = "CAKESTAND",
) -> list[str]:
    """One row under `HEADER`."""
    return [order, sku, description, str(quantity), at, str(price), customer, country]


def text_of(*rows: list[str]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return f"{HEADER}\n{out.getvalue()}"


def write(folder: Path, *rows: list[str], name: str = "book.csv") -> Path:
    path = folder / name
    path.write_text(text_of(*rows), encoding="utf-8")
    return path
