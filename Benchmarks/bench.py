#!/usr/bin/env python3
"""Measures the gateway beside nginx, in turn, on one file: CPU per GiB and per request, memory of stalled readers.

    python3 Benchmarks/bench.py [--rounds N] [--seconds N] [--quick]

See README.md beside this file for what is measured and how.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "Tests" / "Acceptance"))
sys.dont_write_bytecode = True

import content  # noqa: E402
import gateway  # noqa: E402
import report  # noqa: E402
from content import GIB, MIB  # noqa: E402
from drain import stalled_reader  # noqa: E402
from wire import Connection, fetch, request  # noqa: E402

SERVER_CORE, CLIENT_CORE = "0", "1"
LIMIT = 2.0
MEMORY_LIMIT = 60 * MIB


@dataclass
class Run:
    """One measurement of one server."""

    requests: int
    bytes: int
    seconds: float
    cpu: float
    p50: float
    p99: float


def cpu_seconds(pid: int) -> float:
    """What a process has run, to the nanosecond: all its threads, those that ended too."""
    # The clock that clock_getcpuclockid(3) gives: CPUCLOCK_SCHED of the whole process.
    return time.clock_gettime((~pid << 3) | 2)


def wrk(server: gateway.Server, connections: int, seconds: float, script: str, path: str, *arguments) -> Run:
    command = ["taskset", "-c", CLIENT_CORE, "wrk", "-t1", f"-c{connections}", f"-d{seconds:.0f}s", "--timeout", "30s",
               "-s", str(HERE / script), server.origin + path, "--", *map(str, arguments)]
    before = cpu_seconds(server.pid)
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60)
    cpu = cpu_seconds(server.pid) - before
    result = re.search(r"^RESULT (\d+) (\d+) (\d+) (\d+) (\d+) (\d+)$", done.stdout, re.MULTILINE)
    if not result:
        raise RuntimeError(f"wrk: {done.stderr.strip() or done.stdout.strip()}")
    requests, received, micros, p50, p99, failed = map(int, result.groups())
    if failed or not requests:
        raise RuntimeError(f"{server.kind}: {failed} of {requests} requests failed")
    return Run(requests, received, micros / 1e6, cpu, p50 / 1e3, p99 / 1e3)


class Comparison:
    """The gateway and nginx in turn, the order changing from round to round."""

    def __init__(self, title: str, unit: str, cost, servers: list[gateway.Server], rounds: int) -> None:
        """``cost`` gives the figure of a run, in ``unit``."""
        self.title, self.unit, self.cost = title, unit, cost
        self.servers = servers
        self.rounds = rounds
        self.runs: dict[str, list[Run]] = {server.kind: [] for server in servers}

    def measure(self, one) -> None:
        for server in self.servers:
            one(server, 0)  # warms up
        for number in range(1, self.rounds + 1):
            for server in self.servers if number % 2 else reversed(self.servers):
                self.runs[server.kind].append(one(server, number))

    def costs(self, kind: str) -> list[float]:
        return sorted(self.cost(run) for run in self.runs[kind])

    def print_and_judge(self, out: report.Report) -> None:
        for kind, runs in self.runs.items():
            costs = self.costs(kind)
            rate = statistics.median(run.requests / run.seconds for run in runs)
            speed = statistics.median(run.bytes / run.seconds for run in runs) / 1e6
            waits = [statistics.median(values) for values in zip(*((run.p50, run.p99) for run in runs))]
            print(f"| {self.title} | {kind} | {statistics.median(costs):.3f} {self.unit} "
                  f"| {costs[0]:.3f}–{costs[-1]:.3f} | {rate:,.0f} | {speed:,.0f} "
                  f"| {waits[0]:.2f} / {waits[1]:.2f} |", flush=True)
        gateways, nginxes = statistics.median(self.costs("gateway")), statistics.median(self.costs("nginx"))
        ratio = gateways / nginxes
        out.check(ratio <= LIMIT, f"{self.title}: at most {LIMIT:.0f} x nginx",
                  f"{ratio:.2f} x: {gateways:.3f} against {nginxes:.3f} {self.unit}, median of {self.rounds}")


def per_gib(run: Run) -> float:
    return run.cpu / (run.bytes / GIB)


def per_request(run: Run) -> float:
    return run.cpu / run.requests * 1e6


def compare_ranges(servers, length: int, rounds: int, seconds: float, out: report.Report) -> None:
    def one(server, number: int) -> Run:
        return wrk(server, 10, seconds, "ranges.lua", "/", server.path("film.bin"), GIB, length, 1000 + number)

    title = f"random ranges of {length // MIB} MiB, 10 connections"
    with out.guarded(title):
        comparison = Comparison(title, "CPU s/GiB", per_gib, servers, rounds)
        comparison.measure(one)
        comparison.print_and_judge(out)


def compare_ping(servers, rounds: int, seconds: float, out: report.Report) -> None:
    title = "/ping, 100 connections"
    with out.guarded(title):
        comparison = Comparison(title, "CPU µs/request", per_request, servers, rounds)
        comparison.measure(lambda server, _: wrk(server, 100, seconds, "ping.lua", "/ping"))
        comparison.print_and_judge(out)


def anonymous_memory(pid: int) -> int:
    return int(re.search(r"^RssAnon:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)[1]) << 10


def stalled_readers(root: Path, count: int, seconds: float, out: report.Report) -> None:
    """A server of its own, so that nothing else has used memory before."""
    what = f"{count} readers that stop reading, each at its own offset: RssAnon"
    with out.guarded(what), gateway.Server(root) as server:
        fetch(server.address, server.path("film.bin"), fields=[("Range", "bytes=0-99999")])
        before = anonymous_memory(server.pid)
        readers, peak = [], before
        try:
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                if len(readers) < count:
                    readers.append(stalled_reader(server, "film.bin", len(readers) * (GIB // count)))
                peak = max(peak, anonymous_memory(server.pid))
                time.sleep(0.01)
            cut = sum(reader.leftover(0.001) == b"" for reader in readers if not reader.pending)
        finally:
            for reader in readers:
                reader.close()
        out.check(peak < MEMORY_LIMIT and len(readers) == count and cut == 0, f"{what} under {MEMORY_LIMIT // MIB} MB",
                  f"peak {peak / MIB:.1f} MiB, {before / MIB:.1f} before, {seconds:.0f} s")


def same_bytes(servers, file: Path, out: report.Report) -> None:
    """Before anything is measured: both send what the file holds."""
    for server in servers:
        tally = report.Tally()
        with open(file, "rb") as local, Connection(server.address) as connection:
            for number in range(20):
                first = number * 51_234_567 % (GIB - 8 * MIB)
                span = f"bytes={first}-{first + 8 * MIB - 1}"
                connection.send(request(server.path(file.name), fields=[("Range", span)]))
                local.seek(first)
                tally.expect(connection.reply().body == local.read(8 * MIB), f"at {first}")
        tally.into(out, f"{server.kind} sends the file's bytes")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="runs of each server for each figure (default 7)")
    parser.add_argument("--seconds", type=float, default=4, help="length of a run (default 4)")
    parser.add_argument("--quick", action="store_true", help="5 rounds of 2 s")
    chosen = parser.parse_args()
    rounds, seconds = (5, 2.0) if chosen.quick else (chosen.rounds, chosen.seconds)
    places = os.environ["PATH"] + ":/usr/sbin"
    missing = [tool for tool in ("nginx", "wrk", "taskset") if not shutil.which(tool, path=places)]
    if missing or (os.cpu_count() or 1) < 2:
        print(f"FAIL  needs two cores and {', '.join(missing) or 'nothing else'}")
        return 1
    report.deadline(1500)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    out = report.Report()
    pin = ["taskset", "-c", SERVER_CORE]
    # On a disk rather than in /tmp, which may be memory and no page cache.
    place = "/var/tmp" if os.access("/var/tmp", os.W_OK) else tempfile.gettempdir()
    tempfile.tempdir = place
    with gateway.folder("bench.") as root:
        file = content.write(root / "film.bin", GIB)
        with gateway.Server(root, prefix=pin) as ours, gateway.NginxServer(root, prefix=pin) as nginx:
            servers = [ours, nginx]
            same_bytes(servers, file, out)
            print("| what | server | median | spread | requests/s | MB/s | p50 / p99 ms |")
            print("|---|---|---|---|---|---|---|")
            for length in (MIB, 8 * MIB):
                compare_ranges(servers, length, rounds, seconds, out)
            compare_ping(servers, rounds, seconds, out)
        stalled_readers(root, 100, 10, out)
    return out.finish()


if __name__ == "__main__":
    sys.exit(main())
