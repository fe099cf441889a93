"""What outside services decided in a run, beside its log: with it the run repeats while the services are off."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

import msgspec
from msgspec import Struct

from twin.decisions import (
    About,
    Answer,
    Decider,
    DecisionFailed,
    PromiseAnswer,
    Question,
    ReleaseAnswer,
    ServiceRefused,
    SourcingAnswer,
    digest_of,
)

__all__ = ["DECISIONS", "Recorded", "Recorder", "Recording"]

DECISIONS: Final = "decisions.jsonl"
ROWS_MAX: Final = 1_000
"""Rows that are written together."""


class Kept(Struct, frozen=True, omit_defaults=True, tag="decision"):
    """One question by its name and digest, and its answer, or how it failed."""

    service: str
    request: str
    question: str
    sourcing: SourcingAnswer | None = None
    promise: PromiseAnswer | None = None
    release: ReleaseAnswer | None = None
    outcome: Literal["failed", "refused", ""] = ""
    reason: str = ""


class _Head(Struct, frozen=True, tag="about"):
    """What a service said of itself; before all that it decided."""

    service: str
    about: About


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(Kept | _Head)


class Recorder:
    """Writes down what the services of one run decide, after what a run that it goes on from has written down.

    `asked` are the services, `deciders` the same with their answers written down.
    """

    def __init__(self, folder: Path, deciders: Mapping[str, Decider]) -> None:
        self._path = folder / DECISIONS
        self._rows: list[bytes] = []
        self.asked = dict(deciders)
        self.deciders: dict[str, Decider] = {
            name: Recording(name, decider, self) for name, decider in sorted(deciders.items())
        }
        if not self._path.exists():
            for name, decider in self.deciders.items():
                self.write(_Head(name, decider.about))

    def write(self, row: Kept | _Head) -> None:
        """Add a row; it is on disk after the next flush."""
        self._rows.append(_ENCODER.encode(row) + b"\n")
        if len(self._rows) >= ROWS_MAX:
            self.flush()

    def flush(self) -> None:
        """Put on disk what there is so far."""
        if self._rows:
            with self._path.open("ab") as file:
                file.writelines(self._rows)
            self._rows = []


class Recording:
    """A decider whose answers are written down."""

    def __init__(self, name: str, decider: Decider, recorder: Recorder) -> None:
        self._name = name
        self._decider = decider
        self._recorder = recorder

    @property
    def about(self) -> About:
        """What the decider says of itself."""
        return self._decider.about

    def decide(self, question: Question) -> Answer:
        """The decider's answer, or its failure, kept."""
        digest = digest_of(question)
        try:
            answer = self._decider.decide(question)
        except DecisionFailed as failed:
            self._recorder.write(
                Kept(self._name, question.request, digest, outcome=failed.outcome, reason=failed.reason)
            )
            raise
        sourcing = answer if isinstance(answer, SourcingAnswer) else None
        promise = answer if isinstance(answer, PromiseAnswer) else None
        release = answer if isinstance(answer, ReleaseAnswer) else None
        self._recorder.write(Kept(self._name, question.request, digest, sourcing, promise, release))
        return answer

    def reset(self, seed: int) -> None:
        """Reset the decider."""
        self._decider.reset(seed)

    def close(self) -> None:
        """Close the decider."""
        self._decider.close()


class Recorded:
    """Answers of an earlier run: the same questions get the same answers, and the same failures.

    Raises `ServiceRefused` for a folder without them, and for a question that was not asked there: then the run is
    another one, from that question on.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self._folder = folder
        self._kept: dict[str, deque[Kept]] = {}
        found: About | None = None
        path = folder / DECISIONS
        try:
            lines = path.read_bytes().splitlines()
        except OSError as error:
            raise ServiceRefused(
                f"{path}: {error.strerror}; give the folder of a run that asked service '{name}'"
            ) from error
        for number, line in enumerate(lines, 1):
            try:
                row = _DECODER.decode(line)
            except msgspec.MsgspecError as error:
                raise ServiceRefused(
                    f"{path}:{number}: no decision: {error}; give the folder of a whole run"
                ) from error
            if row.service != name:
                continue
            if isinstance(row, _Head):
                # Whatever it was: what it said can be said again.
                found = msgspec.structs.replace(row.about, mode="stateless")
            else:
                self._kept.setdefault(row.request, deque()).append(row)
        if found is None:
            raise ServiceRefused(f"{path}: nobody asked service '{name}' there; give the folder of a run that did")
        self._about = found

    @property
    def about(self) -> About:
        """What the service said of itself; a recording repeats whatever its mode."""
        return self._about

    def decide(self, question: Question) -> Answer:
        """What was answered to that question."""
        waiting = self._kept.get(question.request)
        kept = waiting.popleft() if waiting else None
        if kept is None or kept.question != digest_of(question):
            what = "was not asked" if kept is None else "was another question"
            raise ServiceRefused(
                f"{self._folder / DECISIONS}: '{question.request}' {what} in that run; "
                "repeat it with the same scenario, seed and version, or ask the service itself"
            )
        answer = kept.sourcing or kept.promise or kept.release
        if answer is None:
            raise DecisionFailed("refused" if kept.outcome == "refused" else "failed", kept.reason)
        return answer

    def reset(self, seed: int) -> None:
        """Nothing to forget."""

    def close(self) -> None:
        """Nothing to let go of."""
