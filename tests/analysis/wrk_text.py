"""wrk's printed reports of the runs in `runs.py`."""

SLOW_TEXT = """\
Running 45s test @ http://localhost:8000/v1/prediction
  4 threads and 200 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.46s   309.13ms   2.00s    71.26%
    Req/Sec    21.25     24.38   232.00     90.89%
  2788 requests in 45.10s, 381.17KB read
  Socket errors: connect 0, read 0, write 0, timeout 613
Requests/sec:     61.82
"""

HEALTHY_TEXT = """\
Running 45s test @ http://localhost:8000/v1/prediction
  4 threads and 200 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   153.22ms   18.41ms 290.11ms   72.00%
    Req/Sec   326.40     48.00   480.00     71.00%
  Latency Distribution
     50%  151.70ms
     75%  163.40ms
     90%  177.10ms
     99%  213.50ms
  58594 requests in 45.06s, 7.92MB read
Requests/sec:   1300.35
Transfer/sec:    179.93KB
"""
