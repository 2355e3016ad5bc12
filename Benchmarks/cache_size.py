"""What a cache takes of the disk, and how old its oldest reader is, while chunks come and go."""

from __future__ import annotations

import time
from pathlib import Path

import measure  # noqa: F401  (the folder of the modules below is on the path with it)

import cache_probe
import content
import gateway
import report
from cache_random import Peaks
from content import KIB, MIB
from wire import Connection

LIMIT = 256 * MIB
CHUNK = 256 * KIB
SLACK = 64 * CHUNK
FILES = 48
CLIENTS = 8
# Seconds between two requests of a client, on average: some fifty chunks a second come, and as many go.
PAUSE = 0.1
SAMPLE = 1.0
READER_LIMIT = 0.1


def run(root: Path, minutes: float, out: report.Report) -> None:
    seed = cache_probe.seed()
    files = [content.write(root / f"{number:02}.bin", 3 * LIMIT // FILES, f"{seed} {number}")
             for number in range(FILES)]
    plan = cache_probe.Random(files, [1] * FILES, CHUNK)
    with cache_probe.server(root, size=f"{LIMIT}B", chunk=f"{CHUNK}B") as server:
        with cache_probe.Readers(server, plan, seed, CLIENTS, pause=PAUSE) as readers:
            peaks = _watched(server, 60 * minutes)
            seen = readers.stop()
        after = cache_probe.settled(server)
        log = cache_probe.lines(server)
    limit, held = (LIMIT + SLACK) / MIB, LIMIT // CHUNK
    out.check(seen.answers > 0 and not seen.wrong and not seen.faults and not seen.broken and not log,
              f"random ranges for {minutes:g} minutes",
              f"{seen}, seed {seed}" + "".join(f"; {line[:200]}" for line in log[:2]))
    out.check(after.evicted > held, "more chunks were evicted than the cache holds",
              f"{after.evicted / held:.0f} times as many")
    figures = f"{peaks.samples} samples, {peaks.gap:.1f} s apart at most"
    out.check(max(peaks.bytes, peaks.used) / MIB <= limit and peaks.bytes > LIMIT / 2,
              f"chunks, and data.mdb, never above {limit:.0f} MiB, which is the limit and 64 chunks",
              f"{peaks.bytes / MIB:.1f} and {peaks.used / MIB:.1f} MiB at most, {figures}")
    out.check(peaks.reader < READER_LIMIT, f"the oldest reader is under {READER_LIMIT * 1000:.0f} ms",
              f"{peaks.reader * 1000:.1f} ms at most, {figures}")


def _watched(server: gateway.Server, seconds: float) -> Peaks:
    """Samples, and prints what there was each minute."""
    data = cache_probe.directory(server) / "data.mdb"
    whole, minute = Peaks(), Peaks()
    print("| minute | samples | chunks, MiB at most | data.mdb, MiB at most | oldest reader, ms at most | evicted |\n"
          "|---|---|---|---|---|---|", flush=True)
    began = time.monotonic()
    with Connection(cache_probe.admin(server)) as connection:
        for number in range(1, round(seconds / SAMPLE) + 1):
            time.sleep(max(began + number * SAMPLE - time.monotonic(), 0))
            now, size = cache_probe.metrics(server, connection), data.stat().st_size
            whole.take(now, size)
            minute.take(now, size)
            if number % round(60 / SAMPLE) == 0:
                print(f"| {number * SAMPLE / 60:.0f} | {minute.samples} | {minute.bytes / MIB:.1f} "
                      f"| {minute.used / MIB:.1f} | {minute.reader * 1000:.1f} | {now.evicted:.0f} |", flush=True)
                minute = Peaks()
    return whole
