"""A cache of a million chunks: how long it takes to start, and what memory it needs to know them.

The gateway makes a cache that knows of some objects, with one chunk of each; ``fill.c`` gives it all the others, while
the gateway is stopped. They are chunks like any other, checksums included; their bytes are zeros, as those of the files
they are of. The million lie in a file with holes, in memory; a tenth of them, whole, on the disk.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import measure
from measure import anonymous_memory

import cache_probe
import content
import gateway
import report
from content import GIB, KIB, MIB
from wire import fetch

CHUNK = 64 * KIB
# Whole chunks to an object.
OBJECT = 1000
# Of the map: what the gateway would have for a cache of 80 GiB, or less.
CACHE_SIZE, MAP_SIZE = 80 * GIB, 90 * GIB
# What is read from the disk is a tenth, and so is what it may take.
COLD_PART = 10
READY_LIMIT = 2.0
MEMORY_LIMIT = 160
READS = 200


@dataclass
class Start:
    #: Seconds until it was ready, from the start of the process, and of its CPU.
    ready: float
    cpu: float
    #: Chunks that were known by then.
    known: float
    #: Seconds until all were.
    scanned: float
    #: RssAnon at the end.
    memory: int


def run(root: Path, tools: Path, count: int, out: report.Report) -> None:
    program = measure.build_on_lmdb("fill", tools)
    files = [content.sparse(root / f"{number:04}.bin", OBJECT * CHUNK, []) for number in range(count // OBJECT)]
    print("| start | ready, s | CPU s | chunks known by then | scan ended, s | RssAnon, MiB | at most |\n"
          "|---|---|---|---|---|---|---|", flush=True)
    with _in_memory(), cache_probe.server(root, size=f"{CACHE_SIZE}B", chunk=f"{CHUNK}B") as server:
        few = _with_few(server, files)
        _fill(program, server, count)
        warm = _started(server, count, "in memory")
        _judge_bytes(server, files, count, out)
        log = cache_probe.lines(server)
    part = files[:len(files) // COLD_PART]
    with cache_probe.server(root, size=f"{CACHE_SIZE}B", chunk=f"{CHUNK}B") as server:
        _with_few(server, part)
        _fill(program, server, len(part) * OBJECT, "whole")
        cache_probe.drop_from_memory(cache_probe.directory(server) / "data.mdb")
        cold = _started(server, len(part) * OBJECT, "on the disk")
        log += cache_probe.lines(server)
    out.check(not log, "no warning", "; ".join(line[:200] for line in log[:2]))
    _judge(warm, cold, few, count, out)


@contextlib.contextmanager
def _in_memory():
    """Has temporary files in memory: to delete a file of a million pieces may take an hour where `discard` is on."""
    usual, tempfile.tempdir = tempfile.tempdir, "/dev/shm"
    try:
        yield
    finally:
        tempfile.tempdir = usual


def _with_few(server: gateway.Server, files: list[Path]) -> Start:
    """A start with one chunk of each object, after which the gateway is stopped."""
    cache_probe.filled(server, lambda: [_first_chunk(server, file) for file in files], len(files))
    _stop(server)
    few = _started(server, len(files), "one chunk of each object")
    _stop(server)
    return few


def _first_chunk(server: gateway.Server, file: Path) -> None:
    fetch(server.address, server.path(file.name), fields=[("Range", f"bytes=0-{CHUNK - 1}")])


def _stop(server: gateway.Server) -> None:
    server.terminate()
    server.process.wait(60)


def _fill(program: str, server: gateway.Server, count: int, *more: str) -> None:
    command = [program, str(cache_probe.directory(server)), str(CHUNK), str(MAP_SIZE), *more]
    done = subprocess.run(command, capture_output=True, text=True)
    result = re.fullmatch(r"RESULT (\d+) (\d+)\n", done.stdout)
    if not result or int(result[1]) + int(result[2]) != count:
        raise RuntimeError(f"fill: {done.stderr or done.stdout}")


def _started(server: gateway.Server, count: int, what: str) -> Start:
    began = time.monotonic()
    server.start()
    while fetch(cache_probe.admin(server), "/readyz").status != 200:
        time.sleep(0.005)
    ready, cpu = time.monotonic() - began, measure.cpu_seconds(server.pid)
    known, peak = cache_probe.metrics(server)("cache_chunks"), 0
    while (now := cache_probe.metrics(server)("cache_chunks")) < count:
        peak = max(peak, anonymous_memory(server.pid))
        if time.monotonic() - began > 600:
            raise TimeoutError(f"{now:.0f} of {count} chunks are known after ten minutes")
        time.sleep(0.01)
    scanned = time.monotonic() - began
    cache_probe.settled(server)
    after = anonymous_memory(server.pid)
    peak = max(peak, after)
    print(f"| {count:,} chunks, {what} | {ready:.2f} | {cpu:.2f} | {known:,.0f} | {scanned:.2f} | {after / MIB:.1f} "
          f"| {peak / MIB:.1f} |", flush=True)
    return Start(ready, cpu, known, scanned, after)


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


def _judge(warm: Start, cold: Start, few: Start, count: int, out: report.Report) -> None:
    out.check(warm.ready < READY_LIMIT, f"in memory: ready within {READY_LIMIT:g} s",
              f"{warm.ready:.2f} s, {warm.cpu:.2f} of CPU; the scan ended after {warm.scanned:.2f} s")
    out.check(warm.known < count, "in memory: ready before the scan ends", f"{warm.known:,.0f} of {count:,} known")
    out.check(cold.ready * COLD_PART < READY_LIMIT,
              f"on the disk: ready within {READY_LIMIT / COLD_PART:g} s, the part of a tenth",
              f"{cold.ready:.2f} s, {cold.cpu:.2f} of CPU; the scan ended after {cold.scanned:.2f} s")
    memory = (warm.memory - few.memory) / (count - count // OBJECT)
    out.check(memory <= MEMORY_LIMIT, f"at most {MEMORY_LIMIT} bytes of memory a chunk", f"{memory:.0f}")
