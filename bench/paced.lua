-- As post.lua, at a constant rate: `-- RATE THREADS` after the URL. Requests are due on one schedule per thread;
-- wrk waits whole milliseconds, so a request is sent up to one late, and latency counts from the send.

local folder = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
dofile(folder .. "post.lua")
local ffi = require("ffi")
ffi.cdef("typedef struct { long sec; long nsec; } headwind_paced_time; int clock_gettime(int, headwind_paced_time *);")
local clock = ffi.new("headwind_paced_time")
local load_bodies, interval_s, due_s = init, 0, 0

local function now_s()
  ffi.C.clock_gettime(1, clock)
  return tonumber(clock.sec) + tonumber(clock.nsec) / 1e9
end

function init(args)
  load_bodies()
  interval_s = tonumber(args[2]) / tonumber(args[1])
  due_s = now_s()
end

function delay()
  local now = now_s()
  due_s = math.max(due_s + interval_s, now - 0.1)
  return math.max(0, math.floor((due_s - now) * 1000 + 0.5))
end
