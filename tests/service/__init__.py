"""The API under test, its training, and its behaviour as real processes."""
