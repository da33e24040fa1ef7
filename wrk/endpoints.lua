-- Requests to several endpoints, chosen at random by weight: each line of HEADWIND_ENDPOINTS is
-- METHOD <tab> PATH <tab> WEIGHT <tab> FILE, the file with one request body per line ("-": no body).
-- The number of the endpoint of the latest request is left in the global headwind_endpoint.

local endpoints = {}

local function lines_of(path)
  local lines = {}
  for line in assert(io.open(path, "rb")):lines() do
    line = line:gsub("\r$", "")
    if line ~= "" then
      lines[#lines + 1] = line
    end
  end
  return lines
end

-- The bytes of an endpoint's requests. wrk.format depends on the length of a body only, and is slow.
local function format_all(method, path, file)
  if file == "-" then
    return { wrk.format(method, path) }
  end
  if not wrk.headers["Content-Type"] then
    wrk.headers["Content-Type"] = "application/json"
  end
  local heads, requests = {}, {}
  for i, body in ipairs(lines_of(file)) do
    local head = heads[#body]
    if not head then
      local whole = wrk.format(method, path, nil, body)
      head = whole:sub(1, #whole - #body)
      heads[#body] = head
    end
    requests[i] = head .. body
  end
  return requests
end

-- Sets init and request.
function endpoints.send(text)
  function init()
    local rows, total = {}, 0
    for method, path, weight, file in text:gmatch("([^\t\n]+)\t([^\t\n]+)\t([^\t\n]+)\t([^\t\n]+)") do
      total = total + tonumber(weight)
      rows[#rows + 1] = { upto = total, requests = format_all(method, path, file) }
    end
    local random = math.random
    math.randomseed(104729 * ((headwind_index or 0) + 1))

    function request()
      local draw = random() * total
      for number, row in ipairs(rows) do
        if draw < row.upto then
          headwind_endpoint = number - 1
          return row.requests[random(#row.requests)]
        end
      end
    end
  end
end

return endpoints
