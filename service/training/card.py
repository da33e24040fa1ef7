"""The model card, written by the training run from what it measured."""

from service.training.data import LATE_MIN, Part
from service.training.fit import SMALLEST_GAIN, STANDARD_ERRORS, Figures, Step


def _selection(steps: list[Step]) -> list[str]:
    lines = ["| added | log loss | AUC | |", "|---|---|---|---|"]
    lines += [
        f"| {step.features[-1]} | {step.log_loss:.4f} | {step.auc:.4f} | {'kept' if step.kept else 'left out'} |"
        for step in steps
    ]
    return lines


def _split(parts: dict[str, Part], scores: dict[str, Figures]) -> list[str]:
    lines = ["| part | days | flights | base rate |", "|---|---|---|---|"]
    lines += [
        f"| {name} | {part.first_day} to {part.last_day} | {len(part.late):,} | {scores[name].base_rate:.4f} |"
        for name, part in parts.items()
    ]
    return lines


def _scores(scores: dict[str, Figures]) -> list[str]:
    lines = [
        "| part | AUC | log loss | of the base rate | Brier | mean predicted | base rate | precision | recall |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {s.auc:.4f} | {s.log_loss:.4f} | {s.log_loss_of_base_rate:.4f} | {s.brier:.4f} "
        f"| {s.mean_predicted:.4f} | {s.base_rate:.4f} | {s.precision:.3f} | {s.recall:.3f} |"
        for name, s in scores.items()
    ]
    return lines


def _calibration(figures: Figures) -> list[str]:
    lines = ["| flights | mean predicted | share delayed |", "|---|---|---|"]
    lines += [f"| {count:,} | {predicted:.3f} | {late:.3f} |" for count, predicted, late in figures.bins]
    return lines


def _limits(test: Figures) -> list[str]:
    return [
        "The schedule alone says little about a single flight: weather and the aircraft's earlier flights are",
        f"not in the data. On the test part the log loss is {test.log_loss:.4f}; always answering with that",
        f"part's own base rate would give {test.log_loss_of_base_rate:.4f}. Delays differ by season: the mean",
        f"prediction there is {test.mean_predicted:.3f}, the share that was late {test.base_rate:.3f}. It is made",
        "to load-test a real prediction, not to plan a journey.",
    ]


def model_card(
    source: str,
    parts: dict[str, Part],
    steps: list[Step],
    scores: dict[str, Figures],
    threshold_bp: int,
    trees: int,
) -> str:
    """Markdown with the figures of the run; keys of `parts` and `scores`: training, validation, test."""
    test = scores["test"]
    kept = [step.features[-1] for step in steps if step.kept]
    return "\n".join(
        [
            "# Model card: flight delay",
            "",
            "Written by `python -m service.training`; every figure is from that run.",
            "",
            f"**Question.** Does a flight depart more than {LATE_MIN} minutes late? Known beforehand: airline, origin,",
            "destination and scheduled departure; the distance follows from the route.",
            "",
            f"**Data.** {source}. Cancelled flights are left out. Split by time:",
            "",
            *_split(parts, scores),
            "",
            f"**Features.** {', '.join(kept)}. Chosen greedily by the validation part's log loss; one stays if it",
            f"lowers that by {SMALLEST_GAIN:g} and by {STANDARD_ERRORS:g} standard errors of the paired difference:",
            "",
            *_selection(steps),
            "",
            f"**Trees.** {trees}, stopped by the validation part.",
            f"**Threshold.** {threshold_bp / 10_000:.4f}, the best F1 on the validation part.",
            "",
            "## Figures",
            "",
            *_scores(scores),
            "",
            "## Calibration on the test part, by tenth of the predictions",
            "",
            *_calibration(test),
            "",
            "## Limits",
            "",
            *_limits(test),
            "",
        ]
    )
