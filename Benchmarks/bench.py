#!/usr/bin/env python3
"""Measures the gateway beside nginx, in turn, on one file: CPU per GiB and per request, memory of stalled readers.

    python3 Benchmarks/bench.py [--rounds N] [--seconds N] [--quick]

See README.md beside this file for what is measured and how.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import measure
from measure import Comparison, RangeLoad, Run, per_gib, per_request

import content
import gateway
import report
import stalled
from content import GIB, MIB
from wire import fetch

LIMIT = 2.0
MEMORY_LIMIT = 60 * MIB


class SendFileServer(gateway.Server):
    """The gateway, told that its files never change in place, as nginx always takes for granted."""

    kind = "gateway, sendfile"

    def __init__(self, root: Path, **options) -> None:
        super().__init__(root, cached=False, options="sendfile = true", **options)


def compare_ranges(servers, load: RangeLoad, length: int, rounds: int, seconds: float, out: report.Report) -> None:
    title = f"random ranges of {measure.name_of(length)}, 10 connections"
    with out.guarded(title):
        comparison = Comparison(title, "CPU s/GiB", per_gib, servers, rounds)
        comparison.measure(lambda server, number: load(server, length, 10, seconds, 1000 + number))
        comparison.print()
        # By default each piece is read and looked at before it is sent (docs/decisions/0006): two copies cost more than
        # twice what none does, so that row is there to be seen and not to be judged.
        comparison.judge(SendFileServer.kind, LIMIT, "nginx", out)


def compare_ping(servers, rounds: int, seconds: float, out: report.Report) -> None:
    def one(server, _: int) -> Run:
        command = ["wrk", "-t1", "-c100", f"-d{seconds:.0f}s", "--timeout", "30s", "-s", str(measure.HERE / "ping.lua"),
                   server.origin + "/ping"]
        return measure.loaded(server, command, seconds)

    title = "/ping, 100 connections"
    with out.guarded(title):
        comparison = Comparison(title, "CPU µs/request", per_request, servers, rounds)
        comparison.measure(one)
        comparison.print()
        comparison.judge("gateway", LIMIT, "nginx", out)


def stalled_readers(root: Path, count: int, seconds: float, out: report.Report) -> None:
    """A server of its own, so that nothing else has used memory before."""
    what = f"{count} readers that stop reading, each at its own offset: RssAnon"
    with out.guarded(what), gateway.Server(root, cached=False) as server:
        fetch(server.address, server.path("film.bin"), fields=[("Range", "bytes=0-99999")])
        stalled.hold(server, "film.bin", GIB, count, seconds).judge(MEMORY_LIMIT, what, out)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="runs of each server for each figure (default 7)")
    parser.add_argument("--seconds", type=float, default=4, help="length of a run (default 4)")
    parser.add_argument("--quick", action="store_true", help="5 rounds of 2 s")
    chosen = parser.parse_args()
    rounds, seconds = (5, 2.0) if chosen.quick else (chosen.rounds, chosen.seconds)
    out = measure.begin({"nginx": "nginx-light", "wrk": "wrk", "taskset": "util-linux", "cc": "gcc"}, 1500)
    if out is None:
        return 1
    pin = measure.ON_SERVER_CORE
    with gateway.folder("bench.") as root:
        file = content.write(root / "film.bin", GIB)
        load = RangeLoad(measure.build("rangeload", root), gateway.Server.path(file.name), GIB)
        with (gateway.Server(root, cached=False, prefix=pin) as ours, SendFileServer(root, prefix=pin) as sendfile,
              gateway.NginxServer(root, prefix=pin) as nginx):
            servers = [ours, sendfile, nginx]
            measure.same_bytes(servers, load, file, out)
            print(Comparison.HEAD)
            for length in (MIB, 8 * MIB):
                compare_ranges(servers, load, length, rounds, seconds, out)
            compare_ping([ours, nginx], rounds, seconds, out)
        stalled_readers(root, 100, 10, out)
    return out.finish()


if __name__ == "__main__":
    sys.exit(main())
