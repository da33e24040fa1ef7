-- What the threads of one wrk share where each has one connection: memory that FFI allocates, a lock, a common start
-- and a common end. Threads share an address space, and a pointer passed as a number reaches every Lua state.
--
-- Each connection first sends one request outside the plan, and time starts when all were answered: see
-- docs/capacity.md, "The start-up stall".

local shared = {}

local folder = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
local clock = dofile(folder .. "clock.lua")
local ffi = require("ffi")

ffi.cdef([[
  typedef struct {
    double *due, *taken, *sent, *done;   /* microseconds from the start; done -1: the connection broke */
    int16_t *status, *endpoint;
    double start_us;                     /* on the monotonic clock; 0: not started */
    double spin_us;                      /* see come_at */
    int32_t count, next, ready, expected, finished;
    int64_t mutex[16];                   /* larger than any platform's pthread_mutex_t */
  } headwind_plan;
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
    typedef struct {
      uint32_t size, policy;
      uint64_t flags;
      int32_t nice;
      uint32_t priority;
      uint64_t runtime_ns, deadline_ns, period_ns;
    } headwind_sched_attr;
    long headwind_sched_setattr(long number, long pid, headwind_sched_attr *attributes, long flags)
      __asm__("syscall");
    int headwind_getpriority(int which, int who) __asm__("getpriority");
  ]])
end

local C = ffi.C
local MONOTONIC, ABSOLUTE, SET_TIMER_SLACK, SIGINT = 1, 1, 29, 2
local SCHED_SETATTR, SHORTEST_SLICE_NS = { x64 = 314, arm64 = 274 }, 1e5
local BARRIER_PATIENCE_US = 10e6
local BARRIER_POLL_US = 1000
-- The event loop's timers are good to a millisecond; the rest is slept exactly, in request().
local LOOP_MARGIN_MS = 2
-- Turning may take so much of one processor over all requests, and so long before each.
local SPIN_SHARE, LONGEST_SPIN_US = 0.02, 100
shared.NEVER_MS = 1e8

local time = ffi.new("headwind_timespec")

function shared.option(name, default)
  local value = os.getenv("HEADWIND_" .. name)
  return value ~= nil and value ~= "" and value or default
end

function shared.sleep_until(at_us)
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

-- Whole milliseconds that delay() may wait in the event loop before a request is due.
function shared.loop_ms(at_us)
  return math.max(0, math.floor((at_us - clock.now_us()) / 1e3) - LOOP_MARGIN_MS)
end

-- Sleeps until shortly before, and turns for the rest: a processor that must be woken comes 50 to 100 us late.
-- `spin_us` is what a request may cost of that.
function shared.come_at(at_us, spin_us)
  shared.sleep_until(at_us - spin_us)
  while clock.now_us() < at_us do end
end

-- Timers of this thread to the nanosecond instead of 50 microseconds, and the shortest slice of the scheduler, so that a
-- thread whose time has come need not wait until a busy server on its processor has had its own slice of some
-- milliseconds. Needs no privilege; a kernel before Linux 6.12 ignores the slice.
function shared.sharpen_timers()
  if ffi.os ~= "Linux" then
    return
  end
  C.headwind_prctl(SET_TIMER_SLACK, 1, 0, 0, 0)
  local number = SCHED_SETATTR[ffi.arch]
  if number then
    local attributes = ffi.new("headwind_sched_attr")
    attributes.size, attributes.runtime_ns = ffi.sizeof(attributes), SHORTEST_SLICE_NS
    attributes.nice = C.headwind_getpriority(0, 0)
    C.headwind_sched_setattr(number, 0, attributes, 0)
  end
end

local function doubles(count)
  return ffi.cast("double *", C.headwind_calloc(count, 8))
end

local function shorts(count)
  return ffi.cast("int16_t *", C.headwind_calloc(count, 2))
end

-- Room for `count` requests of `expected` connections, in memory that lives as long as the process. `rate` per second,
-- where it is known, says how long each may turn before it is sent.
function shared.new(count, expected, rate)
  local plan = ffi.cast("headwind_plan *", C.headwind_calloc(1, ffi.sizeof("headwind_plan")))
  plan.count, plan.expected = count, expected
  plan.spin_us = rate and math.min(LONGEST_SPIN_US, SPIN_SHARE * 1e6 / rate) or 0
  plan.due, plan.taken, plan.sent, plan.done = doubles(count), doubles(count), doubles(count), doubles(count)
  plan.status, plan.endpoint = shorts(count), shorts(count)
  C.headwind_mutex_init(plan.mutex, nil)
  return plan
end

function shared.pointer(plan)
  return tonumber(ffi.cast("intptr_t", plan))
end

function shared.at(pointer)
  return ffi.cast("headwind_plan *", ffi.cast("intptr_t", pointer))
end

-- Microseconds since the start.
function shared.now(plan)
  return clock.now_us() - plan.start_us
end

-- Waits until every connection has had an answer; whoever completes the circle starts the time.
function shared.wait_for_start(plan)
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
    shared.sleep_until(clock.now_us() + BARRIER_POLL_US)
  end
end

-- The next free place, nil when there is none left.
function shared.take(plan)
  C.headwind_mutex_lock(plan.mutex)
  local turn = plan.next
  plan.next = math.min(turn + 1, plan.count)
  C.headwind_mutex_unlock(plan.mutex)
  if turn >= plan.count then
    return nil
  end
  plan.taken[turn] = shared.now(plan)
  return turn
end

-- This connection is through. The last one ends wrk as Ctrl-C would, so that -d may leave room for a slow start
-- and for late answers without costing that time when there are none.
function shared.finish(plan)
  C.headwind_mutex_lock(plan.mutex)
  plan.finished = plan.finished + 1
  local is_last = plan.finished == plan.ready
  C.headwind_mutex_unlock(plan.mutex)
  if is_last then
    C.headwind_kill(C.headwind_getpid(), SIGINT)
  end
end

-- The hooks of one thread, which has one connection. `next_turn()` is called when the connection is free; it gives
-- the turn that it took (with its due time written down), or nil and when to ask again in microseconds from the
-- start, or nothing when this connection is through.
function shared.hooks(plan, verifying, next_turn)
  local own_request, own_response = request, response
  local greeted, started, over = false, false, false
  local turn, waiting -- the turn taken, and whether it is still to be sent

  local function advance()
    if not started then
      shared.wait_for_start(plan)
      started = true
    end
    local at
    turn, at = next_turn()
    waiting = turn ~= nil and at == nil
    if not turn and not at and not over then
      over = true
      shared.finish(plan)
    end
    return at
  end

  function delay()
    if not greeted then
      return 0
    end
    local later_us = advance()
    if over then
      return shared.NEVER_MS
    end
    return shared.loop_ms(plan.start_us + (later_us or plan.due[turn]))
  end

  function request()
    if verifying then
      verifying = false -- wrk calls request() once in the first thread, to see what it gives
      return own_request()
    end
    if not greeted then
      shared.sharpen_timers()
      return own_request()
    end
    if turn and not waiting and plan.done[turn] == 0 then
      plan.done[turn] = -1 -- asked for another request without a response: the connection broke
    end
    while not waiting and not over do
      -- After a reconnect, in a wrk without delay(), or when a pause that delay() waited for is over.
      local later_us = advance()
      if later_us then
        shared.sleep_until(plan.start_us + later_us)
      end
    end
    if over then
      wrk.thread:stop()
      return ""
    end
    local bytes = own_request()
    plan.endpoint[turn] = headwind_endpoint or 0
    shared.come_at(plan.start_us + plan.due[turn], plan.spin_us)
    waiting = false
    plan.sent[turn] = shared.now(plan)
    return bytes
  end

  function response(status, headers, body)
    if turn and not waiting and greeted then
      plan.done[turn] = shared.now(plan)
      plan.status[turn] = status
    end
    greeted = true
    if own_response then
      own_response(status, headers, body)
    end
  end
end

-- Hands the plan that `build` makes to every thread, and lets `per_thread(plan, index)` give each its turns.
function shared.wrap(build, per_thread)
  local own_setup, own_init = setup, init
  local plan
  local threads = 0

  function setup(thread)
    thread:set("headwind_index", threads)
    threads = threads + 1
    plan = plan or build()
    thread:set("headwind_plan", shared.pointer(plan))
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
    local mine = shared.at(headwind_plan)
    shared.hooks(mine, headwind_index == 0, per_thread(mine, headwind_index))
  end

  return function()
    return plan
  end
end

return shared
