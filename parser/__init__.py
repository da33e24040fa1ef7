"""`python -m parser FILE` is `headwind explain FILE`; the work is done in `headwind`."""
