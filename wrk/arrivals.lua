-- When requests are due: gaps in microseconds of a Poisson process (exponential) or of a constant rate.

local arrivals = {}

-- A function that gives the next due time, in microseconds from the start of the schedule.
-- `share` of `shares` interleaves constant schedules; independent Poisson ones add up to one by themselves.
function arrivals.times(kind, rate_per_s, seed, share, shares)
  local gap = 1e6 / rate_per_s
  if kind == "constant" then
    local at = gap * (share or 0) / (shares or 1) - gap
    return function()
      at = at + gap
      return at
    end
  end
  -- Every Lua state draws the same numbers unless seeded apart.
  math.randomseed(seed + 7919 * (share or 0))
  local random, log, at = math.random, math.log, 0
  return function()
    at = at - gap * log(1 - random())
    return at
  end
end

return arrivals
