"""Draws that follow from a key alone: what is to be spread in time is spread alike in every replay."""

from __future__ import annotations

from hashlib import blake2b

__all__ = ["share"]


def share(whole: int, key: str, number: int) -> int:
    """A part of `whole`, from 0 up to but not including it, evenly spread over keys and numbers."""
    digest = blake2b(f"{key}#{number}".encode(), digest_size=8).digest()
    return (whole * int.from_bytes(digest, "big")) >> 64
