-- When requests are due: a Poisson process or equal gaps, at a rate that is constant or changes linearly in pieces.

local arrivals = {}

-- "500" or "0:10,60:200,90:200" (seconds:value, in order) as points in microseconds.
function arrivals.points(text)
  local constant = tonumber(text)
  if constant then
    return { { at = 0, value = constant } }
  end
  local points = {}
  for at, value in text:gmatch("([%d.]+):([%d.]+)") do
    points[#points + 1] = { at = tonumber(at) * 1e6, value = tonumber(value) }
  end
  return points
end

-- The time until which `area` (a number of requests) more than at `from` will have come, by inverting the integral
-- of a piecewise linear rate; infinite where no more come. `place` is the piece to begin with.
local function advance(points, place, from, area)
  if area <= 0 then
    return from, place
  end
  while true do
    local first, last = points[place], points[place + 1]
    if not last then
      return first.value > 0 and from + area / first.value * 1e6 or math.huge, place
    end
    -- A jump is two points at one time; a piece without length holds nothing.
    local length = math.max(last.at - first.at, 1e-9)
    local slope = (last.value - first.value) / length -- per second and microsecond
    local rate = math.max(0, first.value + slope * (from - first.at))
    local whole = (rate + last.value) / 2 * (last.at - from) / 1e6
    if area <= whole and whole > 0 then
      -- area = rate t + slope t^2 / 2, in the form that stays exact as the slope goes to 0.
      local root = math.sqrt(math.max(0, rate * rate + 2 * slope * area * 1e6))
      return from + 2 * area * 1e6 / (rate + root), place
    end
    area, from, place = area - whole, last.at, place + 1
  end
end

-- How many requests a schedule holds on average until a time in microseconds: the integral of its rate.
local function area_until(points, at)
  local area = 0
  for place, first in ipairs(points) do
    local last = points[place + 1]
    local to = math.min(at, last and last.at or math.huge)
    if to > first.at then
      local slope = last and (last.value - first.value) / (last.at - first.at) or 0
      area = area + (first.value + slope * (to - first.at) / 2) * (to - first.at) / 1e6
    end
  end
  return area
end

-- All due times before `ends_us` of Poisson arrivals that are known to be as many as the rate says.
--
-- Given how many they are, the times of a Poisson process are independent and uniform over the integral of its rate,
-- which is what gaps scaled to a known sum give. Without that, 20 s at 200 per second would offer anything from 194
-- to 206 per second, and near saturation one per cent of rate is ten of latency. The number is held in the first
-- second and in the rest, since the first second is often cut off.
function arrivals.poisson(rate, seed, ends_us)
  local points = arrivals.points(rate)
  math.randomseed(seed)
  local due, at, place, carried, before = {}, 0, 1, 0, 0
  for _, edge in ipairs({ math.min(1e6, ends_us), ends_us }) do
    local area = area_until(points, edge)
    local count = math.floor(area + 0.5) - #due
    local gaps, sum = {}, 0
    for i = 1, count + 1 do
      gaps[i] = -math.log(1 - math.random())
      sum = sum + gaps[i]
    end
    for i = 1, count do
      at, place = advance(points, place, at, carried + gaps[i] / sum * (area - before))
      carried = 0
      due[#due + 1] = math.min(at, edge)
    end
    carried, before = carried + gaps[count + 1] / sum * (area - before), area
  end
  return due
end

-- A function that gives the next due time, in microseconds from the start of the schedule.
-- `share` of `shares` interleaves constant schedules; independent Poisson ones add up to one by themselves.
-- Without an end the number of Poisson arrivals is free.
function arrivals.times(kind, rate, seed, share, shares)
  local points = type(rate) == "number" and { { at = 0, value = rate } } or arrivals.points(rate)
  local at, place = 0, 1
  if kind == "constant" then
    local gap = (share or 0) / (shares or 1)
    return function()
      at, place = advance(points, place, at, gap)
      gap = 1
      return at
    end
  end
  -- Every Lua state draws the same numbers unless seeded apart.
  math.randomseed(seed + 7919 * (share or 0))
  local random, log = math.random, math.log
  return function()
    at, place = advance(points, place, at, -log(1 - random()))
    return at
  end
end

return arrivals
