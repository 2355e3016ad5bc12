"""Random ranges over three times what the cache holds: every byte compared while chunks come and go.

``ACCEPTANCE_SEED`` repeats a run.
"""

from __future__ import annotations

import random
import time

import cache_probe
import content
import gateway
import report
from cache_probe import Metrics
from content import KIB, MIB
from wire import Connection

CLIENTS = 8
LIMIT = 64 * MIB
CHUNK = 256 * KIB
FILES = 48
# Between random choice, where a third hits, and a few files that all ask for.
SKEW = 0.7
SAMPLE = 0.05
SLACK = 64 * CHUNK


class Peaks:
    """The most that was ever seen of what must stay below a limit."""

    def __init__(self) -> None:
        self.samples = 0
        self.bytes = 0.0
        self.used = 0
        self.reader = 0.0
        self.gap = 0.0
        self._last = time.monotonic()

    def take(self, now: Metrics, used: int) -> None:
        self.samples += 1
        self.bytes = max(self.bytes, now("cache_bytes"))
        self.used = max(self.used, used)
        self.reader = max(self.reader, now("cache_oldest_reader_seconds"))
        moment = time.monotonic()
        self.gap = max(self.gap, moment - self._last)
        self._last = moment


def watched(server: gateway.Server, readers: cache_probe.Readers) -> Peaks:
    """Samples until the readers are done."""
    peaks = Peaks()
    data = cache_probe.directory(server) / "data.mdb"
    with Connection(cache_probe.admin(server)) as connection:
        due = time.monotonic()
        while readers.running:
            peaks.take(cache_probe.metrics(server, connection), cache_probe.used_bytes(data))
            due += SAMPLE
            time.sleep(max(due - time.monotonic(), 0.001))
    return peaks


def main(out: report.Report, quick: bool) -> None:
    count = 4_000 if quick else 20_000
    seed = cache_probe.seed()
    print(f"      cache_random: seed {seed}", flush=True)
    source = random.Random(seed)
    with gateway.folder() as root:
        shares = [source.uniform(0.2, 1.8) for _ in range(FILES)]
        sizes = [int(share / sum(shares) * 3 * LIMIT) for share in shares]
        files = [content.write(root / f"{n:02}.bin", size, f"{seed} {n}") for n, size in enumerate(sizes)]
        weights = [size / (n + 1) ** SKEW for n, size in enumerate(sizes)]
        plan = cache_probe.Random(files, weights, CHUNK)
        with cache_probe.server(root, size=f"{LIMIT}B", chunk=f"{CHUNK}B") as server:
            began = time.monotonic()
            with cache_probe.Readers(server, plan, seed, CLIENTS, count) as readers:
                peaks = watched(server, readers)
                seen = readers.wait()
            took = time.monotonic() - began
            after = cache_probe.settled(server)
            alive = server.process.poll() is None
            log = cache_probe.lines(server)
    lookups = after.lookups
    ratio = lookups["hit"] / (sum(lookups.values()) or 1)
    evicted = after.evicted
    held = LIMIT // CHUNK
    limit = (LIMIT + SLACK) / MIB
    out.check(seen.answers == count and not seen.wrong and not seen.faults and not seen.broken and alive,
              f"{count} random ranges while chunks come and go",
              f"{seen}, {seen.crossing} over a border, {CLIENTS} clients, {FILES} files, {took:.0f} s, seed {seed}")
    out.check(0.3 <= ratio <= 0.7 and seen.crossing >= count / 3,
              "between 30 and 70 % of the look-ups hit",
              f"{ratio:.1%} of {sum(lookups.values()):.0f}, {lookups['collapsed']:.0f} collapsed, "
              f"{lookups['bypass']:.0f} passed by")
    out.check(evicted > held, "more chunks were evicted than the cache holds", f"{evicted:.0f}, it holds {held}")
    out.check(max(peaks.bytes, peaks.used) / MIB <= limit and peaks.bytes > LIMIT / 2,
              f"chunks, and the used part of the file, never above {limit:.0f} MiB",
              f"{peaks.bytes / MIB:.1f} and {peaks.used / MIB:.1f} MiB at most of {LIMIT / MIB:.0f}, "
              f"{peaks.samples} samples, {peaks.gap * 1000:.0f} ms apart at most")
    out.check(peaks.reader < 0.1, "no read of the database lasts 100 ms", f"{peaks.reader * 1000:.1f} ms at most")
    out.check(after("cache_rejections_total", reason="error") == 0 and after.corrupt == 0 and not log,
              "nothing failed to be stored, nothing was corrupt, no warning", "; ".join(log[:2]))


if __name__ == "__main__":
    report.run(main)
