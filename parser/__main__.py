"""An alias, nothing else."""

import sys

from headwind.cli import main

sys.exit(main(["explain", *sys.argv[1:]]))
