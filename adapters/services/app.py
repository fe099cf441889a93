"""The sample service over HTTP with FastAPI: `uvicorn adapters.services.app:app --port 8080`."""

from __future__ import annotations

from typing import Any

from fastapi import Body, FastAPI

from adapters.services.nearest import ABOUT, decide

__all__ = ["app"]

app = FastAPI(title="nearest", description="Each line comes from the nearest node that has it.")


@app.get("/about")
def about() -> dict[str, Any]:
    """What the service says of itself."""
    return ABOUT


@app.post("/sourcing")
@app.post("/promise")
@app.post("/release")
def answer(question: dict[str, Any] = Body()) -> dict[str, Any]:  # noqa: B008  (how FastAPI says what a body is)
    """Where an order's lines come from, for when they are promised, or whether they may go."""
    return decide(question)
