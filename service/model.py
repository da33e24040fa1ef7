"""The trained model: one file that holds the trees and everything needed to ask them."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import xgboost

from service import inference
from service.catalogue import CATEGORICAL, FEATURES, Catalogue, Encoder, Row

MAGIC = b"flight-delay-model/1"
"""How a model file begins. Its first line is this and the SHA-256 of the rest; the second line describes the model,
and what follows are the trees in XGBoost's UBJSON."""

BASIS_POINTS = 10_000
"""Probabilities travel as whole basis points: four decimals are what an answer shows."""


class ModelError(RuntimeError):
    """The model file cannot be served; the message is one sentence that says why and what to do."""


@dataclass(frozen=True, slots=True)
class Description:
    """What an artifact says about itself; `threshold_bp` is in basis points."""

    catalogue: Catalogue
    features: tuple[str, ...]
    threshold_bp: int
    trained_until: str

    def to_json(self) -> str:
        return json.dumps(
            {
                "airlines": dict(self.catalogue.airlines),
                "routes": {origin: dict(reached) for origin, reached in self.catalogue.routes.items()},
                "features": list(self.features),
                "threshold_bp": self.threshold_bp,
                "trained_until": self.trained_until,
            },
            separators=(",", ":"),
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Raises `ValueError` or `KeyError` if `text` is not what `to_json` writes."""
        data: dict[str, Any] = json.loads(text)
        unknown = set(data["features"]) - set(FEATURES)
        if unknown or not data["features"]:
            raise ValueError(f"its features {data['features']} are not known here")
        return cls(
            catalogue=Catalogue(data["airlines"], data["routes"]),
            features=tuple(data["features"]),
            threshold_bp=int(data["threshold_bp"]),
            trained_until=str(data["trained_until"]),
        )


def columns(features: Sequence[str]) -> list[int]:
    """Positions of `features` in a row."""
    return [FEATURES.index(name) for name in features]


def feature_types(features: Sequence[str]) -> list[str]:
    """XGBoost's types: `c` for a category, `q` for a quantity."""
    return ["c" if name in CATEGORICAL else "q" for name in features]


class DelayModel:
    """Predicts batches of rows on one thread: a worker process has one core's share, and XGBoost's default
    of a thread per core makes workers fight for the cores."""

    def __init__(self, booster: xgboost.Booster, description: Description, model_id: str) -> None:
        self.id = model_id
        self.description = description
        self.threshold_bp = description.threshold_bp
        self.encode = Encoder(description.catalogue)
        self._booster = booster
        self._columns = columns(description.features)
        booster.set_param({"nthread": 1})

    def predict(self, rows: Sequence[Row]) -> list[int]:
        """Probability of a delay for each row, in basis points (0 to 10,000)."""
        table = np.array(rows, dtype=np.float32).take(self._columns, axis=1)
        probabilities = inference.predict(self._booster, table)
        answer: list[int] = np.rint(probabilities * BASIS_POINTS).astype(np.int64).tolist()
        return answer


def pack(booster: xgboost.Booster, description: Description) -> bytes:
    """The content of a model file."""
    content = description.to_json().encode() + b"\n" + bytes(booster.save_raw("ubj"))
    return MAGIC + b" " + hashlib.sha256(content).hexdigest().encode() + b"\n" + content


def _unpack(packed: bytes, kind: type[DelayModel]) -> DelayModel:
    """Raises `ValueError` or `KeyError` for anything that `pack` did not make whole: XGBoost must never see that,
    for it ends the process on some broken models instead of raising."""
    header, _, content = packed.partition(b"\n")
    magic, _, checksum = header.partition(b" ")
    if magic != MAGIC:
        raise ValueError("it does not begin as a model file does")
    if hashlib.sha256(content).hexdigest().encode() != checksum:
        raise ValueError("its checksum does not match, so it was cut or changed")
    described, _, trees = content.partition(b"\n")
    booster = xgboost.Booster()
    booster.load_model(bytearray(trees))
    return kind(booster, Description.from_json(described.decode()), checksum[:12].decode())


_HINT = "run `make train` or set MODEL_PATH to a model made by it"


def read_model(path: Path) -> bytes:
    """The content of a model file; raises `ModelError`."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"The model file {path} cannot be read ({error.strerror}): {_HINT}.") from None


def open_model(packed: bytes, path: Path, kind: type[DelayModel] = DelayModel) -> DelayModel:
    """The model in `packed`, which was read from `path`, proved to predict; raises `ModelError`."""
    try:
        model = _unpack(packed, kind)
        model.predict([(0, 0, 0, 0, 0, 0, 1)])
    except (xgboost.core.XGBoostError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[-1][:120]
        raise ModelError(f"The model file {path} is broken or of another kind ({reason}): {_HINT}.") from None
    return model


def load_model(path: Path, kind: type[DelayModel] = DelayModel) -> DelayModel:
    """The model in `path`; raises `ModelError`."""
    return open_model(read_model(path), path, kind)
