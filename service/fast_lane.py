"""The fast lane: `POST /v1/prediction` answered in front of FastAPI.

It takes only what is certainly good: JSON by content type that the documented route's own pydantic model accepts and
the model knows. Everything else, every error included, is handed to FastAPI with the body that was read, so both ways
cannot disagree about what is wrong.
"""

from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.catalogue import Encoder
from service.errors import overloaded_response
from service.gathering import Overloaded, Predictor
from service.metrics import Metrics
from service.middleware import length, replay
from service.model import BASIS_POINTS
from service.schemas import Flight

PATH = "/v1/prediction"
_JSON = b"application/json"
_validate = Flight.__pydantic_validator__.validate_json


def answers(threshold_bp: int) -> list[tuple[Message, Message]]:
    """The response to every possible probability: with four decimals there are only 10,001."""
    messages: list[tuple[Message, Message]] = []
    for basis_points in range(BASIS_POINTS + 1):
        delayed = "true" if basis_points >= threshold_bp else "false"
        body = f'{{"delayed":{delayed},"probability":{basis_points / BASIS_POINTS}}}'.encode()
        headers = [(b"content-length", str(len(body)).encode()), (b"content-type", b"application/json")]
        start: Message = {"type": "http.response.start", "status": 200, "headers": headers}
        messages.append((start, {"type": "http.response.body", "body": body}))
    return messages


class FastLane:
    """ASGI in front of `app`; the model's parts are handed over by `open` once it is loaded."""

    def __init__(self, app: ASGIApp, max_body_bytes: int, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics
        self._max_body_bytes = max_body_bytes
        self._encode: Encoder | None = None
        self._predictor: Predictor
        self._answers: list[tuple[Message, Message]]

    def open(self, encode: Encoder, threshold_bp: int, predictor: Predictor) -> None:
        self._encode, self._predictor = encode, predictor
        self._answers = answers(threshold_bp)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (
            scope["type"] != "http"
            or scope["path"] != PATH
            or scope["method"] != "POST"
            or (encode := self._encode) is None
            or not self._takes(scope["headers"])
        ):
            return await self._app(scope, receive, send)
        message = await receive()
        if message.get("more_body", True) or len(message["body"]) > self._max_body_bytes:
            return await self._app(scope, replay([message], receive), send)
        try:
            answer = self._predictor.submit(encode(_validate(message["body"])))
            start, body = self._answers[await answer]
        except Overloaded as refusal:
            self._metrics.answered(503, 1, refusal.waited_s)
            return await overloaded_response(refusal)(scope, receive, send)
        except Exception:
            # Whatever is wrong, the documented route finds it again and says it in its own words.
            return await self._app(scope, replay([message], receive), send)
        await send(start)
        return await send(body)

    def _takes(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        """One content type, JSON, and no length announced that is refused before a body comes."""
        is_json = False
        for name, value in headers:
            if name == b"content-type":
                if is_json or value != _JSON:
                    return False
                is_json = True
            elif name == b"content-length" and length(value) > self._max_body_bytes:
                return False
        return is_json
