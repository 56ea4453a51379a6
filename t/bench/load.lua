-- SPDX-License-Identifier: Apache-2.0
-- For wrk: each thread sends the requests of its own file, <prefix>-<thread>, in a cycle, and the results are printed
-- as one line of JSON. A file has "<bytes>\n<request>" for each request.
-- response() is not defined, because wrk would then copy every response to Lua.

local threads = {}

function setup(thread)
    thread:set("number", #threads)
    table.insert(threads, thread)
end

function init(args)
    local file = assert(io.open(args[1] .. "-" .. number, "rb"))
    requests, sent = {}, 0
    while true do
        local length = file:read("*n")
        if not length then break end
        file:read(1)
        requests[#requests + 1] = file:read(length)
    end
    file:close()
end

function request()
    sent = sent + 1
    return requests[(sent - 1) % #requests + 1]
end

function done(summary, latency)
    local errors, sent_by = summary.errors, {}
    for _, thread in ipairs(threads) do
        sent_by[#sent_by + 1] = thread:get("sent")
    end
    io.write(string.format(
        '{"seconds":%.6f,"requests":%d,"bytes":%d,"connect":%d,"read":%d,"write":%d,"timeout":%d,"status":%d,' ..
        '"p50_us":%d,"p99_us":%d,"max_us":%d,"sent":[%s]}\n',
        summary.duration / 1e6, summary.requests, summary.bytes, errors.connect, errors.read, errors.write,
        errors.timeout, errors.status, latency:percentile(50), latency:percentile(99), latency.max,
        table.concat(sent_by, ",")))
end
