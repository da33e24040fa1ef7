-- POSTs the committed flights with as little Lua as possible: a benchmark of fast servers must not measure its
-- own script. BENCH_BODIES may name another file of bodies, one a line. done() prints one line of JSON with what stdout rounds.

local folder = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
local requests, position = {}, 0
local started = 0

function setup(thread)
  thread:set("number", started)
  started = started + 1
end

function init()
  local headers = { ["Content-Type"] = "application/json" }
  for body in io.lines(os.getenv("BENCH_BODIES") or folder .. "../wrk/flights.jsonl") do
    requests[#requests + 1] = wrk.format("POST", nil, headers, body)
  end
  position = math.floor(number * #requests / 7)
end

function request()
  position = position % #requests + 1
  return requests[position]
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format(
    'BENCH {"requests": %d, "duration_us": %d, "connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d, '
      .. '"mean_us": %.1f, "p50_us": %d, "p99_us": %d, "p999_us": %d, "max_us": %d}\n',
    summary.requests, summary.duration, e.connect, e.read, e.write, e.status, e.timeout,
    latency.mean, latency:percentile(50), latency:percentile(99), latency:percentile(99.9), latency.max))
end
