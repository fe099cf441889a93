"""The sample service over standard input and output: `--service nearest='stdio:python -m adapters.services'`."""

from __future__ import annotations

import json
import sys

from adapters.services.nearest import ABOUT, decide


def main() -> int:
    """Answer lines until there are no more."""
    for text in sys.stdin:
        message = json.loads(text)
        known = "about" in message or "reset" in message
        sys.stdout.write(json.dumps(ABOUT if known else decide(message)) + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
