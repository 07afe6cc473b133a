-- One line of exact figures for mcr-bench: wrk's own summary rounds them.
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("mcr-bench %d %d %d %d\n", summary.requests, summary.bytes,
    summary.duration, e.connect + e.read + e.write + e.status + e.timeout))
end
