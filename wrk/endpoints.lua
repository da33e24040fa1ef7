-- Requests to several endpoints, chosen at random by weight: each line of HEADWIND_ENDPOINTS is
-- METHOD <tab> PATH <tab> WEIGHT <tab> FILE, the file with one request body per line ("-": no body).
-- The number of the endpoint of the latest request is left in the global headwind_endpoint.

local folder = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
local bodies = dofile(folder .. "bodies.lua")

local endpoints = {}

-- Sets init and request.
function endpoints.send(text)
  function init()
    local rows, total = {}, 0
    for method, path, weight, file in text:gmatch("([^\t\n]+)\t([^\t\n]+)\t([^\t\n]+)\t([^\t\n]+)") do
      total = total + tonumber(weight)
      local requests = file == "-" and { wrk.format(method, path) } or bodies.requests(file, method, path)
      rows[#rows + 1] = { upto = total, requests = requests }
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
