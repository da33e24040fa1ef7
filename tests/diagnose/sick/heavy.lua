-- A script that keeps wrk busy: every request is built anew, with much needless work.
function request()
  local text = ""
  for i = 1, 400 do
    text = text .. string.format("%d,", i)
  end
  return wrk.format("GET", nil, { ["X-Numbers"] = tostring(#text) })
end
