"""A cache of a million chunks: how long it takes to start, and what memory it needs to know them.

The gateway makes a cache that knows of some objects, with one chunk of each; ``fill.c`` gives it all the others, while
the gateway is stopped. They are chunks like any other, checksums included, and take little of the disk: their bytes are
zeros, as those of the files they are of.
"""

from __future__ import annotations

import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import measure

import cache_probe
import content
import gateway
import report
from content import GIB, KIB, MIB
from stalled import anonymous_memory
from wire import fetch

CHUNK = 64 * KIB
# Whole chunks to an object.
OBJECT = 1000
# Of the map: what the gateway would have for a cache of 80 GiB, or less.
CACHE_SIZE, MAP_SIZE = 80 * GIB, 90 * GIB
READY_LIMIT = 2.0
MEMORY_LIMIT = 160
READS = 200


@dataclass
class Start:
    """Seconds from the start of the process, chunks that were known when it was ready, and bytes of memory."""

    ready: float
    known: float
    scanned: float
    peak: int
    after: int


def run(root: Path, tools: Path, count: int, out: report.Report) -> None:
    files = [content.sparse(root / f"{number:04}.bin", OBJECT * CHUNK, []) for number in range(count // OBJECT)]
    with cache_probe.server(root, size=f"{CACHE_SIZE}B", chunk=f"{CHUNK}B") as server:
        cache_probe.filled(server, lambda: [_first_chunk(server, file) for file in files], len(files))
        _stop(server)
        few = _started(server, len(files))
        _stop(server)
        _fill(tools, cache_probe.directory(server), count)
        data = cache_probe.directory(server) / "data.mdb"
        print(f"{count:,} chunks, data.mdb is {data.stat().st_size / GIB:.1f} GiB long and takes "
              f"{data.stat().st_blocks * 512 / GIB:.1f} GiB of the disk", flush=True)
        starts = {}
        for name, is_dropped in (("in memory", False), ("not in memory", True)):
            if is_dropped:
                cache_probe.drop_from_memory(data)
            starts[name] = _started(server, count)
            if not is_dropped:
                _stop(server)
        _judge_bytes(server, files, count, out)
        log = cache_probe.lines(server)
    out.check(not log, "no warning", "; ".join(line[:200] for line in log[:2]))
    _print(starts, few, count)
    _judge(starts, few, count, out)


def _first_chunk(server: gateway.Server, file: Path) -> None:
    fetch(server.address, server.path(file.name), fields=[("Range", f"bytes=0-{CHUNK - 1}")])


def _stop(server: gateway.Server) -> None:
    server.terminate()
    server.process.wait(60)


def _fill(tools: Path, directory: Path, count: int) -> None:
    program = measure.build_on_lmdb("fill", tools)
    done = subprocess.run([program, str(directory), str(CHUNK), str(MAP_SIZE)], capture_output=True, text=True)
    result = re.fullmatch(r"RESULT (\d+) (\d+)\n", done.stdout)
    if not result or int(result[1]) + int(result[2]) != count:
        raise RuntimeError(f"fill: {done.stderr or done.stdout}")


def _started(server: gateway.Server, count: int) -> Start:
    began = time.monotonic()
    server.start()
    while fetch(cache_probe.admin(server), "/readyz").status != 200:
        time.sleep(0.005)
    ready = time.monotonic() - began
    known, peak = cache_probe.metrics(server)("cache_chunks"), 0
    while (now := cache_probe.metrics(server)("cache_chunks")) < count:
        peak = max(peak, anonymous_memory(server.pid))
        if time.monotonic() - began > 600:
            raise TimeoutError(f"{now:.0f} of {count} chunks are known after ten minutes")
        time.sleep(0.01)
    scanned = time.monotonic() - began
    cache_probe.settled(server)
    after = anonymous_memory(server.pid)
    return Start(ready, known, scanned, max(peak, after), after)


def _judge_bytes(server: gateway.Server, files: list[Path], count: int, out: report.Report) -> None:
    """They are chunks that can be sent."""
    step = max(count // READS, 1)
    wrong = 0
    for place in range(0, count, step):
        first = place % OBJECT * CHUNK
        reply = fetch(server.address, server.path(files[place // OBJECT].name),
                      fields=[("Range", f"bytes={first}-{first + CHUNK - 1}")])
        wrong += reply.status != 206 or reply.body != bytes(CHUNK)
    after = cache_probe.settled(server)
    out.check(not wrong and after.source_bytes == 0 and after.corrupt == 0,
              "the chunks are hits, and are what was stored",
              f"{wrong} wrong of {-(-count // step)} read, {after.corrupt:.0f} corrupt, "
              f"{after.source_bytes:.0f} bytes from the source")


def _per_chunk(start: Start, few: Start, count: int) -> float:
    return (start.after - few.after) / (count - count // OBJECT)


def _print(starts: dict[str, Start], few: Start, count: int) -> None:
    print("| start, data.mdb | ready, s | chunks known by then | scan ended, s | RssAnon, MiB | at most "
          "| bytes a chunk |\n|---|---|---|---|---|---|---|")
    rows = {f"{count // OBJECT:,} chunks": few, **starts}
    for name, start in rows.items():
        each = "" if start is few else f"{_per_chunk(start, few, count):.0f}"
        print(f"| {name} | {start.ready:.2f} | {start.known:,.0f} | {start.scanned:.2f} | {start.after / MIB:.1f} "
              f"| {start.peak / MIB:.1f} | {each} |", flush=True)


def _judge(starts: dict[str, Start], few: Start, count: int, out: report.Report) -> None:
    for name, start in starts.items():
        out.check(start.ready < READY_LIMIT, f"{name}: ready within {READY_LIMIT:g} s",
                  f"{start.ready:.2f} s, the scan ended after {start.scanned:.2f} s")
        out.check(start.known < count, f"{name}: ready before the scan ends", f"{start.known:,.0f} of {count:,} known")
    memory = max(_per_chunk(start, few, count) for start in starts.values())
    out.check(memory <= MEMORY_LIMIT, f"at most {MEMORY_LIMIT} bytes of memory a chunk", f"{memory:.0f}")
