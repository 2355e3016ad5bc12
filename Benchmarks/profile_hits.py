#!/usr/bin/env python3
"""Where the CPU time of a hit goes: perf on the gateway while ranges of an object are read that its cache has.

    python3 Benchmarks/profile_hits.py [--length KIB] [--connections N] [--seconds N] [--quick]

Prints the share of each part, and the functions that took most themselves. See README.md beside this file.
"""

from __future__ import annotations

import argparse
import collections
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import measure
from measure import ON_SERVER_CORE, RangeLoad, name_of

import cache_probe
import content
import gateway
import report
from content import KIB, MIB

SIZE = 256 * MIB
# Samples a second of CPU time.
FREQUENCY = 1999
# A sample belongs to the first part that one of its functions names, from the kernel's side outwards.
PARTS = (
    ("sending: the copy, TCP, waking the client", r"sendmsg|tcp_sendmsg"),
    ("waiting for events", r"epoll_wait"),
    ("receiving the request", r"recvmsg|recvfrom|ksys_read|__libc_read"),
    ("asking whether pages are in memory", r"mincore"),
    ("finding the bytes: a read transaction of LMDB", r"^mdb_"),
    ("access log", r"9AccessLog|10LineWriter|8LineSink"),
    ("counters", r"PrometheusMetrics|10RequestStages|14CacheCounters"),
    ("memory and reference counts", r"swift_(allocObject|release|retain|slowAlloc|slowDealloc)|malloc|cfree|_int_free"),
    ("chunk cache: object, chunk, lease", r"^\$s10ChunkCache"),
    ("recognising the request, making the head, deciding", r"^\$s7Gateway"),
    ("HTTP and event loop: NIO, Hummingbird", r"^\$s(7NIO|8NIOPosix|7NIOCore|8NIOHTTP1|11Hummingbird|15HummingbirdCore)"),
)
REST = "the rest"
SHOWN = 20
QUICK_SECONDS = 2


def samples(recording: Path) -> Iterator[list[str]]:
    """The functions of each sample, the one that ran first."""
    told = subprocess.run(["perf", "script", "-i", str(recording), "-F", "ip,sym"], capture_output=True, text=True,
                          errors="replace", check=True).stdout
    for block in told.split("\n\n"):
        if functions := [line.split(maxsplit=1)[1] for line in block.splitlines() if len(line.split()) > 1]:
            yield functions


def part_of(functions: list[str]) -> str:
    return next((name for name, pattern in PARTS for function in functions if re.search(pattern, function)), REST)


def run(root: Path, tools: Path, length: int, connections: int, seconds: float, out: report.Report) -> None:
    content.write(root / "film.bin", SIZE)
    load = RangeLoad(measure.build("rangeload", tools), f"{gateway.MOUNT}/film.bin", SIZE)
    with gateway.Server(root, prefix=ON_SERVER_CORE) as server:
        cache_probe.filled(server, lambda: load.once(server, 1), SIZE // MIB)
        load(server, length, connections, 1, 1)
        recording = tools / "perf.data"
        perf = gateway.child(["perf", "record", "-q", "-F", str(FREQUENCY), "-g", "-o", str(recording), "-p",
                              str(server.pid), "--", "sleep", str(seconds)])
        read = load(server, length, connections, seconds, 2)
        perf.wait(seconds + 30)
    stacks = list(samples(recording))
    parts = collections.Counter(part_of(functions) for functions in stacks)
    own = collections.Counter(functions[0] for functions in stacks)
    print(f"| part, {name_of(length)} on {connections} connections | share |\n|---|---|")
    for name, count in parts.most_common():
        print(f"| {name} | {count / len(stacks):.1%} |")
    print("\n| function | share, itself |\n|---|---|")
    for name, count in own.most_common(SHOWN):
        print(f"| `{name}` | {count / len(stacks):.1%} |")
    out.check(len(stacks) > FREQUENCY * seconds / 10, "samples were taken",
              f"{len(stacks):,} while {read.requests:,} ranges were read")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--length", type=int, default=64, help="of each range, in KiB (default %(default)s)")
    parser.add_argument("--connections", type=int, default=10, help="default %(default)s")
    parser.add_argument("--seconds", type=float, default=5, help="default %(default)s")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_SECONDS} s")
    chosen = parser.parse_args()
    seconds = QUICK_SECONDS if chosen.quick else chosen.seconds
    out = measure.begin({"taskset": "util-linux", "cc": "gcc", "perf": "linux-perf"}, 300 + 2 * seconds)
    if out is None:
        return 1
    parts = {"profile": lambda root, tools: run(root, tools, chosen.length * KIB, chosen.connections, seconds, out)}
    return measure.run_parts(parts, [], out)


if __name__ == "__main__":
    sys.exit(main())
