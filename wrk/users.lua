-- Users who each wait for their answer and then think: how many there are follows a plan over time.
--
-- A user is a thread with one connection (-t N -c N), so every request's start, end, endpoint and status are known.
-- User k (from 0) is there while the plan says more than k users.
--
-- In the environment: HEADWIND_USERS as seconds:users points, linear in between ("0:0,5:5,65:5": one new user per
-- second, then five for a minute), HEADWIND_THINK_MS and HEADWIND_THINK_TO_MS (uniform between them), HEADWIND_SEED,
-- HEADWIND_CONNECTIONS, HEADWIND_ITERATIONS (requests of each user, then it is through), HEADWIND_CAPACITY (requests
-- that are kept).

local users = {}

local folder = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
local shared = dofile(folder .. "shared.lua")
local arrivals = dofile(folder .. "arrivals.lua")
local option = shared.option

-- Whether user k is there at a time, and if not, when it comes; nil when it does not come any more.
local function presence(points, k, now)
  for i = 1, #points - 1 do
    local first, last = points[i], points[i + 1]
    if now < last.at then
      local from = math.max(now, first.at)
      local at_from = first.value + (last.value - first.value) * (from - first.at) / (last.at - first.at)
      if at_from > k then
        return from
      end
      if last.value > k and last.value > first.value then
        local crossing = first.at + (k - first.value) / (last.value - first.value) * (last.at - first.at)
        return math.max(from, crossing + 1)
      end
    end
  end
  return nil
end

local function per_user(plan, index)
  local points = arrivals.points(option("USERS"))
  local think, think_to = tonumber(option("THINK_MS", "0")) * 1e3, tonumber(option("THINK_TO_MS", "0")) * 1e3
  local left = tonumber(option("ITERATIONS", "1e15"))
  math.randomseed(tonumber(option("SEED", "1")) + 7919 * index)
  local first = true

  return function()
    if left <= 0 then
      return nil
    end
    local now = shared.now(plan)
    local at = presence(points, index, now)
    if at == nil then
      return nil
    end
    if at > now + 1 then
      first = true
      return nil, at
    end
    local pause = first and 0 or think + (think_to > think and math.random() * (think_to - think) or 0)
    local turn = shared.take(plan)
    if turn == nil then
      return nil
    end
    first = false
    left = left - 1
    plan.due[turn] = plan.taken[turn] + pause
    plan.taken[turn] = plan.due[turn]
    return turn
  end
end

-- Wraps the hooks that are set now; returns the function that gives the report's member, whole and short.
function users.hook()
  local plan = shared.wrap(function()
    return shared.new(tonumber(option("CAPACITY", "2000000")), tonumber(option("CONNECTIONS", "1")))
  end, per_user)
  return function()
    local path = option("EXACT")
    local points = arrivals.points(option("USERS"))
    return dofile(folder .. "shared_report.lua").describe(plan(), path and path .. ".requests", {
      kind = "users",
      arrival = "users",
      seed = tonumber(option("SEED", "1")),
      length_us = points[#points].at,
    })
  end
end

return users
