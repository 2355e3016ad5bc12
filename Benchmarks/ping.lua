-- Prints the same line as `rangeload.c`, for requests that wrk makes by itself.
function done(summary, latency, requests)
    local failed = summary.errors.connect + summary.errors.read + summary.errors.write
        + summary.errors.status + summary.errors.timeout
    io.write(string.format("RESULT %d %d %d %d %d %d\n", summary.requests, summary.bytes, summary.duration,
        latency:percentile(50), latency:percentile(99), failed))
end
