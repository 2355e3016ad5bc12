-- Random ranges of LENGTH bytes of a file of SIZE bytes; `wrk … -- PATH SIZE LENGTH SEED`.
local path, size, length

function init(args)
    path, size, length = args[1], tonumber(args[2]), tonumber(args[3])
    math.randomseed(tonumber(args[4]))
end

function request()
    -- Two draws: one has no more than 31 bits.
    local first = math.floor((math.random() + math.random() / 2147483648) * (size - length))
    return wrk.format("GET", path, { ["Range"] = string.format("bytes=%d-%d", first, first + length - 1) })
end

function done(summary, latency, requests)
    local failed = summary.errors.connect + summary.errors.read + summary.errors.write
        + summary.errors.status + summary.errors.timeout
    io.write(string.format("RESULT %d %d %d %d %d %d\n", summary.requests, summary.bytes, summary.duration,
        latency:percentile(50), latency:percentile(99), failed))
end
