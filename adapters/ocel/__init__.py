"""Object-centric event logs (OCEL 2.0 in JSON): read and looked at, of any origin, and runs of this project read back.

    survey = open_document(path).survey(problems)
    run = read_recorded(path)

docs/export.md tells what is written and what comes back.
"""

from __future__ import annotations

from adapters.ocel.document import Document, OcelEvent, OcelObject, Relation, Survey, open_document
from adapters.ocel.problems import OcelError, Problems
from adapters.ocel.recorded import RecordedRun, read_recorded

__all__ = [
    "Document",
    "OcelError",
    "OcelEvent",
    "OcelObject",
    "Problems",
    "RecordedRun",
    "Relation",
    "Survey",
    "open_document",
    "read_recorded",
]
