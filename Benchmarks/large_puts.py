"""Puts of the cache's writer, beside a program that does nothing else.

Files are read once through the cache, and as many bytes put into LMDB by ``put.c``, in turn. What is compared is the CPU
of the thread that puts: in the gateway that of the cache's writer, whose throughput is not the reader's. Each file is
stored before the next is read, as the cache does not keep what comes faster than it can write. Both put to pages that
were used before.
"""

from __future__ import annotations

import dataclasses
import re
import subprocess
from pathlib import Path

import measure
from measure import ON_SERVER_CORE, Comparison, RangeLoad, Run, per_gib

import cache_probe
import content
import gateway
import report
from content import GIB, MIB

CHUNK = MIB
# Less than what may wait to be written.
FILE_SIZE, FILES = 40 * MIB, 25
# A put of the gateway has at least 0.8 times the throughput of one of the program.
LIMIT = 1 / 0.8


class Bare:
    """``put.c``, which is run for each figure."""

    def __init__(self, kind: str, program: str, folder: Path, file: Path, *more: str) -> None:
        folder.mkdir()
        self.kind = kind
        self._command = ON_SERVER_CORE + [program, str(folder), str(file), str(CHUNK), *more]

    def run(self) -> Run:
        done = subprocess.run(self._command, capture_output=True, text=True, timeout=300)
        result = re.fullmatch(r"RESULT (\d+) (\d+) (\d+) (\d+) (\d+) (\d+)\n", done.stdout)
        if not result:
            raise RuntimeError(f"put: {done.stderr.strip() or done.stdout.strip()}")
        chunks, size, micros, p50, p99, cpu = map(int, result.groups())
        # Nobody else needs its core: the time that it did not run went to others, or to a wait for the disk.
        waited = max(1 - cpu / micros, 0)
        return Run(chunks, size, micros / 1e6, cpu / 1e6, 1 - waited, 0, waited, p50 / 1e3, p99 / 1e3)


class Cache:
    """Reads of the files through the gateway, whose CPU is that of the writer's thread."""

    def __init__(self, server: gateway.Server, loads: list[RangeLoad]) -> None:
        self.server, self.loads = server, loads
        self.stored: list[float] = []

    def run(self, number: int) -> Run:
        cache_probe.emptied(self.server)
        before, cpu = cache_probe.settled(self.server), _thread_seconds(self.server.pid)
        runs = []
        for load in self.loads:
            runs.append(load.once(self.server, 1))
            after = cache_probe.settled(self.server)
        used = {thread: seconds - cpu.get(thread, 0) for thread, seconds in _thread_seconds(self.server.pid).items()}
        self.stored.append(after("cache_insertions_total") - before("cache_insertions_total"))
        most = max(runs, key=lambda run: run.others)
        return dataclasses.replace(most, cpu=max(used.values()), bytes=int(self.stored[-1]) * CHUNK)


def _thread_seconds(pid: int) -> dict[str, float]:
    """CPU of the threads of pools that are no event loops, of which the cache's writer is the one that has work."""
    seconds = {}
    for thread in Path(f"/proc/{pid}/task").iterdir():
        try:
            if (thread / "comm").read_text().startswith("TP-"):
                seconds[thread.name] = int((thread / "schedstat").read_text().split()[0]) / 1e9
        except OSError:
            continue  # it has ended
    return seconds


def run(root: Path, tools: Path, rounds: int, out: report.Report) -> None:
    file = content.write(tools / "all.bin", FILES * FILE_SIZE)
    put, rangeload = measure.build_on_lmdb("put", tools), measure.build("rangeload", tools)
    names = [content.write(root / f"film {number:02}.bin", FILE_SIZE).name for number in range(FILES)]
    loads = [RangeLoad(rangeload, gateway.Server.path(name), FILE_SIZE) for name in names]
    bare = Bare("LMDB", put, tools / "bare", file)
    summed = Bare("LMDB and checksums", put, tools / "summed", file, "sum")
    with gateway.Server(root, config='[cache]\nsize = "4GiB"\n', prefix=ON_SERVER_CORE) as server:
        cache = Cache(server, loads)
        comparison = Comparison("puts of chunks of 1 MiB", "CPU s/GiB", per_gib, [server, bare, summed], rounds)
        comparison.measure(lambda one, number: cache.run(number) if one is server else one.run())
    print("| puts of chunks of 1 MiB | CPU s/GiB | spread | MB/s of the thread that puts |\n|---|---|---|---|")
    for kind in comparison.runs:
        costs = comparison.costs(kind)
        median = comparison.median(kind)
        print(f"| {kind} | {median:.3f} | {costs[0]:.3f}–{costs[-1]:.3f} | {GIB / 1e6 / median:,.0f} |", flush=True)
    share = min(cache.stored) / (FILES * FILE_SIZE // CHUNK)
    out.check(share >= 0.9, "what was read was put", f"{share:.1%} of the chunks at least")
    comparison.judge(server.kind, LIMIT, bare.kind, out)
    comparison.judge(server.kind, LIMIT, summed.kind, out)
