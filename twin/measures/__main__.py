"""`python -m twin.measures` prints the page of all measures, `docs/measures.md`."""

from __future__ import annotations

from twin.measures.measured import MEASURES
from twin.measures.reference_page import page

if __name__ == "__main__":
    print(page(MEASURES.values()), end="")
