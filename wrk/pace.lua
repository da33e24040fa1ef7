-- Requests paced by a schedule with many connections a thread: for rates beyond what one connection a thread can do.
--
-- delay() says how many whole milliseconds a connection waits for its turn in its thread's schedule. wrk measures
-- latency from the send, and response() knows no connection, so the lag of the send behind its due time is reported
-- apart: the two cannot be added per request. Needs wrk 4.0.2 or later.
--
-- In the environment: HEADWIND_PACE per second, HEADWIND_ARRIVAL, HEADWIND_SEED, HEADWIND_THREADS.

local pace = {}

local folder = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
local clock = dofile(folder .. "clock.lua")
local arrivals = dofile(folder .. "arrivals.lua")

local threads = {}

local function option(name, default)
  local value = os.getenv("HEADWIND_" .. name)
  return value ~= nil and value ~= "" and value or default
end

-- The hooks of one thread; its counts are globals because thread:get() reads only those.
local function per_thread(index, total)
  local own_request = request
  local following = arrivals.times(
    option("ARRIVAL", "poisson"), tonumber(option("PACE")) / total, tonumber(option("SEED", "1")), index, total
  )
  -- A connection waits until whole milliseconds have passed, so turns come back in the order they were given.
  local turns, first, last = {}, 1, 0
  local start_us
  headwind_lags, headwind_late_us, headwind_sent = {}, 0, 0
  local lags = headwind_lags

  function delay()
    start_us = start_us or clock.now_us()
    local due = start_us + following()
    last = last + 1
    turns[last] = due
    return math.max(0, math.floor((due - clock.now_us()) / 1e3 + 0.5))
  end

  function request()
    if first <= last then
      local lag = math.max(0, math.floor(clock.now_us() - turns[first] + 0.5))
      turns[first] = nil
      first = first + 1
      lags[lag] = (lags[lag] or 0) + 1
      headwind_sent = headwind_sent + 1
    end
    return own_request()
  end
end

local function merged()
  local counts, values, sent = {}, {}, 0
  for _, thread in ipairs(threads) do
    sent = sent + (thread:get("headwind_sent") or 0)
    for lag, count in pairs(thread:get("headwind_lags") or {}) do
      if not counts[lag] then
        values[#values + 1] = lag
      end
      counts[lag] = (counts[lag] or 0) + count
    end
  end
  table.sort(values)
  local ordered = {}
  for i, value in ipairs(values) do
    ordered[i] = counts[value]
  end
  return sent, values, ordered
end

-- Wraps the hooks that are set now; returns the function that gives the report's member "schedule".
function pace.hook()
  local own_setup, own_init = setup, init

  function setup(thread)
    thread:set("headwind_pace_index", #threads)
    threads[#threads + 1] = thread
    if own_setup then
      own_setup(thread)
    end
  end

  function init(args)
    if own_init then
      own_init(args)
    end
    request = request or function()
      return wrk.request()
    end
    per_thread(headwind_pace_index, tonumber(option("THREADS", "1")))
  end

  return function()
    local sent, values, counts = merged()
    local short = ('"arrival": "%s", "seed": %d, "rate_per_s": %.6f, "sent": %d'):format(
      option("ARRIVAL", "poisson"), tonumber(option("SEED", "1")), tonumber(option("PACE")), sent
    )
    local lag = ('"send_lag_us": {"values": [%s], "counts": [%s]}'):format(
      table.concat(values, ", "), table.concat(counts, ", ")
    )
    return "{" .. short .. ", " .. lag .. "}", "{" .. short .. "}"
  end
end

return pace
