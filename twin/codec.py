"""Entries, states and digests as bytes: one canonical form, the same on any machine and in either driver."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

import msgspec

from twin.core.entry import Entry
from twin.core.state import State

__all__ = [
    "DIGEST_BYTES",
    "FORMAT",
    "GENESIS",
    "CodecError",
    "decode_entry",
    "decode_state",
    "encode_entry",
    "encode_state",
    "link",
]

FORMAT: Final = 1
"""Version of the stored entries and snapshots; a snapshot of another version is refused."""

DIGEST_BYTES: Final = 16
GENESIS: Final = bytes(DIGEST_BYTES)
"""The digest before the first entry."""

_ENTRY: Final = msgspec.json.Encoder()
_ENTRY_DECODER: Final = msgspec.json.Decoder(Entry)
_STATE: Final = msgspec.msgpack.Encoder()


class _Snapshot(msgspec.Struct):
    format: int
    state: State


_STATE_DECODER: Final = msgspec.msgpack.Decoder(_Snapshot)


class CodecError(ValueError):
    """Stored bytes that cannot be read: damaged, or from another version."""


def encode_entry(entry: Entry) -> bytes:
    """The entry as JSON; field order is fixed, defaults are left out."""
    return _ENTRY.encode(entry)


def decode_entry(data: bytes | str) -> Entry:
    """The entry back from its JSON. Raises `CodecError`."""
    try:
        return _ENTRY_DECODER.decode(data)
    except msgspec.MsgspecError as error:
        raise CodecError(f"an entry that cannot be read: {error}") from error


def link(previous: bytes, encoded: bytes) -> bytes:
    """The digest chain: h(n) = blake2b(h(n-1), entry n)."""
    return blake2b(encoded, key=previous, digest_size=DIGEST_BYTES).digest()


def encode_state(state: State) -> bytes:
    """The engine's snapshot in msgpack; insertion order is kept, since the order of equals is part of the state."""
    return _STATE.encode(_Snapshot(FORMAT, state))


def decode_state(data: bytes) -> State:
    """The state back from its snapshot. Raises `CodecError` where it is damaged or of another version."""
    try:
        head = msgspec.msgpack.decode(data)
        if not isinstance(head, dict) or head.get("format") != FORMAT:
            raise CodecError(
                f"a snapshot of format {head.get('format') if isinstance(head, dict) else '?'}, not {FORMAT}"
            )
        return _STATE_DECODER.decode(data).state
    except msgspec.MsgspecError as error:
        raise CodecError(f"a snapshot that cannot be read: {error}") from error
