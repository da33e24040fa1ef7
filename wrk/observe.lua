-- Measures the load of any wrk script, or of none, the way prediction.lua is measured. The environment says which:
--   HEADWIND_SCRIPT   a wrk script, run as if it had been given to wrk; its own setup/init/response/done still work
--   HEADWIND_BODIES   a file with one request body per line, sent by HEADWIND_METHOD (default POST)
--   HEADWIND_METHOD   the method where there is no script and no body (default GET)
--   HEADWIND_RATE     requests per second on a schedule, not as fast as answers come: schedule.lua says how;
--   HEADWIND_USERS    users who think between requests: users.lua; HEADWIND_ENDPOINTS: several endpoints: endpoints.lua
--   HEADWIND_PACE     for rates that need many connections a thread: pace.lua
--   HEADWIND_SCRIPT=mine.lua wrk -t4 -c200 -d45s -s wrk/observe.lua http://localhost:8000/ -- arguments of mine.lua

local folder = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
local measure = dofile(folder .. "measure.lua")

-- wrk goes on with plain GETs when a script does not load; that would measure something nobody asked for.
local function run(path)
  local chunk, why = loadfile(path)
  local loaded = chunk ~= nil
  if loaded then
    loaded, why = pcall(chunk)
  end
  if not loaded then
    io.stderr:write("the wrk script does not load, so nothing was sent: ", tostring(why), "\n")
    os.exit(1)
  end
end

measure.prepare()
local script, lines, method = os.getenv("HEADWIND_SCRIPT"), os.getenv("HEADWIND_BODIES"), os.getenv("HEADWIND_METHOD")
local mixed = os.getenv("HEADWIND_ENDPOINTS")
if mixed and mixed ~= "" then
  dofile(folder .. "endpoints.lua").send(mixed)
elseif script and script ~= "" then
  run(script)
elseif lines and lines ~= "" then
  dofile(folder .. "bodies.lua").send(lines, method)
elseif method and method ~= "" then
  wrk.method = method
end
local function asked(name)
  local value = os.getenv(name)
  return value ~= nil and value ~= ""
end
local arrival = asked("HEADWIND_RATE") and "schedule.lua"
  or asked("HEADWIND_USERS") and "users.lua"
  or asked("HEADWIND_PACE") and "pace.lua"
measure.hook(arrival and dofile(folder .. arrival).hook() or nil)
