-- What wrk sends. The arguments after "--" are name=value; benchmarks/wrk.py writes them:
--   mode     read, vote, one-post, reply, mixed (80 % anonymous, 19 % members, 1 % writes)
--   paths    file of the pages to read, one a line
--   members  file of id, session, CSRF token; "" reads as nobody
--   few      how many of the members take part; 0 is all
--   posts    file of id, author id: what is voted on
--   topics   file of the pages to reply on
--   first    the number of the first write: a vote is a pair of post and member that no run repeats
--   run      its number: each votes on another single post first
--   address  the first of the addresses 10.x.y.z that this run may use
--   threads  as given to wrk
--   think    least and most seconds between an answer and the next question, "5-15"; "" is none
-- Each reader has an address of their own: VISIT pages in a row, or with mode=mixed one page in
-- turn, as many readers as there are connections.

local VISIT = 15
local READERS = 2500 -- a thread, in mixed mode
local STRIDE = 25000 -- addresses a thread

local number = 0
function setup(thread)
  thread:set("thread_number", number)
  number = number + 1
end

local function rows(path)
  local found = {}
  if path == "" then return found end
  for line in assert(io.open(path)):lines() do
    local row = {}
    for word in line:gmatch("[^\t]+") do row[#row + 1] = word end
    found[#found + 1] = row
  end
  return found
end

local given = {}
local paths, members, posts, topics
local count = 0

function init(args)
  for _, word in ipairs(args) do
    local name, value = word:match("^([%w-]+)=(.*)$")
    if name then given[name] = value end
  end
  for _, name in ipairs({ "first", "run", "address", "threads", "few" }) do
    given[name] = tonumber(given[name])
  end
  paths, members = rows(given.paths), rows(given.members)
  posts, topics = rows(given.posts), rows(given.topics)
  if given.few == 0 or given.few > #members then given.few = #members end
  math.randomseed(os.time() * 8 + thread_number)
  local least, most = given.think:match("^([%d.]+)-([%d.]+)$")
  if least then
    -- wrk looks for this name: it waits so long before a connection asks, the first time too
    function delay() return math.random(least * 1000, most * 1000) end
  end
end

local function address(reader)
  local place = given.address + thread_number * STRIDE + reader
  return string.format("10.%d.%d.%d", math.floor(place / 65536) % 256, math.floor(place / 256) % 256, place % 256)
end

local function get(path, reader, member)
  local headers = { ["X-Forwarded-For"] = address(reader) }
  if member then headers["Cookie"] = "sessionid=" .. member[2] .. "; csrftoken=" .. member[3] end
  return wrk.format("GET", path, headers)
end

local function post(path, reader, member, body)
  return wrk.format("POST", path, {
    ["X-Forwarded-For"] = address(reader),
    ["Cookie"] = "sessionid=" .. member[2] .. "; csrftoken=" .. member[3],
    ["Content-Type"] = "application/x-www-form-urlencoded",
    ["HX-Request"] = given.mode ~= "reply" and "true" or nil,
  }, "csrfmiddlewaretoken=" .. member[3] .. "&" .. body)
end

local function any(list, few) return list[math.random(few or #list)] end

-- The n-th vote, of a member on a post that is not theirs.
local function vote(n, reader, one)
  local chosen, member
  if one then
    local turn = given.run + math.floor((n - given.first) / #members)
    chosen, member = posts[#posts - turn % 20], members[n % #members + 1]
  else
    local most = #posts - 20
    chosen = posts[n % most + 1]
    member = members[(n + math.floor(n / most)) % #members + 1]
  end
  if chosen[2] == member[1] then member = members[(n + 7) % #members + 1] end
  return post("/debates/post/" .. chosen[1] .. "/votar/", reader, member, "value=1")
end

local function reply(n, reader)
  local member = members[n % #members + 1]
  local body = "content=Resposta+" .. n .. "+de+uma+leitora+que+volta+ao+cap%C3%ADtulo+e+discorda"
    .. "+do+que+se+disse+do+narrador%3A+ele+mente%2C+e+o+livro+sabe+disso."
  return post(topics[n % #topics + 1][1] .. "responder/", reader, member, body .. "&spoiler_percent=0&parent=")
end

local function mixed(n)
  local reader, chance = count % READERS, math.random()
  if chance < 0.005 then return vote(n, reader, false) end
  if chance < 0.01 then return reply(n, reader) end
  return get(any(paths)[1], reader, chance < 0.2 and any(members, given.few) or nil)
end

function request()
  local n = given.first + count * given.threads + thread_number
  count = count + 1
  local visit = math.floor(count / VISIT)
  if given.mode == "mixed" then return mixed(n) end
  if given.mode == "vote" then return vote(n, visit, false) end
  if given.mode == "one-post" then return vote(n, visit, true) end
  if given.mode == "reply" then return reply(n, visit) end
  return get(paths[n % #paths + 1][1], visit, members[visit % math.max(given.few, 1) + 1])
end

function done(summary, latency, _)
  local e = summary.errors
  io.write(string.format(
    'BENCH {"requests": %d, "seconds": %.6f, "bytes": %d, "p50": %.3f, "p95": %.3f, "p99": %.3f, "longest": %.3f,'
      .. ' "errors": {"connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d}}\n',
    summary.requests, summary.duration / 1e6, summary.bytes,
    latency:percentile(50) / 1e3, latency:percentile(95) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3,
    e.connect, e.read, e.write, e.status, e.timeout))
end
