#!/usr/bin/env python3
"""Measures what the chunk cache costs where it does not hit: misses, stalled readers, cold chunks, its size.

    python3 Benchmarks/cache.py [--rounds N] [--quick] [--minutes N] [NAME ...]

Names choose:

    misses   a file read through the cache for the first time, beside the same file without the cache
    stalled  the memory of readers that stop reading, of what the cache has and of what it does not have
    cold     readers of what is in the cache's file and not in memory, beside streams of what is
    size     what the cache and its file take, and its oldest reader, while chunks come and go for half an hour

See README.md beside this file for what is measured and how. Exits with 1 if a limit is missed.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path

import measure
from measure import Comparison, RangeLoad, Run, per_gib

import cache_cold
import cache_probe
import cache_size
import content
import gateway
import report
import stalled
from content import KIB, MIB
from wire import fetch

PARTS = ("misses", "stalled", "cold", "size")

# CPU of a byte that is fetched through the cache, times that of one without it.
MISS_LIMIT = 1.6
STALLED_LIMIT, COLD_STALLED_LIMIT = 60 * MIB, 256 * MIB
READERS = 100
# Equal parts of it are whole chunks, for one reader and for ten.
SIZE = 1000 * MIB


class CachedServer(gateway.Server):
    """The gateway whose cache has room for everything."""

    kind = "cached"

    def __init__(self, root: Path, **options) -> None:
        super().__init__(root, config='[cache]\nsize = "4GiB"\n', **options)


class UncachedServer(gateway.Server):
    kind = "uncached"

    def __init__(self, root: Path, **options) -> None:
        super().__init__(root, cached=False, **options)


class Misses:
    """First reads of a file. The cache is empty before each, and what it writes afterwards is counted."""

    def __init__(self, load: RangeLoad, file: Path) -> None:
        self.load, self.file = load, file
        # What the measured reads through the cache had from the source, and what was stored, as shares of the file.
        self.fetched: list[float] = []
        self.stored: list[float] = []

    def read(self, server: gateway.Server, connections: int, number: int) -> Run:
        if server.kind == CachedServer.kind:
            cache_probe.emptied(server)
        before, cpu = cache_probe.settled(server), measure.cpu_seconds(server.pid)
        run = self.load.once(server, connections, verify=None if number else self.file)
        after = cache_probe.settled(server)
        run = dataclasses.replace(run, cpu=measure.cpu_seconds(server.pid) - cpu)
        if server.kind == CachedServer.kind and number:
            self.fetched.append((after.source_bytes - before.source_bytes) / SIZE)
            self.stored.append((after("cache_insertions_total") - before("cache_insertions_total")) * MIB / SIZE)
        return run

    def judge(self, out: report.Report) -> None:
        out.check(min(self.fetched, default=0) >= 1, "every read was a first one",
                  f"{min(self.fetched):.1%} of the file was fetched at least, and {min(self.stored):.1%} stored")


def misses(root: Path, tools: Path, rounds: int, out: report.Report) -> None:
    file = content.write(root / "film.bin", SIZE)
    load = RangeLoad(measure.build("rangeload", tools), gateway.Server.path(file.name), SIZE)
    pin = measure.ON_SERVER_CORE
    with CachedServer(root, prefix=pin) as cached, UncachedServer(root, prefix=pin) as uncached:
        print(Comparison.HEAD)
        for connections, title in ((1, "first read of a file by 1 reader"), (10, "the same by 10, a tenth each")):
            first = Misses(load, file)
            comparison = Comparison(title, "CPU s/GiB", per_gib, [cached, uncached], rounds)
            comparison.measure(lambda server, number: first.read(server, connections, number))
            comparison.print()
            comparison.judge(CachedServer.kind, MISS_LIMIT, UncachedServer.kind, out)
            first.judge(out)
    file.unlink()


def stalled_readers(root: Path, tools: Path, seconds: float, out: report.Report) -> None:
    file = content.write(root / "film.bin", SIZE)
    load = RangeLoad(measure.build("rangeload", tools), gateway.Server.path(file.name), SIZE)
    what = f"{READERS} readers that stop reading, each at its own offset"
    cold, hot = f"{what}, of what the cache does not have: RssAnon", f"{what}, of what it has: RssAnon"
    with out.guarded(cold), CachedServer(root) as server:
        fetch(server.address, server.path(file.name), fields=[("Range", f"bytes=0-{64 * KIB}")])
        stalled.hold(server, file.name, SIZE, READERS, seconds).judge(COLD_STALLED_LIMIT, cold, out)
    with out.guarded(hot), CachedServer(root) as server:
        cache_probe.filled(server, lambda: load.once(server, 1), SIZE // MIB)
        # So that nothing but hits has used memory before.
        server.restart()
        load.once(server, 1)
        stalled.hold(server, file.name, SIZE, READERS, seconds).judge(STALLED_LIMIT, hot, out)
    file.unlink()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="runs for each figure (default 7)")
    parser.add_argument("--quick", action="store_true", help="3 rounds, and a minute of size")
    parser.add_argument("--minutes", type=float, default=30, help="length of size (default 30)")
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[[], *PARTS], help="what is measured")
    return parser.parse_args()


def main() -> int:
    chosen = arguments()
    rounds, minutes = (3, 1.0) if chosen.quick else (chosen.rounds, chosen.minutes)
    out = measure.begin({"taskset": "util-linux", "cc": "gcc", "fincore": "util-linux-extra"}, 3600 + 60 * minutes)
    if out is None:
        return 1
    parts = {
        "misses": lambda root, tools: misses(root, tools, rounds, out),
        "stalled": lambda root, tools: stalled_readers(root, tools, 10, out),
        "cold": lambda root, tools: cache_cold.run(root, tools, rounds, out),
        "size": lambda root, _: cache_size.run(root, minutes, out),
    }
    return measure.run_parts(parts, chosen.names, out)


if __name__ == "__main__":
    sys.exit(main())
