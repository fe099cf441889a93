"""What every page that people forward is held to."""

from __future__ import annotations

import re

__all__ = ["reaches_out"]


def reaches_out(page: str) -> list[str]:
    """All by which a page would ask the network for something, or run a script."""
    found = [address for address in re.findall(r"https?://[^\s\"'<>]+", page) if not address.endswith("/1999/xlink")]
    found += re.findall(r"<(?:script|link|iframe|img|object|embed|base)\b|@import|\bsrc=|\bon\w+=", page)
    targets = re.findall(r"href=\"([^\"]*)\"", page) + re.findall(r"url\(([^)]*)\)", page)
    return found + [target for target in targets if not target.startswith("#")]
