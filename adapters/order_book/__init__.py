"""Order books from CSV (plain or gzipped) and Parquet, by a mapping of columns and stated rules.

    book = load(Path("orders.csv.gz"), {"order": "Invoice", "sku": "StockCode", ...})

docs/order_book.md has a whole mapping and the rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adapters.order_book.documents import read_documents
from adapters.order_book.mapping import OrderBookMapping, read_mapping
from adapters.order_book.treatment import build_book
from twin.order_book import OrderBook, OrderBookError, Progress, check_accounts

__all__ = ["OrderBook", "OrderBookError", "OrderBookMapping", "load", "read_mapping"]


def load(path: Path, mapping: OrderBookMapping | Mapping[str, Any], progress: Progress | None = None) -> OrderBook:
    """The book in `path`, each read line under exactly one named rule and counted.

    `progress` is called with (done, total): bytes of a CSV file, rows of a Parquet file. Raises
    `OrderBookError` (place, problem, remedy) for a file or mapping that cannot be used; nothing is
    returned of a book that is wrong anywhere.
    """
    checked = read_mapping(mapping)
    path = Path(path)
    book = build_book(path.name, read_documents(path, checked, progress), checked)
    check_accounts(book)
    return book
