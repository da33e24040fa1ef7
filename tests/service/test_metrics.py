"""What the counters of several workers add up to."""

from service.metrics import Metrics


def test_counts_and_depths_of_workers_add_up_but_the_latest_lag_is_the_largest() -> None:
    metrics = Metrics(3)
    for slot, lag_s in enumerate((0.5, 0.25)):
        metrics.enter(slot)
        metrics.begin()
        metrics.loop_lag(lag_s, 3)
        metrics.answered(200, 2, 0.01)
    lines = metrics.text().decode().splitlines()
    assert "flight_delay_loop_lag_latest_seconds 0.5" in lines
    assert "flight_delay_queue_depth 6.0" in lines
    assert 'flight_delay_requests_total{status="200"} 4.0' in lines
    assert 'flight_delay_worker_loop_lag_latest_seconds{worker="1"} 0.25' in lines
    assert "flight_delay_workers 2.0" in lines
