#!/usr/bin/env python3
"""Measures hot ranges: what a byte costs that the gateway has in its cache, beside peers and the floor.

    python3 Benchmarks/hot.py [--rounds N] [--seconds N] [--quick] [--servers NAME,…] [--connections N,…]
                             [--skip-missing]

See README.md beside this file for what is measured and how.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from pathlib import Path

import measure
from measure import ON_SERVER_CORE, Comparison, RangeLoad, name_of, per_gib

import content
import gateway
import peers
import report
from content import GIB, KIB, MIB

LENGTHS = (64 * KIB, MIB, 8 * MIB)
CONNECTIONS = (10, 100, 500)

# What a byte of the gateway may cost: times that of another server, for ranges of these lengths.
LIMITS = (
    (1.1, "floor", LENGTHS),
    (1.0, "nginx slice", (64 * KIB, MIB)),
    (1.2, "nginx slice", (8 * MIB,)),
    (0.25, "node http", (64 * KIB, MIB)),
    (0.25, "express", (64 * KIB, MIB)),
)


def chosen_kinds(chosen: argparse.Namespace) -> list[str]:
    """The servers to measure; ends the program when one cannot run here and may not be skipped."""
    known = ["gateway", "floor", *(peer.kind for peer in peers.PEERS)]
    kinds = [kind.strip() for kind in chosen.servers.split(",")] if chosen.servers else known
    unknown = [kind for kind in kinds if kind not in known]
    if unknown:
        sys.exit(f"no server is called {', '.join(unknown)}; there are {', '.join(known)}")
    lacking = {kind: packages for kind, packages in peers.lacking().items() if kind in kinds}
    for kind, packages in lacking.items():
        print(f"{'SKIP' if chosen.skip_missing else 'FAIL'}  {kind}  (apt-get install {packages})", flush=True)
    if lacking and not chosen.skip_missing:
        sys.exit(1)
    return [kind for kind in kinds if kind not in lacking]


def server_of(kind: str, root: Path, file: Path) -> gateway.Server:
    if kind == "gateway":
        return gateway.Server(root, prefix=ON_SERVER_CORE)
    if kind == "floor":
        return peers.FloorServer(root, file, prefix=ON_SERVER_CORE)
    peer = next(peer for peer in peers.PEERS if peer.kind == kind)
    return peer(root, prefix=ON_SERVER_CORE)


def compare(servers, load: RangeLoad, length: int, connections: int, rounds: int, seconds: float) -> Comparison:
    def one(server, number: int) -> measure.Run:
        return load(server, length, connections, seconds if number else min(seconds, 0.3), 1000 + number)

    comparison = Comparison(f"{name_of(length)}, {connections} connections", "CPU s/GiB", per_gib, servers, rounds)
    comparison.measure(one)
    comparison.print()
    return comparison


def print_summary(comparisons: list[Comparison], kinds: list[str]) -> None:
    print("\n| CPU s/GiB | " + " | ".join(kinds) + " |")
    print("|---" * (len(kinds) + 1) + "|")
    for comparison in comparisons:
        figures = [comparison.median(kind) for kind in kinds]
        print(f"| {comparison.title} | "
              + " | ".join("failed" if figure is None else f"{figure:.3f}" for figure in figures) + " |")
    print()


def judge(comparison: Comparison, length: int, out: report.Report) -> None:
    measured = [server.kind for server in comparison.servers]
    for limit, other, lengths in LIMITS:
        if length in lengths and "gateway" in measured and other in measured:
            comparison.judge("gateway", limit, other, out, beside="floor")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="runs of each server for each figure (default 7)")
    parser.add_argument("--seconds", type=float, default=1.5, help="length of a run (default 1.5)")
    parser.add_argument("--quick", action="store_true", help="5 rounds of 0.5 s")
    parser.add_argument("--servers", default="", help="only these, e.g. gateway,floor (default: all)")
    parser.add_argument("--connections", default=",".join(map(str, CONNECTIONS)), help="default %(default)s")
    parser.add_argument("--skip-missing", action="store_true", help="measure without the peers that are not installed")
    return parser.parse_args()


def main() -> int:
    chosen = arguments()
    rounds, seconds = (5, 0.5) if chosen.quick else (chosen.rounds, chosen.seconds)
    connections = [int(count) for count in chosen.connections.split(",")]
    out = measure.begin({"taskset": "util-linux", "cc": "gcc"}, 3600)
    if out is None:
        return 1
    kinds = chosen_kinds(chosen)
    with contextlib.ExitStack() as stack:
        root = stack.enter_context(gateway.folder("hot."))
        tools = stack.enter_context(gateway.folder("hot."))
        file = content.write(root / "film.bin", GIB)
        servers = [stack.enter_context(server_of(kind, root, file)) for kind in kinds]
        load = RangeLoad(measure.build("rangeload", tools), gateway.Server.path(file.name), GIB)
        for server in servers:
            load(server, GIB, 1, 0.001, 1)  # one request for the whole, which fills the caches
        measure.same_bytes(servers, load, file, out)
        os.sync()  # or the disk is busy with what the caches wrote
        caches = {server: server.origin_requests for server in servers if isinstance(server, peers.CachingPeer)}
        print(Comparison.HEAD)
        compared = [(length, compare(servers, load, length, count, rounds, seconds))
                    for length in LENGTHS for count in connections]
        print_summary([comparison for _, comparison in compared], kinds)
        for cache, before in caches.items():
            asked = cache.origin_requests - before
            out.check(asked == 0, f"{cache.kind} was hot", f"{asked} requests to its origin")
        for length, comparison in compared:
            judge(comparison, length, out)
    return out.finish()


if __name__ == "__main__":
    sys.exit(main())
