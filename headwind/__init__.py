"""Headwind: how much load a prediction API takes, what limits it, and what should change."""

__version__ = "0.1.0"
