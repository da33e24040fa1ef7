import asyncio
import time
from collections.abc import Sequence

import pytest

from service.batching import Batcher, Pace
from service.catalogue import Row
from service.gathering import Overloaded
from service.metrics import Metrics
from service.settings import Settings

pytestmark = pytest.mark.filterwarnings("error")


def row(number: int) -> Row:
    return (0, 0, 0, 0, number, 0, 1)


class Echo:
    """Answers each row with its fifth number, after a pause, and remembers the sizes of its calls."""

    def __init__(self, call_s: float = 0.0, row_s: float = 0.0) -> None:
        self.call_s = call_s
        self.row_s = row_s
        self.calls: list[int] = []
        self.fails = False

    def predict(self, rows: Sequence[Row]) -> list[int]:
        self.calls.append(len(rows))
        if self.call_s or self.row_s:
            time.sleep(self.call_s + self.row_s * len(rows))
        if self.fails:
            raise RuntimeError("the model broke")
        return [row[4] for row in rows]


async def batcher(model: Echo, metrics: Metrics | None = None, **settings: object) -> Batcher:
    made = Batcher(model, Settings(**settings), metrics or Metrics(1))  # type: ignore[arg-type]
    await made.start()
    model.calls.clear()
    return made


async def test_flights_of_one_turn_of_the_loop_are_predicted_by_one_call_in_order() -> None:
    model = Echo()
    one = await batcher(model)
    futures = [one.submit(row(number)) for number in range(50)]
    assert await asyncio.gather(*futures) == list(range(50))
    assert model.calls == [50]
    assert one.depth() == 0


async def test_single_flights_and_lists_share_a_call_and_get_their_own_answers() -> None:
    model = Echo()
    one = await batcher(model)

    async def single() -> list[int]:
        return [await one.submit(row(3))]

    answers = await asyncio.gather(one.predict([row(1), row(2)]), single(), one.predict([row(4)]))
    assert [*answers] == [[1, 2], [3], [4]]
    assert model.calls == [4]


async def test_a_call_has_at_most_max_batch_rows() -> None:
    model = Echo()
    one = await batcher(model, max_batch=16)
    assert await one.predict([row(number) for number in range(50)]) == list(range(50))
    assert model.calls == [16, 16, 16, 2]


async def test_a_bounded_wait_gathers_flights_of_several_turns() -> None:
    model = Echo()
    one = await batcher(model, batch_wait_ms=30)
    first = one.submit(row(1))
    await asyncio.sleep(0.005)
    second = one.submit(row(2))
    assert [*await asyncio.gather(first, second)] == [1, 2]
    assert model.calls == [2]


async def test_a_slow_model_leaves_the_event_loop_free() -> None:
    one = await batcher(Echo(row_s=0.005))
    answer = one.predict([row(number) for number in range(20)])
    lags = []

    async def watch() -> None:
        while True:
            begun = time.perf_counter()
            await asyncio.sleep(0.005)
            lags.append(time.perf_counter() - begun - 0.005)

    watcher = asyncio.create_task(watch())
    assert await answer == list(range(20))
    watcher.cancel()
    await one.stop()
    assert len(lags) > 5
    assert sorted(lags)[len(lags) // 2] < 0.02


async def test_over_capacity_is_refused_at_once_and_capacity_comes_back() -> None:
    one = await batcher(Echo(row_s=0.002), max_wait_ms=50)
    accepted, refused = [], 0
    begun = time.perf_counter()
    for number in range(500):
        try:
            accepted.append(one.submit(row(number)))
        except Overloaded:
            refused += 1
    assert time.perf_counter() - begun < 0.1
    assert 15 <= len(accepted) <= 25, "as many as 50 ms of work at 2 ms each"
    assert refused == 500 - len(accepted)
    await asyncio.gather(*accepted)
    assert await one.submit(row(7)) == 7
    await one.stop()


async def test_a_list_longer_than_the_limit_is_accepted_by_an_idle_worker_and_refused_by_a_busy_one() -> None:
    one = await batcher(Echo(row_s=0.001), max_wait_ms=10)
    long = asyncio.create_task(one.predict([row(number) for number in range(40)]))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await one.predict([row(number) for number in range(40)])
    assert await long == list(range(40))
    await one.stop()


@pytest.mark.parametrize("row_s", [0.0, 0.003])
async def test_a_failing_model_fails_its_batch_and_no_other(row_s: float) -> None:
    model = Echo(row_s=row_s)
    one = await batcher(model)
    model.fails = True
    outcomes = await asyncio.gather(*(one.submit(row(number)) for number in range(4)), return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["the model broke"] * 4
    model.fails = False
    assert await one.submit(row(5)) == 5
    assert one.depth() == 0
    await one.stop()


async def test_a_caller_that_gave_up_disturbs_nobody() -> None:
    one = await batcher(Echo())
    gone, stays = one.submit(row(1)), one.submit(row(2))
    gone.cancel()
    assert await stays == 2


def test_one_call_that_the_machine_held_up_does_not_change_the_pace() -> None:
    pace = Pace(256, 5000, 0.1)
    for _ in range(3):
        pace.saw(32, 0.0001)
    assert pace.queue == 5000
    pace.saw(1, 0.2)
    pace.saw(1, 0.2)
    assert (pace.queue, pace.batch) == (5000, 256)
    pace.saw(1, 0.2)
    assert pace.queue < 10


def test_a_fixed_cost_of_a_call_does_not_look_like_a_cost_of_each_row() -> None:
    pace = Pace(256, 5000, 0.1)
    for _ in range(5):
        pace.saw(1, 0.0001)
    assert pace.queue == 5000
    assert not pace.blocks(256)


def test_small_calls_bring_the_pace_back_after_calls_that_the_machine_held_up() -> None:
    pace = Pace(256, 5000, 0.25)
    pace.saw(32, 0.0001)
    for _ in range(3):
        pace.saw(1, 2.0)
    assert (pace.queue, pace.batch) == (1, 1), "the machine stood still, or so it seemed"
    pace.saw(1, 0.0001)
    assert pace.queue > 1000
    assert pace.batch == 256


async def test_a_batch_that_is_full_waits_for_no_more_company() -> None:
    model = Echo()
    one = await batcher(model, batch_wait_ms=1000, max_batch=4)
    begun = time.perf_counter()
    futures = [one.submit(row(number)) for number in range(8)]
    assert await asyncio.gather(*futures) == list(range(8))
    assert time.perf_counter() - begun < 0.5
    assert model.calls == [4, 4]
    assert one.depth() == 0


async def test_deadlines_are_kept_while_a_call_runs() -> None:
    model = Echo(row_s=0.004)
    metrics = Metrics(1)
    one = await batcher(model, metrics, deadline_ms=150, max_wait_ms=1000)
    model.row_s = 0.5
    begun = time.perf_counter()
    inside = [one.submit(row(number)) for number in range(2)]
    await asyncio.sleep(0.01)
    behind = [one.submit(row(number)) for number in range(2)]
    outcomes = await asyncio.gather(*inside, *behind, return_exceptions=True)
    assert time.perf_counter() - begun < 0.8
    assert all(isinstance(outcome, Overloaded) for outcome in outcomes)
    assert b"flight_delay_expired_total 4.0" in metrics.text()
    model.row_s = 0.0
    assert one.depth() == 0
    await asyncio.sleep(1)
    assert await one.submit(row(7)) == 7
    assert one.depth() == 0
    await one.stop()
