"""`python -m bench.soak [NAME...]`: run all long checks, or those named; `--list` says which there are."""

from __future__ import annotations

import sys

from bench.__main__ import main

if __name__ == "__main__":
    sys.exit(main(soak=True))
