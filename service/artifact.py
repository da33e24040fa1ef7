"""Where the committed model lies: apart from `model`, so that settings are read without loading XGBoost."""

from pathlib import Path

ARTIFACT = Path(__file__).parent / "artifacts" / "flight-delay.model"
