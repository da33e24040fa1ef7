-- POSTs real flights, one per request, and reports exactly what wrk measured. The flights are the lines of
-- flights.jsonl beside this file:
--   wrk -t4 -c200 -d45s -s wrk/prediction.lua http://localhost:8000/v1/prediction
-- What may follow `--` on the command line, or be set in the environment, is told in measure.lua.

local folder = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
local measure = dofile(folder .. "measure.lua")

measure.prepare()
dofile(folder .. "bodies.lua").send(folder .. "flights.jsonl", "POST")
measure.hook()
