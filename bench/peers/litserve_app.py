"""LitServe: `python -m bench.peers.litserve_app PORT`, two model workers, two API servers, batching."""

import sys

import litserve

from service.artifact import ARTIFACT
from service.model import BASIS_POINTS, load_model
from service.schemas import Flight, Prediction


class FlightDelay(litserve.LitAPI):
    """A model in every worker process; LitServe joins waiting requests into a batch and parts the answers again."""

    def setup(self, device: str) -> None:
        self.model = load_model(ARTIFACT)

    def decode_request(self, request: Flight):
        return self.model.encode(request)

    def batch(self, inputs):
        return list(inputs)

    def predict(self, rows):
        return self.model.predict(rows)

    def unbatch(self, output):
        return list(output)

    def encode_response(self, output) -> Prediction:
        return Prediction(delayed=output >= self.model.threshold_bp, probability=output / BASIS_POINTS)


if __name__ == "__main__":
    api = FlightDelay(max_batch_size=64, batch_timeout=0.002, api_path="/v1/prediction")
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=2)
    server.run(port=int(sys.argv[1]), num_api_servers=2, generate_client_file=False, log_level="warning")
