"""OCEL 2.0 in JSON, of any origin."""

from __future__ import annotations

import gzip
import mmap
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct, field

from adapters.ocel.object_log import ObjectLog, OcelEvent, OcelObject
from adapters.ocel.problems import OcelError, Problems

__all__ = ["Document", "open_document"]

_GZIP: Final = b"\x1f\x8b"
_AGAIN: Final = "export it again"


class _DeclaredAttribute(Struct, frozen=True):
    name: str


class _Declared(Struct, frozen=True):
    name: str
    attributes: tuple[_DeclaredAttribute, ...] = ()


class _Top(Struct, frozen=True):
    object_types: tuple[_Declared, ...] = field(name="objectTypes")
    event_types: tuple[_Declared, ...] = field(name="eventTypes")
    objects: list[Raw]
    events: list[Raw]


_TOP: Final = msgspec.json.Decoder(_Top)
_EVENT: Final = msgspec.json.Decoder(OcelEvent)
_OBJECT: Final = msgspec.json.Decoder(OcelObject)


def open_document(path: Path) -> Document:
    """The file, taken apart into its events and objects. Raises `OcelError` where it is no OCEL 2.0 in JSON."""
    try:
        data = _content(path)
    except FileNotFoundError:
        raise OcelError(f"{path}: there is no such file; check the path") from None
    except IsADirectoryError:
        raise OcelError(f"{path}: is a folder, not a file; give a JSON file of OCEL 2.0") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise OcelError(f"{path}: the gzip stream is cut off or damaged ({error}); fetch it again") from None
    start = bytes(data[:64]).lstrip(b"\xef\xbb\xbf \t\r\n")
    if not start:
        raise OcelError(f"{path}: is empty; {_AGAIN}")
    if start.startswith(b"PAR1"):
        raise OcelError(f"{path}: is Parquet, and OCEL 2.0 is read from JSON, XML and SQLite here; convert it first")
    try:
        return Document(path, _TOP.decode(data))
    except UnicodeDecodeError:
        raise OcelError(f"{path}: is not UTF-8; save it as UTF-8") from None
    except msgspec.ValidationError as error:
        raise OcelError(_no_ocel(path, data, error)) from None
    except msgspec.DecodeError as error:
        text = str(error)
        if "truncated" in text:
            place = f"{path}:{_lines(data, len(data))}"
            raise OcelError(f"{place}: is cut off here: the JSON does not end; fetch it again, or {_AGAIN}") from None
        byte = int(text.rpartition("byte ")[2].rstrip(")")) if "byte " in text else 0
        raise OcelError(f"{path}:{_lines(data, byte)}: is no JSON: {text}; {_AGAIN}") from None


class Document(ObjectLog):
    """A file that has the four lists of OCEL 2.0 in JSON."""

    def __init__(self, path: Path, top: _Top) -> None:
        super().__init__(path, _named(top.object_types), _named(top.event_types))
        self._top = top

    def placed_objects(self, problems: Problems | None) -> Iterator[tuple[str, OcelObject]]:
        """Each object with its place in the list."""
        return self._placed(_OBJECT, "objects", self._top.objects, problems)

    def placed_events(self, problems: Problems | None) -> Iterator[tuple[str, OcelEvent]]:
        """Each event with its place in the list."""
        return self._placed(_EVENT, "events", self._top.events, problems)

    def _placed(
        self, decoder: msgspec.json.Decoder[Any], kind: str, raws: list[Raw], problems: Problems | None
    ) -> Iterator[tuple[str, Any]]:
        for number, raw in enumerate(raws):
            try:
                one = decoder.decode(raw)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                if problems is not None:
                    problems.add(_place(kind, number, ""), f"is not as OCEL 2.0 has it: {error}", _AGAIN)
                continue
            yield _place(kind, number, one.id), one


def _named(declared: tuple[_Declared, ...]) -> dict[str, tuple[str, ...]]:
    return {one.name: tuple(attribute.name for attribute in one.attributes) for one in declared}


def _place(kind: str, number: int, id: str) -> str:
    return f"{kind}[{number}] '{id}'" if id else f"{kind}[{number}]"


def _content(path: Path) -> bytes | mmap.mmap:
    with path.open("rb") as file:
        if file.read(2) == _GZIP:
            with gzip.open(path) as unpacked:
                return unpacked.read()
        file.seek(0, 2)
        # The file is mapped and not read: its events are looked at one by one.
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if file.tell() else b""


def _no_ocel(path: Path, data: bytes | mmap.mmap, error: msgspec.ValidationError) -> str:
    if b'"ocel:' in bytes(data[:4096]):
        return f"{path}: is OCEL 1.0, its names begin with 'ocel:'; convert it to OCEL 2.0 first"
    return (
        f"{path}: is no OCEL 2.0: {error}; such a file is a JSON object with the lists objectTypes, eventTypes, "
        "objects and events"
    )


def _lines(data: bytes | mmap.mmap, end: int) -> int:
    step = 1 << 20
    return 1 + sum(bytes(data[begin : min(begin + step, end)]).count(b"\n") for begin in range(0, end, step))
