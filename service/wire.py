"""What API processes and model workers say to each other over Redis.

Work is an entry of the stream `work_stream(model_id)`: who asks, its number for the batch, and the rows. The answer is
published on the asker's channel. The stream's name holds the model's id, so that an answer never comes from another
model than the one that encoded the rows.
"""

import struct
from array import array
from collections.abc import Mapping, Sequence
from typing import Any

from service.catalogue import FEATURES, Row

GROUP = "model-workers"
ENTRY_ROWS = 32
"""Most flights in one entry of the stream: workers take entries whole, so this is what can be shared out."""
PING = b"ping"
"""What an asker publishes on its own channel to know that it hears it; shorter than any answer."""
_NUMBER = struct.Struct("<Q")


def work_stream(model_id: str) -> str:
    """Where batches of rows wait."""
    return f"flight-delay:{model_id}:work"


def alive_key(model_id: str) -> str:
    """Exists while a model worker lives; expires soon after the last one is gone."""
    return f"flight-delay:{model_id}:alive"


def channel(asker: str) -> str:
    """Where the answers to `asker` are published."""
    return f"flight-delay:answers:{asker}"


def pack_work(asker: str, number: int, rows: Sequence[Row]) -> dict[Any, Any]:
    """An entry of the stream."""
    flat = array("i", [value for row in rows for value in row])
    return {"asker": asker.encode(), "number": _NUMBER.pack(number), "rows": flat.tobytes()}


def unpack_work(entry: Mapping[bytes, bytes]) -> tuple[str, bytes, list[Row]]:
    """Asker, its packed number, and the rows; raises `KeyError` or `ValueError` for what is no work."""
    flat = array("i")
    flat.frombytes(entry[b"rows"])
    width = len(FEATURES)
    if len(flat) % width:
        raise ValueError("the rows are cut")
    values = iter(flat)
    rows: list[Row] = list(zip(*[values] * width, strict=True))
    return entry[b"asker"].decode(), entry[b"number"], rows


def pack_answer(number: bytes, answers: Sequence[int]) -> bytes:
    """The asker's number as it came, and basis points."""
    return number + array("H", answers).tobytes()


def unpack_answer(message: bytes) -> tuple[int, list[int]]:
    """Number and basis points; raises `ValueError` or `struct.error` for what is no answer."""
    answers = array("H")
    answers.frombytes(message[_NUMBER.size :])
    return _NUMBER.unpack_from(message)[0], answers.tolist()
