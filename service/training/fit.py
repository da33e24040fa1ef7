"""Fitting: which features help, how many trees, which threshold. All three are chosen on validation data."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xgboost
from sklearn.metrics import log_loss, precision_recall_curve, roc_auc_score

from service.catalogue import FEATURES
from service.model import BASIS_POINTS, columns, feature_types
from service.training.data import Part

PARAMETERS: dict[str, object] = {
    "objective": "binary:logistic",
    "eta": 0.1,
    "max_depth": 6,
    "min_child_weight": 200,
    "subsample": 0.8,
    "colsample_bytree": 0.9,
    "max_bin": 256,
    "seed": 7,
}
ROUNDS = 300
PATIENCE_ROUNDS = 30
SMALLEST_GAIN = 1e-4
"""A feature must lower the validation's log loss by this much: less is no use to a caller."""

STANDARD_ERRORS = 3.0
"""And by this many standard errors of the paired difference: among several useless features one is lucky."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the selection: the features so far, and what the validation part said of them."""

    features: tuple[str, ...]
    log_loss: float
    auc: float
    kept: bool


@dataclass(frozen=True, slots=True)
class Figures:
    """Quality on one part. `bins`: (flights, mean predicted, share late) by tenth of the predictions."""

    flights: int
    base_rate: float
    mean_predicted: float
    auc: float
    log_loss: float
    log_loss_of_base_rate: float
    brier: float
    precision: float
    recall: float
    bins: tuple[tuple[int, float, float], ...]


def _matrix(part: Part, features: Sequence[str]) -> xgboost.DMatrix:
    return xgboost.DMatrix(
        part.rows[:, columns(features)],
        part.late,
        feature_names=list(features),
        feature_types=feature_types(features),
        enable_categorical=True,
    )


def train(training: Part, validation: Part, features: Sequence[str]) -> xgboost.Booster:
    """Trees until the validation's log loss stops falling."""
    booster = xgboost.train(
        PARAMETERS,
        _matrix(training, features),
        ROUNDS,
        evals=[(_matrix(validation, features), "validation")],
        early_stopping_rounds=PATIENCE_ROUNDS,
        verbose_eval=False,
    )
    return booster[: booster.best_iteration + 1]


def probabilities(booster: xgboost.Booster, part: Part, features: Sequence[str]) -> npt.NDArray[np.float32]:
    """The predicted probability of a late departure of every flight of the part."""
    answer: npt.NDArray[np.float32] = booster.predict(_matrix(part, features))
    return answer


def _losses(late: npt.NDArray[np.int64], predicted: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Log loss of each flight."""
    right = np.where(late == 1, predicted, 1 - predicted).astype(np.float64)
    return -np.log(np.maximum(right, 1e-12))


def _helps(before: npt.NDArray[np.float64], after: npt.NDArray[np.float64]) -> bool:
    gain = before - after
    noise = STANDARD_ERRORS * float(gain.std(ddof=1)) / len(gain) ** 0.5
    return bool(gain.mean() > max(SMALLEST_GAIN, noise))


def select_features(training: Part, validation: Part) -> list[Step]:
    """Greedy forward selection: add whichever feature lowers the validation's log loss most, until the best of them
    does not help. The last step is then the one that did not."""
    steps: list[Step] = []
    chosen: tuple[str, ...] = ()
    base = np.full(len(validation.late), training.late.mean(), dtype=np.float32)
    best = _losses(validation.late, base)
    while len(chosen) < len(FEATURES):
        tried = []
        for name in (name for name in FEATURES if name not in chosen):
            features = (*chosen, name)
            predicted = probabilities(train(training, validation, features), validation, features)
            tried.append((features, predicted, _losses(validation.late, predicted)))
        features, predicted, losses = min(tried, key=lambda one: float(one[2].mean()))
        # Something must be chosen: a model of no feature cannot be served.
        kept = _helps(best, losses) or not chosen
        auc = float(roc_auc_score(validation.late, predicted))
        steps.append(Step(features, float(losses.mean()), auc, kept))
        if not kept:
            break
        chosen, best = features, losses
    return steps


def choose_threshold_bp(late: npt.NDArray[np.int64], predicted: npt.NDArray[np.float32]) -> int:
    """The threshold with the best F1 score, in basis points."""
    precision, recall, thresholds = precision_recall_curve(late, predicted)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    return round(float(thresholds[int(np.argmax(f1[:-1]))]) * BASIS_POINTS)


def figures(late: npt.NDArray[np.int64], predicted: npt.NDArray[np.float32], threshold_bp: int) -> Figures:
    """Quality of `predicted` against what happened."""
    base_rate = float(late.mean())
    flagged = np.rint(predicted * BASIS_POINTS) >= threshold_bp
    hits = int((flagged & (late == 1)).sum())
    order = np.argsort(predicted, kind="stable")
    bins = tuple(
        (len(tenth), float(predicted[tenth].mean()), float(late[tenth].mean()))
        for tenth in np.array_split(order, 10)
    )
    return Figures(
        flights=len(late),
        base_rate=base_rate,
        mean_predicted=float(predicted.mean()),
        auc=float(roc_auc_score(late, predicted)),
        log_loss=float(log_loss(late, predicted)),
        log_loss_of_base_rate=float(log_loss(late, np.full(len(late), base_rate))),
        brier=float(((predicted - late) ** 2).mean()),
        precision=hits / max(int(flagged.sum()), 1),
        recall=hits / int(late.sum()),
        bins=bins,
    )
