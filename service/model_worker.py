"""A model worker: takes what waits in the queue as one batch, predicts it, publishes the answers.

`python -m service.model_worker`, any number of them, on one machine or several; settings as the API's: REDIS_URL,
MODEL_PATH, MAX_BATCH, DEADLINE_MS. SIGTERM lets it finish its batch.
"""
# ruff: noqa: E402 (what XGBoost reads at its import is set first)

import contextlib
import os
import signal
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
# As in gunicorn.conf.py: XGBoost would import it, and nothing here uses it.
sys.modules.setdefault("sklearn", None)  # type: ignore[arg-type]

import redis
from redis.exceptions import RedisError, ResponseError

from service import wire
from service.batching import Pace
from service.catalogue import Row
from service.model import DelayModel, ModelError, load_model
from service.settings import Settings, SettingsError

BLOCK_MS = 100
HEARTBEAT_S = 1.0
HEARTBEAT_EXPIRES_MS = 3000
RETRY_S = 0.5
_Entry = tuple[bytes, Mapping[bytes, bytes]]


class ModelWorker:
    """One consumer of the work stream."""

    def __init__(self, model: DelayModel, client: "redis.Redis", settings: Settings) -> None:
        self._model = model
        self._redis = client
        self._stream = wire.work_stream(model.id)
        self._alive = wire.alive_key(model.id)
        self._name = f"{os.uname().nodename}-{os.getpid()}-{uuid.uuid4().hex[:6]}"
        self._pace = Pace(settings.max_batch, settings.max_queue, settings.max_wait_ms / 1000)
        self._heartbeat_file = settings.heartbeat_file
        self._deadline_s = settings.deadline_ms / 1000
        # Early enough that whoever takes a batch over can still answer it in time.
        self._claim_ms = max(20, int(settings.deadline_ms / 4))
        self._next_claim_s = self._next_heartbeat_s = 0.0
        self._offset_s = 0.0
        self.stopping = False

    def run(self) -> None:
        """Work until `stopping`; while Redis is away, try again twice a second."""
        connected = False
        row: Row = (0, 0, 0, 0, 0, 0, 1)
        for rows in (8, 16, 32):
            begun_s = time.perf_counter()
            self._model.predict([row] * rows)
            self._pace.saw(rows, time.perf_counter() - begun_s)
        while not self.stopping:
            try:
                if not connected:
                    self._join()
                    connected = True
                    print(f"model worker {self._name} serves model {self._model.id}", flush=True)
                self._turn()
            except ResponseError as error:
                # A Redis that was emptied has lost the group: join again.
                connected = False
                print(f"model worker: {error}; joining again", file=sys.stderr, flush=True)
                time.sleep(RETRY_S)
            except (RedisError, OSError) as error:
                connected = False
                print(f"model worker: Redis is away ({error}); trying again", file=sys.stderr, flush=True)
                time.sleep(RETRY_S)
        with contextlib.suppress(RedisError, OSError):
            self._redis.xgroup_delconsumer(self._stream, wire.GROUP, self._name)

    def _join(self) -> None:
        try:
            self._redis.xgroup_create(self._stream, wire.GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise
        # By name from the start, so that who looks at the queue sees every worker, also one without work.
        self._redis.xgroup_createconsumer(self._stream, wire.GROUP, self._name)
        self._offset_s = clock_offset_s(self._redis)
        self._next_heartbeat_s = 0.0

    def _turn(self) -> None:
        now_s = time.monotonic()
        if now_s >= self._next_heartbeat_s:
            self._redis.set(self._alive, self._name, px=HEARTBEAT_EXPIRES_MS)
            self._next_heartbeat_s = now_s + HEARTBEAT_S
            if self._heartbeat_file:
                # Without it the healthcheck fails, which is all it is for: work goes on.
                with contextlib.suppress(OSError):
                    Path(self._heartbeat_file).touch()
        entries: list[_Entry] = []
        if now_s >= self._next_claim_s:
            entries += self._claim()
            self._next_claim_s = now_s + self._claim_ms / 2000
        read: Any = self._redis.xreadgroup(
            wire.GROUP,
            self._name,
            {self._stream: ">"},
            count=self._entries(),
            block=None if entries else BLOCK_MS,
        )
        for _, fresh in read or []:
            entries += fresh
        if entries:
            self._answer(entries)

    def _entries(self) -> int:
        """How many entries to take: what about one call's flights fill, so that the others find something too."""
        return max(1, self._pace.batch // wire.ENTRY_ROWS)

    def _claim(self) -> list[_Entry]:
        """What a worker took and has not answered for too long: it was killed, or hangs."""
        claimed: Any = self._redis.xautoclaim(
            self._stream, wire.GROUP, self._name, self._claim_ms, count=self._entries()
        )
        return [(entry_id, fields) for entry_id, fields in claimed[1] if fields]

    def _answer(self, entries: Sequence[_Entry]) -> None:
        now_s = time.time() + self._offset_s
        pipeline = self._redis.pipeline(transaction=False)
        work = []
        for entry_id, fields in entries:
            pipeline.xack(self._stream, wire.GROUP, entry_id)
            pipeline.xdel(self._stream, entry_id)
            if entry_age_s(entry_id, now_s) <= self._deadline_s:
                with contextlib.suppress(KeyError, ValueError):
                    work.append(wire.unpack_work(fields))
        ids: list[Any] = [entry_id for entry_id, _ in entries]
        predicted = self._predict([rows for _, _, rows in work], ids)
        for (asker, number, _), answers in zip(work, predicted, strict=True):
            pipeline.publish(wire.channel(asker), wire.pack_answer(number, answers))
        pipeline.execute()

    def _predict(self, batches: list[list[Row]], ids: list[Any]) -> list[list[int]]:
        """Answers per batch, from as few calls as the pace allows; an empty list says that the batch failed. The
        entries `ids` stay this worker's for as long as it takes."""
        rows = [row for batch in batches for row in batch]
        try:
            answers: list[int] = []
            while len(answers) < len(rows):
                if answers:
                    self._redis.xclaim(self._stream, wire.GROUP, self._name, 0, ids, justid=True)
                begun_s = time.perf_counter()
                chunk = rows[len(answers) : len(answers) + self._pace.batch]
                answers += self._model.predict(chunk)
                self._pace.saw(len(chunk), time.perf_counter() - begun_s)
        except RedisError:
            raise
        except Exception as error:
            print(f"model worker: the model failed ({error})", file=sys.stderr, flush=True)
            return [[] for _ in batches]
        remaining = iter(answers)
        return [[next(remaining) for _ in batch] for batch in batches]


def entry_age_s(entry_id: bytes, redis_time_s: float) -> float:
    """Age of a stream entry: its id begins with Redis' clock in milliseconds, so no two machines' clocks meet."""
    return redis_time_s - int(entry_id.split(b"-")[0]) / 1000


def clock_offset_s(client: "redis.Redis") -> float:
    """Redis' clock minus ours."""
    seconds, microseconds = client.time()
    return float(seconds) + microseconds / 1e6 - time.time()


def check_heartbeat_file(settings: Settings) -> None:
    """Raises `SettingsError` if the file cannot be written."""
    try:
        if settings.heartbeat_file:
            Path(settings.heartbeat_file).touch()
    except OSError as error:
        raise SettingsError(
            f"HEARTBEAT_FILE={settings.heartbeat_file!r} cannot be written ({error.strerror}): "
            "name a file in a folder that is there and may be written to."
        ) from None


def main(kind: type[DelayModel] = DelayModel) -> int:
    """Take work from the queue until told to stop; the exit code."""
    try:
        settings = Settings.from_environment()
        check_heartbeat_file(settings)
        model = load_model(settings.model_path, kind)
    except (SettingsError, ModelError) as error:
        print(error, file=sys.stderr)
        return 1
    client = redis.Redis.from_url(settings.redis_url, socket_timeout=5, socket_connect_timeout=2)
    worker = ModelWorker(model, client, settings)

    def stop(*_: object) -> None:
        worker.stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    worker.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
