"""Chunks that are in the cache's file and not in memory: what their readers cost the streams of others.

Each round the gateway is stopped, its file dropped from memory, and the gateway started again. One object is made hot,
and paced streams of it are measured alone, beside readers that take another one cold, and beside readers that take that
one again, when it is in memory: what the last two have in common is not the disk's.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import measure
from measure import RangeLoad

import cache_probe
import content
import gateway
import report
from content import KIB, MIB
from gateway import MOUNT

HOT_SIZE, COLD_SIZE = 64 * MIB, 2000 * MIB
READERS = 10
# Streams that take 64 KiB and wait for 20 ms: some 3 MB/s each.
STREAMS, LENGTH, PAUSE_MS = 10, 64 * KIB, 20
SECONDS = 1.5
P99_LIMIT = 1.5
LAG_LIMIT = 0.005


@dataclass
class Beside:
    """The streams and the event loops while something else went on, or nothing."""

    p50: float
    p99: float
    probes: float
    late: float

    @property
    def row(self) -> str:
        return f"{self.p50:.2f} | {self.p99:.2f} | {self.late:.0f} of {self.probes:.0f}"


class Rounds:
    def __init__(self, server: gateway.Server, hot: RangeLoad, cold: RangeLoad) -> None:
        self.server, self.hot, self.cold = server, hot, cold
        self.beside: dict[str, list[Beside]] = {"nothing": [], "cold": [], "resident": []}
        # Shares of the cold object that were in memory when its readers began.
        self.resident: list[float] = []
        self.rates: list[float] = []

    def one(self, number: int) -> None:
        self._stop_and_drop()
        for _ in range(2):
            self.hot.once(self.server, 1)
        self.resident.append(max(_bytes_in_memory(self._data) - HOT_SIZE, 0) / COLD_SIZE)
        self.beside["nothing"].append(self._streams(number))
        self.beside["cold"].append(self._cold(number))
        self.beside["resident"].append(self._resident(number))

    @property
    def _data(self) -> Path:
        return cache_probe.directory(self.server) / "data.mdb"

    def _stop_and_drop(self) -> None:
        self.server.terminate()
        self.server.process.wait(30)
        descriptor = os.open(self._data, os.O_RDWR)
        try:
            # What is not written yet cannot be dropped.
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)
        self.server.start()

    def _streams(self, number: int) -> Beside:
        before = _lag(self.server)
        run = self.hot(self.server, LENGTH, STREAMS, SECONDS, 1000 + number, pause=PAUSE_MS)
        after = _lag(self.server)
        return Beside(run.p50, run.p99, after[0] - before[0], after[1] - before[1])

    def _cold(self, number: int) -> Beside:
        began = time.monotonic()
        readers = self._start("--once")
        beside = self._streams(number)
        lasted = readers.poll() is None
        result = _result(readers)
        self.rates.append(result / MIB / (time.monotonic() - began))
        if not lasted:
            raise RuntimeError(f"{COLD_SIZE // MIB} MiB were read cold before {SECONDS} s were over")
        return beside

    def _resident(self, number: int) -> Beside:
        readers = self._start("--seconds", str(SECONDS + 0.5))
        beside = self._streams(number)
        _result(readers)
        return beside

    def _start(self, *more: str) -> subprocess.Popen:
        command = self.cold.command(self.server, COLD_SIZE // READERS, READERS) + list(more)
        readers = gateway.child(measure.ON_CLIENT_CORE + command, stdout=subprocess.PIPE, text=True)
        # They are under way when the streams begin.
        time.sleep(0.1)
        return readers


def _result(readers: subprocess.Popen) -> int:
    """The bytes that the readers had, none of whose requests may have failed."""
    told = readers.communicate(timeout=120)[0].split()
    if len(told) != 7 or told[-1] != "0":
        raise RuntimeError(f"the readers: {' '.join(told)}")
    return int(told[2])


def _bytes_in_memory(file: Path) -> int:
    done = subprocess.run(["fincore", "--bytes", "--noheadings", "--output", "RES", str(file)], check=True,
                          capture_output=True, text=True)
    return int(done.stdout)


def _lag(server: gateway.Server) -> tuple[float, float]:
    """How many times the event loops were probed, and found later than the limit."""
    page = cache_probe.metrics(server)
    count = page("event_loop_lag_seconds_count")
    return count, count - page("event_loop_lag_seconds_bucket", le=f"{LAG_LIMIT:g}")


def run(root: Path, tools: Path, rounds: int, out: report.Report) -> None:
    program = measure.build("rangeload", tools)
    loads = []
    for name, size in (("hot.bin", HOT_SIZE), ("cold.bin", COLD_SIZE)):
        content.write(root / name, size)
        loads.append(RangeLoad(program, f"{MOUNT}/{name}", size))
    with gateway.Server(root, config='[cache]\nsize = "4GiB"\n', prefix=measure.ON_SERVER_CORE) as server:
        cache_probe.filled(server, lambda: [load.once(server, 1) for load in loads], (HOT_SIZE + COLD_SIZE) // MIB)
        measured = Rounds(server, *loads)
        for number in range(rounds):
            measured.one(number)
    _print(measured)
    _judge(measured, out)


def _print(measured: Rounds) -> None:
    print(f"| streams of what is hot, {STREAMS} of {LENGTH // KIB} KiB every {PAUSE_MS} ms, beside | p50 ms | p99 ms "
          f"| loop later than {LAG_LIMIT * 1000:g} ms |\n|---|---|---|---|")
    names = {"nothing": "nothing", "cold": f"{READERS} cold readers", "resident": f"{READERS} of the same, in memory"}
    for kind, beside in measured.beside.items():
        for one in beside:
            print(f"| {names[kind]} | {one.row} |")
    print(f"cold readers had {statistics.median(measured.rates):.0f} MB/s together", flush=True)


def _judge(measured: Rounds, out: report.Report) -> None:
    ratios = {kind: sorted(one.p99 / alone.p99 for one, alone in zip(measured.beside[kind], measured.beside["nothing"]))
              for kind in ("cold", "resident")}
    late = {kind: sum(one.late for one in beside) for kind, beside in measured.beside.items()}
    probes = sum(one.probes for one in measured.beside["cold"])
    out.check(max(measured.resident) < 0.02, "what was read cold was not in memory",
              f"{max(measured.resident):.1%} of it was at most")
    out.check(late["cold"] == 0 and probes > 0, f"cold readers: event loops at most {LAG_LIMIT * 1000:g} ms late",
              f"{late['cold']:.0f} of {probes:.0f} probes later; {late['nothing']:.0f} beside nothing, "
              f"{late['resident']:.0f} beside readers of what is in memory")
    ratio = statistics.median(ratios["cold"])
    out.check(ratio <= P99_LIMIT, f"cold readers: p99 of hot streams at most {P99_LIMIT:g} x",
              f"{ratio:.2f} x, {ratios['cold'][0]:.2f}–{ratios['cold'][-1]:.2f} in {len(ratios['cold'])} rounds; "
              f"{statistics.median(ratios['resident']):.2f} x beside readers of what is in memory")
