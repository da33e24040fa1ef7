-- Requests sent when a schedule says, whatever the server does: latency counts from the time a request was due.
--
-- wrk gives response() no connection, so due, sent and done can be joined only where a thread has one connection
-- (-t N -c N). All threads take their turns from one schedule: one cut into a part per connection would let a request
-- wait for its own connection while others are free, and overstate latency.
--
-- In the environment: HEADWIND_RATE per second ("500", or "0:10,60:200" for a rate that is 10 at 0 s and grows to 200
-- at 60 s), HEADWIND_SCHEDULE_S seconds, HEADWIND_ARRIVAL poisson|constant, HEADWIND_SEED, HEADWIND_CONNECTIONS (the N
-- of -t N -c N). Where HEADWIND_EXACT=FILE names a file, every request's times go to FILE.requests.

local schedule = {}

local folder = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
local shared = dofile(folder .. "shared.lua")
local arrivals = dofile(folder .. "arrivals.lua")
local option = shared.option

local function length_us()
  return tonumber(option("SCHEDULE_S")) * 1e6
end

local function due_times()
  local ends_us, rate, seed = length_us(), option("RATE"), tonumber(option("SEED", "1"))
  if option("ARRIVAL", "poisson") == "poisson" then
    return arrivals.poisson(rate, seed, ends_us)
  end
  local following = arrivals.times("constant", rate, seed)
  local due = {}
  local at = following()
  while at < ends_us do
    due[#due + 1] = at
    at = following()
  end
  return due
end

local function build()
  local due = due_times()
  local plan = shared.new(#due, tonumber(option("CONNECTIONS", "1")), #due / length_us() * 1e6)
  for i = 1, #due do
    plan.due[i - 1] = due[i]
  end
  return plan
end

-- Wraps the hooks that are set now; returns the function that gives the report's member, whole and short.
function schedule.hook()
  local plan = shared.wrap(build, function(plan)
    return function()
      return shared.take(plan)
    end
  end)
  return function()
    local path = option("EXACT")
    return dofile(folder .. "shared_report.lua").describe(plan(), path and path .. ".requests", {
      kind = "schedule",
      rate_per_s = tonumber(option("RATE")),
      arrival = option("ARRIVAL", "poisson"),
      seed = tonumber(option("SEED", "1")),
      length_us = length_us(),
    })
  end
end

return schedule
