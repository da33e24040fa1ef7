-- Requests sent when a schedule says, whatever the server does: latency counts from the time a request was due.
--
-- wrk gives response() no connection, so due, sent and done can be joined only where a thread has one connection
-- (-t N -c N). All threads take their turns from one schedule in memory that FFI allocates: threads share an
-- address space, and a pointer passed as a number reaches every Lua state. A schedule cut into one part per
-- connection would let a request wait for its own connection while others are free, and overstate latency.
--
-- In the environment: HEADWIND_RATE per second, HEADWIND_SCHEDULE_S seconds, HEADWIND_ARRIVAL poisson|constant,
-- HEADWIND_SEED, HEADWIND_CONNECTIONS (the N of -t N -c N). Where HEADWIND_EXACT=FILE names a file, every request's
-- times go to FILE.requests.
--
-- Each connection first sends one request outside the schedule, and the schedule starts when all were answered:
-- see docs/capacity.md, "The start-up stall".

local schedule = {}

local folder = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
local clock = dofile(folder .. "clock.lua")
local arrivals = dofile(folder .. "arrivals.lua")
local ffi = require("ffi")

ffi.cdef([[
  typedef struct {
    double *due, *taken, *sent, *done;   /* microseconds from the start; done -1: the connection broke */
    int16_t *status;
    double start_us, rate_per_s;         /* start_us on the monotonic clock; 0: not started */
    int32_t count, next, ready, expected, finished;
    int64_t mutex[16];                   /* larger than any platform's pthread_mutex_t */
  } headwind_schedule;
  void *headwind_calloc(size_t count, size_t size) __asm__("calloc");
  int headwind_mutex_init(void *mutex, const void *attributes) __asm__("pthread_mutex_init");
  int headwind_mutex_lock(void *mutex) __asm__("pthread_mutex_lock");
  int headwind_mutex_unlock(void *mutex) __asm__("pthread_mutex_unlock");
  int headwind_getpid(void) __asm__("getpid");
  int headwind_kill(int pid, int signal) __asm__("kill");
  int headwind_nanosleep(const headwind_timespec *time, headwind_timespec *left) __asm__("nanosleep");
]])
if ffi.os == "Linux" then
  ffi.cdef([[
    int headwind_sleep_until(int clock, int flags, const headwind_timespec *time, void *left)
      __asm__("clock_nanosleep");
    int headwind_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
      __asm__("prctl");
  ]])
end

local C = ffi.C
local MONOTONIC, ABSOLUTE, SET_TIMER_SLACK, SIGINT = 1, 1, 29, 2
local BARRIER_PATIENCE_US = 10e6
local BARRIER_POLL_US = 1000
-- The event loop's timers are good to a millisecond; the rest is slept exactly, in request().
local LOOP_MARGIN_MS = 2
local NEVER_MS = 1e8

local time = ffi.new("headwind_timespec")

local function sleep_until(at_us)
  if ffi.os == "Linux" then
    time.s = math.floor(at_us / 1e6)
    time.ns = math.floor(at_us % 1e6 * 1e3)
    while C.headwind_sleep_until(MONOTONIC, ABSOLUTE, time, nil) ~= 0 do end
    return
  end
  local left = at_us - clock.now_us()
  while left > 0 do
    time.s, time.ns = math.floor(left / 1e6), math.floor(left % 1e6 * 1e3)
    C.headwind_nanosleep(time, nil)
    left = at_us - clock.now_us()
  end
end

local function option(name, default)
  local value = os.getenv("HEADWIND_" .. name)
  return value ~= nil and value ~= "" and value or default
end

local function doubles(count)
  return ffi.cast("double *", C.headwind_calloc(count, 8))
end

-- The whole schedule, in memory that lives as long as the process.
local function build()
  local rate, length_us = tonumber(option("RATE")), tonumber(option("SCHEDULE_S")) * 1e6
  local following = arrivals.times(option("ARRIVAL", "poisson"), rate, tonumber(option("SEED", "1")))
  local due = {}
  local at = following()
  while at < length_us do
    due[#due + 1] = at
    at = following()
  end
  local plan = ffi.cast("headwind_schedule *", C.headwind_calloc(1, ffi.sizeof("headwind_schedule")))
  plan.count, plan.rate_per_s = #due, rate
  plan.expected = tonumber(option("CONNECTIONS", "1"))
  plan.due, plan.taken, plan.sent, plan.done = doubles(#due), doubles(#due), doubles(#due), doubles(#due)
  plan.status = ffi.cast("int16_t *", C.headwind_calloc(#due, 2))
  for i = 1, #due do
    plan.due[i - 1] = due[i]
  end
  C.headwind_mutex_init(plan.mutex, nil)
  return plan
end

-- Waits until every connection has had an answer; whoever completes the circle starts the schedule.
local function wait_for_start(plan)
  C.headwind_mutex_lock(plan.mutex)
  plan.ready = plan.ready + 1
  if plan.ready >= plan.expected and plan.start_us == 0 then
    plan.start_us = clock.now_us() + BARRIER_POLL_US
  end
  C.headwind_mutex_unlock(plan.mutex)
  local patience_us = clock.now_us() + BARRIER_PATIENCE_US
  while plan.start_us == 0 do
    if clock.now_us() > patience_us then
      -- Some connection never got its answer; the others do not wait for ever, and done() tells how many came.
      C.headwind_mutex_lock(plan.mutex)
      plan.start_us = plan.start_us == 0 and clock.now_us() or plan.start_us
      C.headwind_mutex_unlock(plan.mutex)
    end
    sleep_until(clock.now_us() + BARRIER_POLL_US)
  end
end

-- The next turn of the schedule, nil when there is none left.
local function take(plan)
  C.headwind_mutex_lock(plan.mutex)
  local turn = plan.next
  plan.next = turn + 1
  C.headwind_mutex_unlock(plan.mutex)
  if turn >= plan.count then
    return nil
  end
  plan.taken[turn] = clock.now_us() - plan.start_us
  return turn
end

-- This connection is through. The last one ends wrk as Ctrl-C would, so that -d may leave room for a slow start
-- and for late answers without costing that time when there are none.
local function finish(plan)
  C.headwind_mutex_lock(plan.mutex)
  plan.finished = plan.finished + 1
  local is_last = plan.finished == plan.ready
  C.headwind_mutex_unlock(plan.mutex)
  if is_last then
    C.headwind_kill(C.headwind_getpid(), SIGINT)
  end
end

-- The hooks of one thread, which has one connection.
local function per_thread(plan, verifying)
  local own_request, own_response = request, response
  local greeted, started, over = false, false, false
  local turn, waiting -- the turn taken, and whether it is still to be sent

  local function next_turn()
    if not started then
      wait_for_start(plan)
      started = true
    end
    turn = take(plan)
    waiting = turn ~= nil
    if not turn and not over then
      over = true
      finish(plan)
    end
  end

  function delay()
    if not greeted then
      return 0
    end
    next_turn()
    if over then
      return NEVER_MS
    end
    local left_ms = (plan.start_us + plan.due[turn] - clock.now_us()) / 1e3
    return math.max(0, math.floor(left_ms) - LOOP_MARGIN_MS)
  end

  function request()
    if verifying then
      verifying = false -- wrk calls request() once in the first thread, to see what it gives
      return own_request()
    end
    if not greeted then
      if ffi.os == "Linux" then
        C.headwind_prctl(SET_TIMER_SLACK, 1, 0, 0, 0)
      end
      return own_request()
    end
    if turn and not waiting and plan.done[turn] == 0 then
      plan.done[turn] = -1 -- asked for another request without a response: the connection broke
    end
    if not waiting then
      next_turn() -- after a reconnect, or in a wrk without delay()
    end
    if over then
      wrk.thread:stop()
      return ""
    end
    local bytes = own_request()
    sleep_until(plan.start_us + plan.due[turn])
    waiting = false
    plan.sent[turn] = clock.now_us() - plan.start_us
    return bytes
  end

  function response(status, headers, body)
    if turn and not waiting then
      plan.done[turn] = clock.now_us() - plan.start_us
      plan.status[turn] = status
    end
    greeted = true
    if own_response then
      own_response(status, headers, body)
    end
  end
end

-- Wraps the hooks that are set now; returns the function that gives the report's member, whole and short.
function schedule.hook()
  local own_setup, own_init = setup, init
  local plan

  function setup(thread)
    thread:set("headwind_verifies", plan == nil)
    plan = plan or build()
    thread:set("headwind_schedule", tonumber(ffi.cast("intptr_t", plan)))
    if own_setup then
      own_setup(thread)
    end
  end

  function init(args)
    if own_init then
      own_init(args)
    end
    -- wrk.request is made after init(), so it is looked up when it is called.
    request = request or function()
      return wrk.request()
    end
    per_thread(ffi.cast("headwind_schedule *", ffi.cast("intptr_t", headwind_schedule)), headwind_verifies)
  end

  return function()
    local path = option("EXACT")
    return dofile(folder .. "schedule_report.lua").describe(plan, path and path .. ".requests", {
      arrival = option("ARRIVAL", "poisson"),
      seed = tonumber(option("SEED", "1")),
      length_us = tonumber(option("SCHEDULE_S")) * 1e6,
    })
  end
end

return schedule
