"""`python -m twin.scenario` prints the schema reference, docs/scenario.md."""

import sys

from twin.scenario.reference_page import reference_page

sys.stdout.write(reference_page())
