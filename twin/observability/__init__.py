"""What the log alone tells about interfaces: figures, blast radius, lineage, a queue checker, and alerts."""

from __future__ import annotations

from twin.observability.alerts import Alert, Monitor, alerts_of
from twin.observability.blast import (
    BlastRadius,
    Score,
    ScoredBlast,
    Touched,
    blast_radius,
    hits_of,
    score,
    scored_blast_radius,
)
from twin.observability.calls import Calls, Message, Step
from twin.observability.dead_letters import DeadLetter, dead_letters_of
from twin.observability.detection import Detection, FaultTime, detect, faults_of
from twin.observability.interfaces import Histogram, Inbound, InterfaceFigures, Outbound, Slo, interface_figures
from twin.observability.lineage import Link, Owner, lineage, lineage_of_entries
from twin.observability.total_queue import QueueFold, TotalQueue, total_queue

__all__ = [
    "Alert",
    "BlastRadius",
    "Calls",
    "DeadLetter",
    "Detection",
    "FaultTime",
    "Histogram",
    "Inbound",
    "InterfaceFigures",
    "Link",
    "Message",
    "Monitor",
    "Outbound",
    "Owner",
    "QueueFold",
    "Score",
    "ScoredBlast",
    "Slo",
    "Step",
    "TotalQueue",
    "Touched",
    "alerts_of",
    "blast_radius",
    "dead_letters_of",
    "detect",
    "faults_of",
    "hits_of",
    "interface_figures",
    "lineage",
    "lineage_of_entries",
    "score",
    "scored_blast_radius",
    "total_queue",
]
