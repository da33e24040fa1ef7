"""Ray Serve: `python -m bench.peers.ray_app PORT`, two replicas, `@serve.batch`."""

import sys
import time

from ray import serve
from starlette.requests import Request

from service.artifact import ARTIFACT
from service.model import BASIS_POINTS, load_model
from service.schemas import Flight


@serve.deployment(num_replicas=2, max_ongoing_requests=200, ray_actor_options={"num_cpus": 0.1})
class FlightDelay:
    """One replica of the deployment; `serve.batch` joins the requests that wait."""

    def __init__(self) -> None:
        self.model = load_model(ARTIFACT)

    @serve.batch(max_batch_size=64, batch_wait_timeout_s=0.002)
    async def predict(self, rows):
        return self.model.predict(rows)

    async def __call__(self, request: Request):
        if request.method != "POST":
            return {"status": "ok"}
        flight = Flight.model_validate_json(await request.body())
        bp = await self.predict(self.model.encode(flight))
        return {"delayed": bp >= self.model.threshold_bp, "probability": bp / BASIS_POINTS}


if __name__ == "__main__":
    serve.start(
        http_options={"host": "127.0.0.1", "port": int(sys.argv[1])},
        logging_config={"enable_access_log": False},
    )
    serve.run(FlightDelay.bind(), route_prefix="/")
    while True:
        time.sleep(1)
