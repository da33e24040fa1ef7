-- Requests from a file with one body per line: built once per thread, sent in a circle.

local bodies = {}

-- Multiples of this fraction of a circle never crowd, however many threads there are.
local GOLDEN = 0.6180339887498949

local function read_lines(path)
  local file, why = io.open(path, "rb")
  if not file then
    error("cannot read the request bodies: " .. why, 0)
  end
  local lines = {}
  for line in file:lines() do
    line = line:gsub("\r$", "")
    if line ~= "" then
      lines[#lines + 1] = line
    end
  end
  file:close()
  if #lines == 0 then
    error("no request body in " .. path .. ": one per line is expected", 0)
  end
  return lines
end

-- The bytes of one request for every line of `path`, sent by `method` to `target` (without them wrk's own).
-- wrk.format is slow (some 10 us) and depends on a body's length only, so it is called once per length; without
-- that, 64 threads would start seconds apart.
function bodies.requests(path, method, target)
  if not wrk.headers["Content-Type"] and not wrk.headers["content-type"] then
    wrk.headers["Content-Type"] = "application/json"
  end
  local heads, requests = {}, {}
  for i, body in ipairs(read_lines(path)) do
    local head = heads[#body]
    if not head then
      local whole = wrk.format(method, target, nil, body)
      head = whole:sub(1, #whole - #body)
      heads[#body] = head
    end
    requests[i] = head .. body
  end
  return requests
end

-- Sets wrk's hooks setup, init and request so that the lines of `path` are sent by `method`.
function bodies.send(path, method)
  local threads = 0
  wrk.method = method or "POST"

  function setup(thread)
    thread:set("headwind_thread", threads)
    threads = threads + 1
  end

  function init(args)
    local requests = bodies.requests(path)
    local at = math.floor((headwind_thread or 0) * GOLDEN % 1 * #requests)
    function request()
      at = at % #requests + 1
      return requests[at]
    end
  end
end

return bodies
