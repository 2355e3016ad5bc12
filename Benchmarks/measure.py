"""How a server is measured: its CPU by the kernel's clock, beside others, in turns, on cores of their own."""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "Tests" / "Acceptance"))
sys.dont_write_bytecode = True

import gateway  # noqa: E402
import report  # noqa: E402
from content import GIB, KIB, MIB  # noqa: E402

SERVER_CORE, CLIENT_CORE = 0, 1

# A run in which processes without a part in it took more than this share of a core is disturbed.
DISTURBED = 0.1

TICKS = os.sysconf("SC_CLK_TCK")
ON_SERVER_CORE = ["taskset", "-c", str(SERVER_CORE)]
ON_CLIENT_CORE = ["taskset", "-c", str(CLIENT_CORE)]


@dataclass
class Run:
    """One measurement of one server.

    ``seconds`` is from the first request to the last byte. ``own`` and ``idle`` are the shares of the server's core
    that the server took and that nobody took; ``others`` is the larger of the shares of the two cores that went to
    processes which have no part in the run.
    """

    requests: int
    bytes: int
    seconds: float
    cpu: float
    own: float
    idle: float
    others: float
    p50: float
    p99: float


def found(tool: str) -> str | None:
    """Where a tool is; also in the places of a system's programs, which not every user's PATH names."""
    return shutil.which(tool, path=os.environ["PATH"] + ":/usr/sbin")


def missing(packages: dict[str, str]) -> str:
    """What this machine lacks of ``packages`` (tool: Debian package), as an advice, empty if nothing."""
    lacking = [tool for tool in packages if not found(tool)]
    advice = []
    if lacking:
        wanted = " ".join(sorted({packages[tool] for tool in lacking}))
        advice.append(f"no {', '.join(lacking)}: apt-get install {wanted}")
    if (os.cpu_count() or 1) < 2:
        advice.append("needs two cores")
    return "; ".join(advice)


def begin(packages: dict[str, str], seconds: float) -> report.Report | None:
    """Prepares a program that measures: it ends within ``seconds``, and cleans up when it is told to end.

    Returns where its results go, or ``None`` if one of ``packages`` is missing, which is said.
    """
    lacking = missing(packages)
    if lacking:
        print(f"FAIL  {lacking}")
        return None
    report.deadline(seconds)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # On a disk rather than in /tmp, which may be memory and no page cache.
    tempfile.tempdir = "/var/tmp" if os.access("/var/tmp", os.W_OK) else None
    return report.Report()


def run_parts(parts: dict[str, Callable[[Path, Path], None]], names: list[str], out: report.Report) -> int:
    """Runs the parts of these names, or all, each in folders of its own: one for the servers, one for built programs.

    Returns the exit status.
    """
    for name in names or parts:
        with out.guarded(name), gateway.folder("bench.") as root, gateway.folder("bench.") as tools:
            parts[name](root, tools)
    return out.finish()


def build(name: str, folder: Path, *more: str) -> str:
    """Compiles one of the C programs beside this file into ``folder``; ``more`` are further arguments."""
    program = folder / name
    subprocess.run(["cc", "-O2", "-o", str(program), str(HERE / f"{name}.c"), *more], check=True)
    return str(program)


def build_on_lmdb(name: str, folder: Path) -> str:
    """The same for one that uses LMDB, and the checksums of the gateway."""
    sums = HERE.parent / "Sources" / "CChecksum"
    sources = [str(source) for source in sorted(sums.glob("*.c"))]
    return build(name, folder, f"-I{sums / 'include'}", *sources, "-llmdb", "-lpthread")


def in_turn(candidates: list, number: int) -> list:
    """The order of a round: every second one is the other way round, so that nobody is always first."""
    return candidates if number % 2 else candidates[::-1]


def name_of(length: int) -> str:
    return f"{length // MIB} MiB" if length >= MIB else f"{length // KIB} KiB"


# Clocks


def cpu_seconds(pid: int) -> float:
    """What a process has run, to the nanosecond: all its threads, those that ended too."""
    # The clock that clock_getcpuclockid(3) gives: CPUCLOCK_SCHED of the whole process.
    return time.clock_gettime((~pid << 3) | 2)


class Core:
    """What becomes of a core's time from now on, in shares of it."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.before = self._seconds()
        self.began = time.monotonic()

    def idle_and_processes(self) -> tuple[float, float]:
        """What nobody took, and what processes took or the host gave to others.

        Interrupts are in neither: TCP does much of its work in them, also while the core is idle.
        """
        idle, processes = (now - before for now, before in zip(self._seconds(), self.before))
        return min(self.share(idle), 1), self.share(processes)

    def share(self, cpu: float) -> float:
        """The share that so many seconds are."""
        return cpu / (time.monotonic() - self.began)

    def _seconds(self) -> tuple[float, float]:
        line = re.search(rf"^cpu{self.number} (.*)$", Path("/proc/stat").read_text(), re.MULTILINE)[1]
        user, nice, system, idle, iowait, _, _, steal, *_ = (int(field) / TICKS for field in line.split())
        return idle + iowait, user + nice + system + steal


def _ended_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


# Memory


def anonymous_memory(pid: int) -> int:
    """RssAnon of a process, in bytes."""
    return int(re.search(r"^RssAnon:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)[1]) << 10


class MemoryWatch:
    """RssAnon of a process when the ``with`` block begins, and at most while it runs."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._over = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "MemoryWatch":
        self.before = self.peak = anonymous_memory(self.pid)
        self._watcher.start()
        return self

    def __exit__(self, *_) -> None:
        self._over.set()
        self._watcher.join()

    def _watch(self) -> None:
        while not self._over.wait(0.1):
            try:
                self.peak = max(self.peak, anonymous_memory(self.pid))
            except OSError:
                return  # the process has ended, which whoever loads it finds out


# Loads


def told(output: str, name: str, count: int) -> list[int] | None:
    """The ``count`` numbers behind ``name`` in a client's output."""
    line = re.search(rf"^{name}((?: \d+){{{count}}})$", output, re.MULTILINE)
    return [int(number) for number in line[1].split()] if line else None


def loaded(server: gateway.Server, command: list[str], seconds: float) -> Run:
    """Runs a client on its core. It prints ``RESULT requests bytes micros p50us p99us failed``; none may fail."""
    helpers = getattr(server, "helpers", ())
    cores = Core(SERVER_CORE), Core(CLIENT_CORE)
    cpu, helped, client = cpu_seconds(server.pid), sum(map(cpu_seconds, helpers)), _ended_children()
    done = subprocess.run(ON_CLIENT_CORE + command, capture_output=True, text=True, timeout=seconds + 120)
    cpu, client = cpu_seconds(server.pid) - cpu, _ended_children() - client
    helped = sum(map(cpu_seconds, helpers)) - helped
    own, (idle, on_server_core), (_, on_client_core) = cores[0].share(cpu), *(c.idle_and_processes() for c in cores)
    others = max(on_server_core - cores[0].share(cpu + helped), on_client_core - cores[1].share(client), 0)
    result = told(done.stdout, "RESULT", 6)
    if not result:
        raise RuntimeError(f"{command[0]}: {done.stderr.strip() or done.stdout.strip()}")
    requests, received, micros, p50, p99, failed = result
    if failed or not requests:
        raise RuntimeError(f"{server.kind}: {failed} failed, {requests} did not: {done.stderr.strip()}")
    return Run(requests, received, micros / 1e6, cpu, own, idle, others, p50 / 1e3, p99 / 1e3)


@dataclass(frozen=True)
class RangeLoad:
    """Random ranges of one object, with the client compiled to ``program``."""

    program: str
    path: str
    size: int

    def __call__(self, server: gateway.Server, length: int, connections: int, seconds: float, seed: int,
                 verify: Path | None = None, pause: int = 0) -> Run:
        """``pause`` is what a connection waits between an answer and its next request, in ms."""
        more = ["--seconds", str(seconds), "--seed", str(seed), "--pause", str(pause)]
        return loaded(server, self.command(server, length, connections, verify) + more, seconds)

    def once(self, server: gateway.Server, connections: int, verify: Path | None = None) -> Run:
        """Reads the object once, each connection an equal part of it; the object's size has to be a multiple."""
        length = self.size // connections
        return loaded(server, self.command(server, length, connections, verify) + ["--once"], 0)

    def command(self, server: gateway.Server, length: int, connections: int, verify: Path | None = None) -> list[str]:
        checked = ["--verify", str(verify)] if verify else []
        return [self.program, "--connections", str(connections), "--length", str(length), "--size", str(self.size),
                "--path", self.path, *checked, f"127.0.0.1:{server.port}"]


def same_bytes(servers: list[gateway.Server], load: RangeLoad, file: Path, out: report.Report) -> None:
    """Before anything is measured: every server sends what the file holds, at lengths on no boundary too."""
    for server in servers:
        what = f"{server.kind} sends the file's bytes"
        with out.guarded(what):
            runs = [load(server, length, 4, 0.2, 1, verify=file)
                    for length in (1, 64 * KIB, MIB - 1, MIB, 3 * MIB + 12_345, 8 * MIB)]
            out.check(True, what, f"{sum(run.requests for run in runs)} random ranges")


# Figures


def per_gib(run: Run) -> float:
    return run.cpu / (run.bytes / GIB)


def per_request(run: Run) -> float:
    return run.cpu / run.requests * 1e6


class Comparison:
    """Several servers in turn, the order changing from round to round."""

    HEAD = ("| what | server | median | spread | requests/s | MB/s | p50 / p99 ms | core: own / idle | disturbed |\n"
            "|---|---|---|---|---|---|---|---|---|")

    def __init__(self, title: str, unit: str, cost: Callable[[Run], float], servers: list[gateway.Server],
                 rounds: int) -> None:
        """``cost`` gives the figure of a run, in ``unit``."""
        self.title, self.unit, self.cost = title, unit, cost
        self.servers = servers
        self.rounds = rounds
        self.runs: dict[str, list[Run]] = {server.kind: [] for server in servers}
        self.faults: dict[str, str] = {}

    def measure(self, one: Callable[[gateway.Server, int], Run]) -> None:
        """``one`` measures a server; its number is that of the round, 0 for the one that warms up.

        A server that fails once is left out from then on; the others are measured all the same.
        """
        for number in range(self.rounds + 1):
            for server in in_turn(self.servers, number):
                if server.kind in self.faults:
                    continue
                try:
                    run = self._undisturbed(one, server, number)
                except (RuntimeError, subprocess.TimeoutExpired) as error:
                    self.faults[server.kind] = str(error)
                    del self.runs[server.kind]
                else:
                    self.runs[server.kind] += [run] if number else []

    @staticmethod
    def _undisturbed(one: Callable[[gateway.Server, int], Run], server: gateway.Server, number: int) -> Run:
        """A run, repeated once when it was disturbed; then the less disturbed of the two."""
        run = one(server, number)
        if number == 0 or run.others <= DISTURBED:
            return run
        return min(run, one(server, number), key=lambda run: run.others)

    def costs(self, kind: str) -> list[float]:
        return sorted(self.cost(run) for run in self.runs[kind])

    def median(self, kind: str) -> float | None:
        """The figure of a server, ``None`` if it failed or was not measured."""
        return statistics.median(self.costs(kind)) if self.runs.get(kind) else None

    def print(self) -> None:
        for kind, runs in self.runs.items():
            costs = self.costs(kind)
            rate = statistics.median(run.requests / run.seconds for run in runs)
            speed = statistics.median(run.bytes / run.seconds for run in runs) / 1e6
            p50, p99, own, idle = (statistics.median(values) for values in zip(
                *((run.p50, run.p99, run.own, run.idle) for run in runs)))
            disturbed = sum(run.others > DISTURBED for run in runs)
            print(f"| {self.title} | {kind} | {statistics.median(costs):.3f} {self.unit} "
                  f"| {costs[0]:.3f}–{costs[-1]:.3f} | {rate:,.0f} | {speed:,.0f} | {p50:.2f} / {p99:.2f} "
                  f"| {own:.0%} / {idle:.0%} | {disturbed} of {len(runs)} |", flush=True)
        for kind, fault in self.faults.items():
            print(f"| {self.title} | {kind} | failed: {fault} | | | | | | |", flush=True)

    def ratios(self, one: str, other: str) -> list[float]:
        """Round by round, what ``one`` costs in units of ``other``: two runs close in time, so that a machine whose
        speed drifts moves both."""
        return sorted(self.cost(ours) / self.cost(theirs)
                      for ours, theirs in zip(self.runs.get(one, []), self.runs.get(other, [])))

    def judge(self, one: str, limit: float, other: str, out: report.Report, beside: str | None = None) -> None:
        """``one`` costs at most ``limit`` times what ``other`` does; ``beside`` is a server whose ratio is said too."""
        what = f"{self.title}: at most {limit:g} x {other}"
        ratios = self.ratios(one, other)
        if not ratios:
            out.check(False, what, "; ".join(self.faults[kind] for kind in (one, other) if kind in self.faults))
            return
        ratio = statistics.median(ratios)
        figures = [f"{ratio:.2f} x, {ratios[0]:.2f}–{ratios[-1]:.2f} in {len(ratios)} rounds",
                   f"{self.median(one):.3f} against {self.median(other):.3f} {self.unit}"]
        if beside and beside != other and self.ratios(beside, other):
            figures.append(f"{beside} {statistics.median(self.ratios(beside, other)):.2f} x")
        disturbed = sum(run.others > DISTURBED for kind in (one, other) for run in self.runs[kind])
        if disturbed:
            figures.append(f"{disturbed} of {2 * len(ratios)} runs disturbed")
        out.check(ratio <= limit, what, ", ".join(figures))
