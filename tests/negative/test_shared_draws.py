"""A planted draw from shared state must be caught by the test of independent draws."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.world import test_draws
from twin.streams import Distribution, Series, Streams


def test_a_carrier_that_draws_from_one_shared_stream_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keyed = Streams.draw
    shared: dict[int, Series] = {}

    def draw(streams: Streams, distribution: Distribution, *key: Any) -> int:
        if key[0] == "transit":
            # The planted bug: whoever comes first gets the next number, whatever it is for.
            return shared.setdefault(streams.seed, streams.series("shared")).draw(distribution)
        return keyed(streams, distribution, *key)

    monkeypatch.setattr(Streams, "draw", draw)
    with pytest.raises(AssertionError):
        test_draws.test_an_unrelated_warehouse_and_item_leave_every_demand_and_transit_draw_as_it_was(tmp_path)


def test_demand_drawn_from_a_stream_that_all_channels_share_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared: dict[tuple[int, int], Series] = {}
    own = Streams.series

    def series(streams: Streams, name: str) -> Series:
        if name.startswith("demand/"):
            return shared.setdefault((id(streams), streams.seed), own(streams, "demand"))
        return own(streams, name)

    monkeypatch.setattr(Streams, "series", series)
    with pytest.raises(AssertionError):
        test_draws.test_a_spiking_channel_leaves_the_demand_of_the_others_as_it_was(tmp_path)
