"""Object-centric event logs (OCEL 2.0 in JSON, XML or SQLite): read and looked at, and runs of this project read back.

    survey = open_object_log(path).survey(problems)
    run = read_recorded(path)

docs/export.md tells what is written and what comes back.
"""

from __future__ import annotations

from adapters.ocel.object_log import ObjectLog, OcelEvent, OcelObject, Relation, Survey
from adapters.ocel.opening import open_object_log
from adapters.ocel.problems import OcelError, Problems
from adapters.ocel.recorded import RecordedRun, read_recorded

__all__ = [
    "ObjectLog",
    "OcelError",
    "OcelEvent",
    "OcelObject",
    "Problems",
    "RecordedRun",
    "Relation",
    "Survey",
    "open_object_log",
    "read_recorded",
]
