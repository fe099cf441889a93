"""`python -m twin.experiment` prints the reference of an experiment's file, docs/experiment_file.md."""

import sys

from twin.experiment.plan import reference_page

sys.stdout.write(reference_page())
