-- What wrk's stdout does not say: status codes, a time line, and the whole latency histogram.
--
--   local measure = dofile(folder .. "measure.lua")
--   measure.prepare()      before the hooks of a script are set
--   measure.hook()         after them: they are kept and called as wrk would call them
--
-- In the environment:                       after `--` on wrk's command line:
--   HEADWIND_EXACT=FILE                       --exact=FILE     append the whole report to FILE, one line of JSON
--                                             --histogram      the whole report on stdout
--   HEADWIND_RESPONSES=off                                     no response(): no status codes and no time line
--   HEADWIND_HEADERS="Name: value\n..."                        request headers that no process list shall show
--   HEADWIND_PATH=/path?query                                  likewise, instead of the URL's path
-- These arguments are not passed on; the others reach the script's init() unchanged.

local measure = {}

local folder = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
local clock = dofile(folder .. "clock.lua")
local SLOT_US = 100000

local threads = {}

local function wanted(name)
  local value = os.getenv(name)
  return value ~= nil and value ~= "" and value or nil
end

-- Applies what came through the environment to the requests that wrk.format will build.
function measure.prepare()
  for name, value in (wanted("HEADWIND_HEADERS") or ""):gmatch("([^:\n]+): ?([^\n]*)") do
    wrk.headers[name] = value
  end
  wrk.path = wanted("HEADWIND_PATH") or wrk.path
end

local function take_arguments(args)
  local rest = { [0] = args[0] }
  for _, argument in ipairs(args) do
    local file = argument:match("^%-%-exact=(.+)$")
    if file then
      headwind_exact = file
    elseif argument == "--histogram" then
      headwind_histogram = true
    else
      rest[#rest + 1] = argument
    end
  end
  return rest
end

-- A response() that counts and then calls the script's own. Its tables are globals because thread:get() reads
-- only those, and flat because a nested one crashes wrk.
local function counting(own)
  local statuses, responses, errors = {}, {}, {}
  headwind_statuses, headwind_responses, headwind_errors = statuses, responses, errors
  local epoch_us, now_us, floor = headwind_epoch_us, clock.now_us, math.floor
  return function(status, headers, body)
    statuses[status] = (statuses[status] or 0) + 1
    if epoch_us then
      local slot = floor((now_us() - epoch_us) / SLOT_US)
      responses[slot] = (responses[slot] or 0) + 1
      if status > 399 then
        errors[slot] = (errors[slot] or 0) + 1
      end
    end
    if own then
      return own(status, headers, body)
    end
  end
end

local function add(total, part)
  for key, count in pairs(part or {}) do
    total[key] = (total[key] or 0) + count
  end
end

-- The sums over all threads; nil where nothing was counted because response() was off.
local function collect()
  local statuses, responses, errors, any = {}, {}, {}, false
  for _, thread in ipairs(threads) do
    local counted = thread:get("headwind_statuses")
    any = any or counted ~= nil
    add(statuses, counted)
    add(responses, thread:get("headwind_responses"))
    add(errors, thread:get("headwind_errors"))
  end
  if not any then
    return nil
  end
  return statuses, clock.now_us and { slot_us = SLOT_US, responses = responses, errors = errors }
end

local function report(summary, latency, further)
  local exact = dofile(folder .. "exact.lua")
  local statuses, timeline = collect()
  local first = threads[1]
  local whole, short = exact.describe(summary, latency, #threads, statuses, timeline, further)
  local path = first and first:get("headwind_exact") or wanted("HEADWIND_EXACT")
  if path then
    local file, why = io.open(path, "a")
    if file then
      file:write(whole, "\n")
      file:close()
    else
      io.stderr:write("the exact histogram is not written: ", why, "\n")
    end
  end
  print("headwind.wrk/1 " .. (first and first:get("headwind_histogram") and whole or short))
end

-- Wraps the hooks that are set now; once, also where observe.lua runs a script that measures itself.
-- `further` may give the report's member "schedule": whole and short JSON.
function measure.hook(further)
  if headwind_hooked then
    return
  end
  headwind_hooked = true
  local own_setup, own_init, own_done = setup, init, done
  local counts = os.getenv("HEADWIND_RESPONSES") ~= "off"
  local epoch_us

  function setup(thread)
    threads[#threads + 1] = thread
    epoch_us = epoch_us or (clock.now_us and clock.now_us())
    thread:set("headwind_epoch_us", epoch_us)
    if own_setup then
      own_setup(thread)
    end
  end

  function init(args)
    local rest = take_arguments(args)
    if own_init then
      own_init(rest)
    end
    if counts then
      response = counting(response)
    end
  end

  function done(summary, latency, requests)
    -- Ours comes first: a script's done() may end the process, and no failure of ours may cost it its turn.
    local reported, why = pcall(report, summary, latency, further)
    if not reported then
      io.stderr:write("the exact report failed: ", tostring(why), "\n")
    end
    if own_done then
      own_done(summary, latency, requests)
    end
  end
end

return measure
