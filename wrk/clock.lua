-- A monotonic clock in microseconds for wrk's Lua; now_us is nil where LuaJIT's FFI is missing.

local clock = {}

local loaded, ffi = pcall(require, "ffi")
if not loaded then
  return clock
end

-- Names of our own, bound by __asm__: a script may declare clock_gettime in its own way.
pcall(ffi.cdef, [[
  typedef struct { long s; long ns; } headwind_timespec;
  int headwind_clock_gettime(int id, headwind_timespec *now) __asm__("clock_gettime");
]])

local MONOTONIC = ffi.os == "OSX" and 6 or 1
local now = ffi.new("headwind_timespec")
local gettime = ffi.C.headwind_clock_gettime

function clock.now_us()
  gettime(MONOTONIC, now)
  return tonumber(now.s) * 1e6 + tonumber(now.ns) / 1e3
end

return clock
