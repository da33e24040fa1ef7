"""BentoML: `bentoml serve bench.peers.bentoml_app:FlightDelay`, two workers, adaptive batching."""

import bentoml

from service.artifact import ARTIFACT
from service.model import BASIS_POINTS, load_model
from service.schemas import Flight, Prediction


@bentoml.service(workers=2, traffic={"timeout": 30, "max_concurrency": 10_000}, metrics={"enabled": True})
class FlightDelay:
    """A batchable API takes and gives lists: each client sends a list of one, BentoML joins them."""

    def __init__(self) -> None:
        self.model = load_model(ARTIFACT)

    @bentoml.api(batchable=True, max_batch_size=256, max_latency_ms=1000, route="/v1/prediction")
    def predict(self, flights: list[Flight]) -> list[Prediction]:
        answers = self.model.predict([self.model.encode(flight) for flight in flights])
        return [
            Prediction(delayed=bp >= self.model.threshold_bp, probability=bp / BASIS_POINTS) for bp in answers
        ]
