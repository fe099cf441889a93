"""The rules of a channel and of the release, carried through the world to the customer."""

from __future__ import annotations

from tests.world.stage import DAY, HOUR, MILL, MINUTE, Stage, shipped_orders, tiny, told_at
from twin.core.events import GoodsShipped


def test_a_channel_that_ships_complete_waits_for_its_last_line() -> None:  # OL-06
    more = {
        "items": [{"id": "cup", "price": "1 GBP", "cost": "1 GBP"}],
        "stock": [{"warehouse": "main", "item": "mug", "on_hand": 20}],
        "channels": [{"id": "web", "fulfillment": "complete"}],
    }
    rule = {"warehouse": "main", "item": "cup", "supplier": "mill", "kind": "to_order"}
    stage = Stage(tiny({**MILL, **more, "policies": {"replenishment": [rule]}}))
    stage.order("o1", {"mug": 2, "cup": 3}, at=HOUR)
    stage.run(6 * DAY)
    ((_, shipped),) = stage.events(GoodsShipped)
    assert shipped.lines == ((1, 2), (2, 3))
    assert told_at(stage)[0] > 2 * DAY
    partial = Stage(tiny({**MILL, **more, "channels": [{"id": "web"}], "policies": {"replenishment": [rule]}}))
    partial.order("o1", {"mug": 2, "cup": 3}, at=HOUR)
    partial.run(6 * DAY)
    assert [event.lines for _, event in partial.events(GoodsShipped)] == [((1, 2),), ((2, 3),)]


def test_safety_stock_is_hidden_from_its_channel_and_open_to_another() -> None:
    channels = [
        {"id": "web", "safety_stock": 190},
        {"id": "shop", "style": "inside_sales", "requested": "2d", "demand": {"kind": "none"}},
    ]
    stage = Stage(tiny({"channels": channels}))
    stage.order("hidden", {"mug": 11}, at=HOUR)
    stage.run(DAY)
    assert [(event.order, event.lines) for _, event in stage.events(GoodsShipped)] == [("hidden", ((1, 10),))]
    stage.order("seen", {"mug": 190}, at=DAY, channel="shop")
    stage.run(2 * DAY)
    assert sum(event.lines[0][1] for _, event in stage.events(GoodsShipped) if event.order == "seen") == 190
    assert (stage.physical(), stage.account().open.units) == (0, 1)


def test_waves_release_at_their_times_and_not_between() -> None:
    waves = {"release": {"kind": "waves", "at": ["08:00", "15:00"]}}
    stage = Stage(tiny({"policies": waves}))
    for number in range(24):
        stage.order(f"o{number}", at=number * HOUR + 30 * MINUTE)
    stage.run(2 * DAY)
    times = told_at(stage)
    assert len(times) == 24
    assert sorted(dict.fromkeys(times)) == [8 * HOUR + 1, 15 * HOUR + 1, DAY + 8 * HOUR + 1]
    assert [times.count(at) for at in sorted(dict.fromkeys(times))] == [8, 7, 9]


def test_the_reservation_of_a_held_order_expires_and_its_stock_serves_another() -> None:
    stock = [{"warehouse": "main", "item": "mug", "on_hand": 5}]
    stage = Stage(tiny({"stock": stock, "policies": {"reservation": {"expiry": "24h"}}}))
    stage.order("held", {"mug": 5}, at=0, hold=True)
    stage.order("early", {"mug": 5}, at=HOUR)
    stage.run(DAY - HOUR)
    assert stage.events(GoodsShipped) == []
    stage.run(2 * DAY)
    assert shipped_orders(stage) == ["early"]
    stage.release_hold("held", at=3 * DAY)
    stage.run(5 * DAY)
    # Too late: its units wait, and can be seen waiting.
    assert stage.account().open.units == 5
    assert stage.cell().backordered == 5
    stage.check_books()


def test_a_hold_before_the_wave_keeps_an_order_from_the_floor() -> None:
    stage = Stage(tiny({"policies": {"release": {"kind": "waves", "at": ["08:00"]}}}))
    stage.order("goes")
    stage.order("stays")
    stage.hold("stays", at=HOUR)
    stage.run(DAY)
    assert shipped_orders(stage) == ["goes"]
    stage.release_hold("stays", at=DAY + HOUR)
    stage.run(2 * DAY)
    assert shipped_orders(stage) == ["goes", "stays"]
    stage.check_books()
