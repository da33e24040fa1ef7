-- The report `headwind.wrk/1`: everything that done() can know, as one line of JSON. Times in microseconds.

local exact = {}

local PERCENTILES = { 50, 75, 90, 95, 99, 99.9, 99.99 }
-- latency(i) costs distinct values x range; beyond this product it takes longer than some seconds.
local SLOW_WAY_LIMIT = 1e10

local function number(value, decimals)
  if value ~= value or value == math.huge or value == -math.huge then
    return "null"
  end
  return (("%." .. (decimals or 0) .. "f"):format(value))
end

local function object(pairs_in_order)
  return "{" .. table.concat(pairs_in_order, ", ") .. "}"
end

local function member(name, json)
  return ('"%s": %s'):format(name, json)
end

local function array(values)
  return "[" .. table.concat(values, ", ") .. "]"
end

local function histogram_json(values, counts)
  return object({ member("values", array(values)), member("counts", array(counts)) })
end

-- wrk's own counters, read from its memory in one pass. The struct is the same from 4.0.0 to 4.2.0; nothing
-- is believed unless its extremes and its total agree with what the API says.
local function by_ffi(latency)
  local ffi = require("ffi")
  local stats = ffi.cast("struct { uint64_t count, limit, min, max; uint64_t data[]; } **", latency)[0]
  local limit, min, max = tonumber(stats.limit), tonumber(stats.min), tonumber(stats.max)
  if max ~= latency.max or min ~= latency.min or max >= limit or limit > 1e10 then
    return nil
  end
  local values, counts, total = {}, {}, 0
  local data = stats.data
  for value = min, max do
    if data[value] ~= 0 then
      local count = tonumber(data[value])
      values[#values + 1] = value
      counts[#counts + 1] = count
      total = total + count
    end
  end
  if total ~= tonumber(stats.count) then
    return nil
  end
  return values, counts, limit - 1
end

local function by_index(latency)
  if #latency * (latency.max - latency.min) > SLOW_WAY_LIMIT then
    return nil
  end
  local values, counts = {}, {}
  for i = 1, #latency do
    values[i], counts[i] = latency(i)
  end
  return values, counts
end

-- Values, counts, timeout and the way they were got.
local function read_histogram(latency)
  local worked, values, counts, timeout_us = pcall(by_ffi, latency)
  if worked and values then
    return values, counts, timeout_us, "ffi"
  end
  worked, values, counts = pcall(by_index, latency)
  if worked and values then
    return values, counts, nil, "latency(i)"
  end
  return nil, nil, nil, "percentiles"
end

local function latency_json(latency, recorded)
  if not recorded then
    return "null"
  end
  local percentiles = {}
  for i, percent in ipairs(PERCENTILES) do
    percentiles[i] = member(tostring(percent), number(latency:percentile(percent)))
  end
  return object({
    member("min", number(latency.min)),
    member("max", number(latency.max)),
    member("mean", number(latency.mean, 3)),
    member("stdev", number(latency.stdev, 3)),
    member("percentiles", object(percentiles)),
  })
end

local function errors_json(errors)
  local members = {}
  for i, kind in ipairs({ "connect", "read", "write", "status", "timeout" }) do
    members[i] = member(kind, number(errors[kind]))
  end
  return object(members)
end

local function statuses_json(statuses)
  if not statuses then
    return "null"
  end
  local codes, members = {}, {}
  for code in pairs(statuses) do
    codes[#codes + 1] = code
  end
  table.sort(codes)
  for i, code in ipairs(codes) do
    members[i] = member(code, number(statuses[code]))
  end
  return object(members)
end

local function timeline_json(timeline)
  if not timeline then
    return "null"
  end
  local last = -1
  for slot in pairs(timeline.responses) do
    last = math.max(last, slot)
  end
  local responses, errors = {}, {}
  for slot = 0, last do
    responses[slot + 1] = timeline.responses[slot] or 0
    errors[slot + 1] = timeline.errors[slot] or 0
  end
  return object({
    member("slot_us", number(timeline.slot_us)),
    member("responses", array(responses)),
    member("errors", array(errors)),
  })
end

-- The whole report and the short one without histogram and time line.
function exact.describe(summary, latency, threads, statuses, timeline, further)
  local values, counts, timeout_us, source = read_histogram(latency)
  -- In an empty histogram the least value is above the greatest.
  local recorded = latency.max >= latency.min
  local members = {
    member("schema", '"headwind.wrk/1"'),
    member("duration_us", number(summary.duration)),
    member("requests", number(summary.requests)),
    member("bytes", number(summary.bytes)),
    member("threads", number(threads)),
    member("timeout_us", timeout_us and number(timeout_us) or "null"),
    member("errors", errors_json(summary.errors)),
    member("latency_us", latency_json(latency, recorded)),
    member("status_codes", statuses_json(statuses)),
    member("source", '"' .. source .. '"'),
  }
  local whole_schedule, short_schedule
  if further then
    whole_schedule, short_schedule = further()
    members[#members + 1] = member("schedule", short_schedule)
  end
  local short = object(members)
  members[#members] = further and member("schedule", whole_schedule) or members[#members]
  members[#members + 1] = member("histogram", values and histogram_json(values, counts) or "null")
  members[#members + 1] = member("timeline", timeline_json(timeline))
  return object(members), short
end

return exact
