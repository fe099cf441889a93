"""Alerts on logs small enough to count by hand, and what they are held against."""

from __future__ import annotations

import msgspec
import pytest

from twin.core import commands as cm
from twin.core import events as ev
from twin.core.effects import AskOrderFacts, Delivery
from twin.core.entry import Entry
from twin.core.master import DeliveryPolicy, Policies
from twin.log import AlertRule, Monitoring, TruthRow
from twin.observability import Alert, FaultTime, alerts_of, detect, faults_of

MINUTE = 60_000
END = 60 * MINUTE


class Traffic:
    """Messages to the ERP, one an order; instants in minutes."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def _add(self, at: float, command: cm.Command, *events: ev.Event, deliveries: tuple[Delivery, ...] = ()) -> None:
        self.entries.append(Entry(len(self.entries) + 1, round(at * MINUTE), command, events, deliveries))

    def ask(self, at: float, key: str, gateway: str = "erp") -> None:
        effect = AskOrderFacts(key, key, 1, 1)
        self._add(at, cm.Wake("x"), deliveries=(Delivery(key, gateway, effect, key),))

    def answer(self, at: float, key: str) -> None:
        self._add(at, cm.AcknowledgeDelivery(f"{key}/a", "erp", 0, key, "succeeded"), ev.DeliverySucceeded(key))

    def fail(self, at: float, key: str) -> None:
        self._add(
            at, cm.AcknowledgeDelivery(f"{key}/f", "erp", 0, key, "failed"), ev.DeliveryFailed(key, 1, "failed", "", 0)
        )

    def bury(self, at: float, key: str) -> None:
        self._add(at, cm.Wake(f"delivery/{key}"), ev.DeliveryDeadLettered(key, 1, "retries used up"))

    def redrive(self, at: float, key: str) -> None:
        effect = AskOrderFacts(key, key, 1, 1)
        again = Delivery(key, "erp", effect, key, attempt=2)
        self._add(
            at,
            cm.RedriveDelivery(f"{key}/r", "desk", 0, key, "ann"),
            ev.DeliveryRedriven(key, "ann"),
            deliveries=(again,),
        )

    def alerts(
        self, *rules: AlertRule, blind: tuple[tuple[int, int], ...] = ()
    ) -> list[tuple[str, str, int, int, int]]:
        """Rule, gateway, raised, cleared (minutes; -1: not) and value."""
        told = tuple((begin * MINUTE, end * MINUTE) for begin, end in blind)
        found = alerts_of(self.entries, Monitoring(rules, blind=told), 0, END)
        return [(one.rule, one.gateway, one.raised_at // MINUTE, one.cleared_at // MINUTE, one.value) for one in found]


def test_a_dead_letter_is_seen_at_the_next_look_and_told_after_the_delay() -> None:  # OB-05
    traffic = Traffic()
    traffic.ask(1, "a")
    traffic.bury(5.5, "a")
    traffic.redrive(20, "a")
    rule = AlertRule("dead", "dead_letters", 0, delay_ms=2 * MINUTE)
    assert traffic.alerts(rule) == [("dead", "erp", 6 + 2, 20 + 2, 1)]


def test_a_dead_letter_that_is_answered_after_all_clears() -> None:
    traffic = Traffic()
    traffic.ask(1, "a")
    traffic.bury(5, "a")
    traffic.answer(9, "a")
    assert traffic.alerts(AlertRule("dead", "dead_letters", 0)) == [("dead", "erp", 5, 9, 1)]


def test_open_messages_are_counted_by_gateway() -> None:
    traffic = Traffic()
    for number in range(3):
        traffic.ask(1, f"e{number}")
        traffic.ask(1, f"s{number}", "supplier/mill")
    traffic.ask(2, "e9")
    traffic.answer(4, "e0")
    rule = AlertRule("open", "open_deliveries", 3)
    assert traffic.alerts(rule) == [("open", "erp", 2, 4, 4)]
    assert traffic.alerts(AlertRule("open", "open_deliveries", 2, "supplier/*")) == [
        ("open", "supplier/mill", 1, -1, 3)
    ]


def test_the_oldest_message_grows_old_without_any_entry() -> None:
    traffic = Traffic()
    traffic.ask(1, "a")
    traffic.ask(8, "b")
    traffic.answer(15, "a")
    rule = AlertRule("age", "queue_age", 10 * MINUTE)
    # At 11 it is 10 min old, not above it.
    assert traffic.alerts(rule) == [("age", "erp", 12, 15, 11 * MINUTE), ("age", "erp", 19, -1, 11 * MINUTE)]


def test_the_error_rate_is_of_the_attempts_that_ended_in_the_window() -> None:
    traffic = Traffic()
    for number, failed in enumerate([0, 1, 1, 0, 0, 0]):
        traffic.ask(number, f"m{number}")
        (traffic.fail if failed else traffic.answer)(number + 0.5, f"m{number}")
    # By look: 1: 0/1, 2: 1/2, 3: 2/2 of the last two minutes, 4: 1/2, 5: 0/2.
    rule = AlertRule("errors", "error_rate", 400_000, window_ms=2 * MINUTE)
    assert traffic.alerts(rule) == [("errors", "erp", 2, 5, 500_000)]
    assert traffic.alerts(msgspec.structs.replace(rule, calls=3)) == []
    assert traffic.alerts(msgspec.structs.replace(rule, above=500_000)) == [("errors", "erp", 3, 4, 1_000_000)]


def test_a_signal_must_last() -> None:
    traffic = Traffic()
    for begin, end in ((1, 3), (10, 20)):
        traffic.ask(begin, f"m{begin}")
        traffic.answer(end, f"m{begin}")
    rule = AlertRule("open", "open_deliveries", 0, lasting_ms=5 * MINUTE)
    assert traffic.alerts(rule) == [("open", "erp", 15, 20, 1)]


def test_in_a_blind_time_nothing_is_seen() -> None:  # OB-05
    traffic = Traffic()
    traffic.ask(5, "gone before it ends")
    traffic.answer(8, "gone before it ends")
    traffic.ask(9, "still there")
    rule = AlertRule("open", "open_deliveries", 0)
    assert [alert[2] for alert in traffic.alerts(rule)] == [5, 9]
    assert traffic.alerts(rule, blind=((4, 12),)) == [("open", "erp", 12, -1, 1)]


def test_messages_that_nobody_answers_are_never_open() -> None:
    traffic = Traffic()
    policies = Policies(delivery=(DeliveryPolicy("erp", acknowledge=False),))
    traffic._add(0, cm.DefinePolicies("p", "s", 0, policies), ev.PoliciesDefined(policies))
    traffic.ask(1, "a")
    assert traffic.alerts(AlertRule("open", "open_deliveries", 0)) == []


def test_no_rule_looks_at_another_gateway() -> None:
    traffic = Traffic()
    traffic.ask(1, "a")
    assert traffic.alerts(AlertRule("open", "open_deliveries", 0, "warehouse/*")) == []


@pytest.mark.parametrize(("field", "value"), [("signal", "mood"), ("window_ms", 0)])
def test_a_rule_that_means_nothing_is_refused(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=r"signal|window"):
        msgspec.structs.replace(AlertRule("r", "error_rate", 1, window_ms=1), **{field: value}).__post_init__()


# --- against the truth


def fault(at: float, kind: str, interface: str = "interface/wms", detail: str = "outage") -> TruthRow:
    return TruthRow(0, round(at * MINUTE), f"fault.{kind}", interface, "", "", 0, detail)


def hit(at: float, interface: str = "interface/wms", detail: str = "outage") -> TruthRow:
    return TruthRow(0, round(at * MINUTE), "fault.hit", "m", interface, "", 1, detail)


def raised(at: float, cleared: float = -1, gateway: str = "warehouse/main", rule: str = "open") -> Alert:
    return Alert(rule, gateway, round(at * MINUTE), 1, -1 if cleared < 0 else round(cleared * MINUTE))


WATCHED = Monitoring(
    (AlertRule("open", "open_deliveries", 0), AlertRule("age", "queue_age", 10 * MINUTE)),
    interfaces={"interface/wms": "warehouse/main"},
)


def test_faults_that_overlap_are_one() -> None:
    truth = [
        fault(1, "began"),
        hit(1),
        fault(2, "began", detail="slow latency"),
        hit(2, detail="slow latency"),
        fault(3, "ended"),
        fault(5, "ended", detail="slow latency"),
        fault(7, "began", "interface/portal"),
        hit(7, "interface/portal"),
        fault(8, "began"),
        hit(8),
    ]
    assert faults_of(truth, WATCHED.interfaces) == [
        FaultTime("warehouse/main", MINUTE, "outage, slow latency", 5 * MINUTE),
        FaultTime("interface/portal", 7 * MINUTE, "outage"),
        FaultTime("warehouse/main", 8 * MINUTE, "outage"),
    ]


def test_what_hit_nothing_is_no_failure() -> None:  # OB-07
    truth = [
        # Of no size; of another interface; before another fault of the same interface, which does hit.
        fault(1, "began", detail="small loss"),
        fault(2, "began", "interface/portal"),
        fault(3, "began"),
        hit(4),
        fault(5, "ended"),
        fault(6, "ended", detail="small loss"),
        fault(6, "ended", "interface/portal"),
        # The same fault comes again, and then hits nothing.
        fault(7, "began"),
        fault(8, "ended"),
        # Customers are no gateway, and a warehouse that closes fails whoever calls.
        fault(9, "began", "channel/web", "more demand_spike"),
        fault(10, "began", "warehouse/main", "shut warehouse_closed"),
    ]
    assert faults_of(truth, WATCHED.interfaces) == [
        FaultTime("warehouse/main", 3 * MINUTE, "outage", 5 * MINUTE),
        FaultTime("warehouse/main", 10 * MINUTE, "shut warehouse_closed"),
    ]


def test_a_fault_is_detected_by_its_first_alert_missed_without_one_and_other_alerts_are_false() -> None:  # OB-05, OB-07
    faults = [
        FaultTime("warehouse/main", 10 * MINUTE, "outage", 20 * MINUTE),
        FaultTime("erp", 10 * MINUTE, "outage", 20 * MINUTE),
        FaultTime("warehouse/main", 40 * MINUTE, "outage", 50 * MINUTE),
    ]
    alerts = [
        raised(5, 9),
        raised(13, 25),
        raised(14, 15),
        raised(30, 45),
        raised(12, gateway="supplier/mill"),
    ]
    found = detect(alerts, faults, WATCHED)
    assert [(fault.began_at // MINUTE, alert.raised_at // MINUTE) for fault, alert in found.detected] == [
        (10, 13),
        (40, 30),
    ]
    assert found.delays == [3 * MINUTE, 0]
    assert found.missed == [faults[1]]
    assert found.false_alarms == [alerts[0], alerts[4]]


@pytest.mark.parametrize(
    ("at", "rule", "false"), [(21, "open", False), (22, "open", True), (31, "age", False), (32, "age", True)]
)
def test_an_alert_may_come_so_late_after_a_fault_as_its_rule_takes(at: float, rule: str, false: bool) -> None:
    faults = [FaultTime("warehouse/main", 10 * MINUTE, "outage", 20 * MINUTE)]
    assert bool(detect([raised(at, rule=rule)], faults, WATCHED).false_alarms) is false
