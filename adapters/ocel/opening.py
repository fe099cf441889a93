"""An OCEL 2.0 file of any form, told apart by its content."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Final

from adapters.ocel.document import open_document
from adapters.ocel.object_log import ObjectLog
from adapters.ocel.problems import OcelError
from adapters.ocel.sqlite_file import open_sqlite
from adapters.ocel.xml_file import open_xml

__all__ = ["open_object_log"]

_SQLITE: Final = b"SQLite format 3\0"
_GZIP_WINDOW: Final = 31
_HEAD: Final = 512


def open_object_log(path: Path) -> ObjectLog:
    """The log in a file of JSON, XML (both plain or gzipped) or SQLite. Raises `OcelError` where it is none."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except FileNotFoundError:
        raise OcelError(f"{path}: there is no such file; check the path") from None
    except IsADirectoryError:
        raise OcelError(f"{path}: is a folder, not a file; give a file of OCEL 2.0") from None
    if head.startswith(_SQLITE):
        return open_sqlite(path)
    if head[:2] == b"\x1f\x8b":
        try:
            head = zlib.decompressobj(_GZIP_WINDOW).decompress(head, _HEAD)
        except zlib.error as error:
            raise OcelError(f"{path}: the gzip stream is cut off or damaged ({error}); fetch it again") from None
        if head.startswith(_SQLITE):
            raise OcelError(f"{path}: is a gzipped SQLite database; unpack it first")
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return open_xml(path)
    return open_document(path)
