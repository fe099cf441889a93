"""What must fit together between interfaces, what goes wrong at them, and how the engine sends its messages."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final, cast, get_args

from twin.core.commands import External
from twin.core.effects import Effect
from twin.scenario.delivery import GatewayKind
from twin.scenario.errors import Path, choices
from twin.scenario.faults import (
    Auth,
    BadAddress,
    BadMasterData,
    ClockSkew,
    ConsumerCrash,
    DoubledFile,
    Duplicate,
    Error,
    Fault,
    LateFile,
    Latency,
    Loss,
    Outage,
    PartialFile,
    Poison,
    RateLimited,
    RedriveStorm,
    Reorder,
    ReplyLate,
    ReplyLost,
    SchemaDrift,
    StaleSnapshot,
    WrongAnswer,
)
from twin.scenario.interfaces import Interface
from twin.scenario.units import format_duration

if TYPE_CHECKING:
    from twin.scenario.model import Scenario

__all__ = ["interface_misfits"]

CUT_OFFS_MAX: Final = 1_000_000
"""Times that a fault may begin before a cut-off: all are set on the clock beforehand."""
REGISTER = ("owner", "criticality", "slo", "version", "contract")
"""Keys of an interface that no run depends on."""
CALLS = tuple(str(kind.__struct_config__.tag) for kind in get_args(Effect))
"""Types of messages to partners; each begins with the partner's kind, but that the ERP may hold the inventory."""
REPLIES = tuple(str(kind.__struct_config__.tag) for kind in get_args(External))
"""Types of messages from them, and some that only others send; those of one partner begin with its kind, but for
these."""
OTHER_REPLIES: dict[str, tuple[GatewayKind, ...]] = {
    "stock.adjust": ("warehouse",),
    "stock.count": ("warehouse",),
    "credit.issue": ("erp",),
    "items.define": ("erp",),
    "network.define": ("erp",),
    "replenishment.define": ("erp",),
    "delivery.acknowledge": ("warehouse", "supplier", "erp", "marketplace", "carrier", "inventory"),
}
ASKED = "partner.ask_status"
"""What a partner that is supervised is asked, and what it answers."""
REPORTED = "partner.report_status"


def interface_misfits(scenario: Scenario) -> list[tuple[Path, str]]:
    """Interfaces and faults that could have no effect, or one that nobody would hear of, by their path."""
    return [*_unheard(scenario), *_idle(scenario)]


def _kind(interface: Interface) -> GatewayKind:
    return cast(GatewayKind, interface.to.partition("/")[0])


def _answered(scenario: Scenario, interface: Interface) -> bool:
    return scenario.policies.delivery.of(_kind(interface)).acknowledge


def _at(fault: Fault, interface: Interface) -> bool:
    return fnmatchcase(interface.id, fault.interface)


def _turns_away(fault: Fault) -> bool:
    match fault:
        case Outage():
            return fault.calls == "turned_away"
        case Error():
            return fault.class_ != "unknown"
        case SchemaDrift():
            return fault.misread_by is None
        case BadAddress():
            return fault.defect == "missing"
        case _:
            return isinstance(fault, Poison | RateLimited | Auth)


def _unheard(scenario: Scenario) -> Iterator[tuple[Path, str]]:
    """Interfaces that may turn calls away from senders who do not wait for an answer: the call would be lost."""
    for index, interface in enumerate(scenario.interfaces):
        if _answered(scenario, interface):
            continue
        own = interface.queue.bound is not None or interface.rate_limit is not None or interface.token is not None
        rollout = interface.rollout
        own = own or (rollout is not None and rollout.of == "calls" and rollout.reads != "any")
        if own or any(_at(fault, interface) and _turns_away(fault) for fault in scenario.faults):
            yield (
                ("interfaces", index),
                f"interface '{interface.id}' may turn calls away, and nobody would know: "
                f"policies.delivery.{_kind(interface)} waits for no answer; set acknowledge: true there",
            )


def _idle(scenario: Scenario) -> Iterator[tuple[Path, str]]:
    """What stands at an interface or as a fault and could have no effect."""
    for index, interface in enumerate(scenario.interfaces):
        plain = Interface(id=interface.id, to=interface.to, **{key: getattr(interface, key) for key in REGISTER})
        if interface.rollout is not None and interface.rollout.of == "reports":
            plain = plain.model_copy(update={"rollout": interface.rollout})
        if _uncalled(scenario, interface) and interface != plain:
            given = ", ".join(key for key in type(plain).model_fields if getattr(plain, key) != getattr(interface, key))
            yield (
                ("interfaces", index),
                f"interface '{interface.id}' has a use for {', '.join(REGISTER)} only, since no calls go to carriers "
                f"unless they are supervised; give policies.delivery.carrier.supervise, or leave {given} out",
            )
        if interface.queue.expired == "dropped" and not _answered(scenario, interface):
            yield (
                ("interfaces", index),
                f"interface '{interface.id}' drops what has expired, and nothing does: "
                f"policies.delivery.{_kind(interface)} waits for no answer; set acknowledge: true there, "
                "or leave expired out",
            )
        elif interface.queue.expired == "dropped" and interface.style in ("event", "edi"):
            yield (
                ("interfaces", index),
                f"interface '{interface.id}' drops what has expired, and nothing does: style {interface.style} answers "
                "a call before it waits; leave expired out",
            )
    length = scenario.run.end - scenario.run.start
    for index, interface in enumerate(scenario.interfaces):
        rollout = interface.rollout
        if rollout is not None and min(rollout.sender.from_, rollout.reader.from_) >= length:
            text = f"rollout: nobody goes over to '{rollout.to}' before the run is over at {format_duration(length)}"
            yield (("interfaces", index, "rollout"), f"{text}; let it begin earlier")
    for index, fault in enumerate(scenario.faults):
        if fault.from_ >= length:
            yield (
                ("faults", index, "from"),
                f"from: the {fault.kind} begins at {format_duration(fault.from_)}, and the run is over at "
                f"{format_duration(length)}; let it begin earlier",
            )
        where = [interface for interface in scenario.interfaces if _at(fault, interface)]
        types = _types(scenario, fault, where)
        if types and not any(fnmatchcase(type, fault.endpoint) for type in types):
            yield (("faults", index, "endpoint"), choices("endpoint", "endpoints", fault.endpoint, types))
        files = min((interface.batch.every for interface in where if interface.batch), default=length)
        if fault.when is not None and fault.when.at_cut_off is not None and length // files > CUT_OFFS_MAX:
            text = f"when: there are more than {CUT_OFFS_MAX} files in the run; let them go less often"
            yield (("faults", index), text)
        why = _no_effect(scenario, fault, where)
        if why:
            yield (("faults", index), f"this {fault.kind} has no effect: {why}")


def _hits_replies(fault: Fault) -> bool:
    if isinstance(fault, Outage | Latency | Reorder | Loss | Duplicate):
        return fault.direction == "reply"
    if isinstance(fault, LateFile | PartialFile | DoubledFile):
        return fault.file == "reports"
    return isinstance(fault, ClockSkew | WrongAnswer | SchemaDrift | BadMasterData)


def _types(scenario: Scenario, fault: Fault, where: list[Interface]) -> list[str]:
    """Types of messages that pass these interfaces, in the direction of the fault."""
    kinds = [_kind(interface) for interface in where]
    if "erp" in kinds and scenario.inventory is not None and scenario.inventory.held_by == "erp":
        kinds.append("inventory")
    supervised = any(scenario.policies.delivery.of(kind).supervise is not None for kind in kinds)
    types = [type for type in CALLS if type.partition(".")[0] in kinds]
    types += [ASKED] if supervised else []
    if not _hits_replies(fault):
        return types
    own = [type for type in REPLIES if type.partition(".")[0] in kinds]
    called = [_kind(interface) for interface in where if not _uncalled(scenario, interface)]
    own += [type for type, senders in OTHER_REPLIES.items() if any(kind in called for kind in senders)]
    return types + own + ([REPORTED] if supervised else [])


def _uncalled(scenario: Scenario, interface: Interface) -> bool:
    """Whether no calls go to the partner: a carrier that is not supervised only reports."""
    return not scenario.policies.delivery.calls(_kind(interface))


def _no_effect(scenario: Scenario, fault: Fault, where: list[Interface]) -> str:
    """Why a fault at these interfaces does nothing, with what to do about it; empty if it may do something."""
    if not _hits_replies(fault) and all(_uncalled(scenario, interface) for interface in where):
        return (
            "no calls go to carriers unless they are supervised, they only report; give direction: reply where there "
            "is one, or policies.delivery.carrier.supervise"
        )
    silent = isinstance(fault, ReplyLost | ReplyLate) or (
        isinstance(fault, ConsumerCrash) and fault.at == "after_commit" and not fault.forgets
    )
    if silent and not any(_answered(scenario, interface) for interface in where):
        kinds = " and ".join(dict.fromkeys(_kind(interface) for interface in where))
        return f"no answer is waited for; set acknowledge: true in policies.delivery.{kinds}"
    dated = isinstance(fault, WrongAnswer) or (isinstance(fault, SchemaDrift) and fault.misread_by is not None)
    dating = [f"supplier/{supplier.id}" for supplier in scenario.suppliers if supplier.acknowledgement is not None]
    if dated and not any(interface.to in dating for interface in where):
        return "no supplier there acknowledges purchase orders with a date; give one an acknowledgement"
    if isinstance(fault, BadMasterData):
        if scenario.master_data is None or not any(interface.to == "erp" for interface in where):
            return "no records come from there; give the scenario master_data, and the interface of the ERP"
        sync = scenario.master_data.sync
        if not scenario.master_data.changes and not (sync.every and sync.sends == "all"):
            return "no record is ever sent; give master_data changes, or a sync with sends: all"
        if fault.tenant is not None:
            return "a record is of no tenant; leave tenant out"
    if isinstance(fault, BadAddress) and not any(_kind(interface) == "warehouse" for interface in where):
        return "no warehouse ships there; name the interface of one"
    if isinstance(fault, LateFile | PartialFile | DoubledFile):
        batches = [interface.batch for interface in where if interface.batch is not None]
        if not any(batch.carries in (fault.file, "both") for batch in batches):
            return f"no interface there sends {fault.file} in files; give one style: batch that carries them"
    counted = [f"warehouse/{site.id}" for site in scenario.warehouses if site.counting is not None]
    if isinstance(fault, StaleSnapshot) and not any(interface.to in counted for interface in where):
        return "no warehouse there counts its stock; give one counting"
    if fault.when is not None and fault.when.at_cut_off is not None:
        trucks = [f"warehouse/{site.id}" for site in scenario.warehouses if site.pickups]
        if not any(interface.batch or interface.to in trucks for interface in where):
            return "nothing there has a cut-off; a warehouse with pickups has, and a batch"
    if isinstance(fault, LateFile | DoubledFile) and fault.endpoint != "*":
        return "a file is late or doubled as a whole; leave endpoint out"
    whole = isinstance(fault, LateFile | DoubledFile) or (isinstance(fault, PartialFile) and fault.missing == "tail")
    if whole and fault.tenant is not None:
        return "it hits a file as a whole, not the messages of one tenant; leave tenant out"
    if isinstance(fault, PartialFile) and fault.missing == "tail" and fault.endpoint != "*":
        return "a file is cut off for all messages behind; leave endpoint out"
    if isinstance(fault, RedriveStorm) and not any(_answered(scenario, interface) for interface in where):
        kinds = " and ".join(dict.fromkeys(_kind(interface) for interface in where))
        return f"without answers there are no dead letters; set acknowledge: true in policies.delivery.{kinds}"
    if isinstance(fault, ConsumerCrash) and fault.forgets and not any(interface.dedupe for interface in where):
        return "there is no memory to forget with dedupe: off; leave forgets out"
    return ""
