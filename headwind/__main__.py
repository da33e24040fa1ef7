"""`python -m headwind`."""

import sys

from headwind.cli import main

sys.exit(main())
