"""From observations to causes: pure functions from frozen values to frozen values."""

from headwind.analysis.diagnosis.judge import judge
from headwind.analysis.diagnosis.model import CODES, SCHEMA, Cause, Diagnosis, RuledOut
from headwind.analysis.diagnosis.observations import Observations

__all__ = ["CODES", "SCHEMA", "Cause", "Diagnosis", "Observations", "RuledOut", "judge"]
