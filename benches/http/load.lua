-- Sends the requests of a table and tells in one line what came of it: see load.rs, which writes the table and reads
-- the line. One script for every load, so that both sides of a comparison cost the generator the same.
--
-- A line of the table is method, path, token and body, with tabs between. {n} in a body is text that never comes
-- twice. Arguments: table=FILE, order=random or own (each thread has a line of its own), salt=TEXT (told apart from
-- other runs), delay=MS (between an answer and the next request of a connection).

local threads = 0

function setup(thread)
   thread:set("number", threads)
   threads = threads + 1
end

local function read(path)
   local requests = {}
   for line in io.lines(path) do
      local method, path, token, body = line:match("^([^\t]*)\t([^\t]*)\t([^\t]*)\t(.*)$")
      local headers = { ["Authorization"] = "SSWS " .. token }
      if body == "" then
         body = nil
      else
         headers["Content-Type"] = "application/json"
      end
      if body and body:find("{n}", 1, true) then
         requests[#requests + 1] = { method, path, headers, body }
      else
         requests[#requests + 1] = wrk.format(method, path, headers, body)
      end
   end
   return requests
end

function init(arguments)
   local options = {}
   for _, argument in ipairs(arguments) do
      local name, value = argument:match("^(%w+)=(.*)$")
      options[name] = value
   end
   local requests = read(options.table)
   local own = requests[number % #requests + 1]
   local fresh = 0

   function request()
      local chosen = own
      if options.order == "random" then
         chosen = requests[math.random(#requests)]
      end
      if type(chosen) == "string" then
         return chosen
      end
      fresh = fresh + 1
      local text = string.format("%s-%d-%d", options.salt, number, fresh)
      return wrk.format(chosen[1], chosen[2], chosen[3], (chosen[4]:gsub("{n}", text)))
   end

   -- wrk takes another path through its code where this is defined at all.
   if options.delay then
      function delay()
         return tonumber(options.delay)
      end
   end
end

function done(summary, latency, requests)
   local errors = summary.errors
   print(string.format(
      "outcome requests=%d duration_us=%d p50_us=%d p90_us=%d p99_us=%d status=%d connect=%d read=%d write=%d timeout=%d",
      summary.requests, summary.duration,
      latency:percentile(50), latency:percentile(90), latency:percentile(99),
      errors.status, errors.connect, errors.read, errors.write, errors.timeout
   ))
end
