-- The member "schedule" of headwind.wrk/1: what became of every request that was due. Times in microseconds.

local report = {}

local ffi = require("ffi")

local function histogram()
  return { counts = {}, values = {} }
end

local function note(one, value)
  value = math.max(0, math.floor(value + 0.5))
  if one.counts[value] == nil then
    one.values[#one.values + 1] = value
  end
  one.counts[value] = (one.counts[value] or 0) + 1
end

local function histogram_json(one)
  table.sort(one.values)
  local counts = {}
  for i, value in ipairs(one.values) do
    counts[i] = one.counts[value]
  end
  return ('{"values": [%s], "counts": [%s]}'):format(table.concat(one.values, ", "), table.concat(counts, ", "))
end

-- Every request's times: four arrays of doubles (due, taken, sent, done) and two of 16-bit numbers (status,
-- endpoint), one after the other, in the machine's byte order.
local function write_requests(plan, count, path)
  local file, why = io.open(path, "wb")
  if not file then
    io.stderr:write("the requests' times are not written: ", why, "\n")
    return
  end
  for _, name in ipairs({ "due", "taken", "sent", "done" }) do
    file:write(ffi.string(plan[name], count * 8))
  end
  file:write(ffi.string(plan.status, count * 2))
  file:write(ffi.string(plan.endpoint, count * 2))
  file:close()
end

-- Whole and short JSON. A request taken before it was due had a free connection: what it was sent late by is the
-- generator's fault. One taken after it was due found all connections busy: that wait is the server's doing.
function report.describe(plan, path, about)
  local from_due, from_send, lag = histogram(), histogram(), histogram()
  local sent, done, broken, busy = 0, 0, 0, 0
  -- A schedule knows beforehand how many are due; of users, those are that were begun.
  local count = about.kind == "schedule" and plan.count or plan.next
  for i = 0, count - 1 do
    if plan.sent[i] ~= 0 then
      sent = sent + 1
      if plan.taken[i] <= plan.due[i] then
        note(lag, plan.sent[i] - plan.due[i])
      else
        busy = busy + 1
        note(lag, plan.sent[i] - plan.taken[i])
      end
    end
    if plan.done[i] > 0 then
      done = done + 1
      note(from_due, plan.done[i] - plan.due[i])
      note(from_send, plan.done[i] - plan.sent[i])
    elseif plan.done[i] < 0 then
      broken = broken + 1
    end
  end
  if path then
    write_requests(plan, count, path)
  end
  local short = ('"arrival": "%s", "seed": %d, "rate_per_s": %.6f, "length_us": %d, "connections": %d, '
    .. '"greeted": %d, "due": %d, "sent": %d, "answered": %d, "broken": %d, "connections_busy": %d'):format(
    about.arrival, about.seed, about.rate_per_s or count / about.length_us * 1e6, about.length_us, plan.expected,
    plan.ready, count, sent, done, broken, busy
  )
  local whole = ('%s, "from_due_us": %s, "from_send_us": %s, "send_lag_us": %s'):format(
    short, histogram_json(from_due), histogram_json(from_send), histogram_json(lag)
  )
  return "{" .. whole .. "}", "{" .. short .. "}"
end

return report
