"""Chunks that are in the cache's file and not in memory: what their readers cost the streams of others.

Each round the gateway is stopped, its file dropped from memory, and the gateway started again. One object is made hot,
and paced streams of it are measured alone; beside readers that take pieces of another one cold and pause, as
players do; beside readers that take it cold as fast as it comes; and beside readers as fast, when all of it is in
memory: what the last two have in common is not the disk's.
"""

from __future__ import annotations

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
# What players of the cold object take at once, and wait for between: at most 10 MB/s each.
PIECE, PIECE_PAUSE_MS = MIB, 100
P99_LIMIT = 1.5
LAG_LIMIT = "0.005"
LAGS = (LAG_LIMIT, "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "+Inf")

NOTHING = "nothing"
PLAYERS = f"{READERS} cold players"
FAST = f"{READERS} cold readers as fast as it comes"
RESIDENT = f"{READERS} as fast, of what is in memory"


class Lag:
    """How many times the event loops were probed, and found at most so late (seconds, as the metric names them)."""

    def __init__(self, within: dict[str, float]) -> None:
        self.within = within

    @staticmethod
    def now(server: gateway.Server) -> "Lag":
        page = cache_probe.metrics(server)
        return Lag({lag: page("event_loop_lag_seconds_bucket", le=lag) for lag in LAGS})

    def since(self, before: "Lag") -> "Lag":
        return Lag({lag: count - before.within[lag] for lag, count in self.within.items()})

    def __add__(self, other: "Lag") -> "Lag":
        return Lag({lag: count + other.within[lag] for lag, count in self.within.items()})

    @property
    def probes(self) -> float:
        return self.within[LAGS[-1]]

    @property
    def late(self) -> float:
        return self.probes - self.within[LAG_LIMIT]

    def __str__(self) -> str:
        worst = next(lag for lag in LAGS if self.within[lag] == self.probes)
        return f"{self.late:.0f} of {self.probes:.0f}, all within {float(worst) * 1000:g} ms"


@dataclass
class Beside:
    """The streams and the event loops while something else went on, or nothing."""

    p50: float
    p99: float
    lag: Lag


class Streams:
    """Paced streams of an object that is hot."""

    def __init__(self, server: gateway.Server, hot: RangeLoad, seconds: float = SECONDS) -> None:
        self.server, self.hot, self.seconds = server, hot, seconds

    def alone(self, number: int) -> Beside:
        before = Lag.now(self.server)
        run = self.hot(self.server, LENGTH, STREAMS, self.seconds, 1000 + number, pause=PAUSE_MS)
        return Beside(run.p50, run.p99, Lag.now(self.server).since(before))

    def beside(self, number: int, load: RangeLoad, length: int, more: list[str]) -> Beside:
        """While ten readers take ranges of ``length`` of another object."""
        command = load.command(self.server, length, READERS) + more
        readers = gateway.child(measure.ON_CLIENT_CORE + command, stdout=subprocess.PIPE, text=True)
        # They are under way when the streams begin.
        time.sleep(0.1)
        beside = self.alone(number)
        lasted = readers.poll() is None
        told = readers.communicate(timeout=120)[0].split()
        if len(told) != 7 or told[-1] != "0" or not lasted:
            raise RuntimeError(f"the readers had {' '.join(told)}, {'after' if lasted else 'before'} the streams ended")
        return beside


class Rounds:
    def __init__(self, server: gateway.Server, hot: RangeLoad, cold: RangeLoad) -> None:
        self.server, self.hot, self.cold = server, hot, cold
        self.streams = Streams(server, hot)
        self.beside: dict[str, list[Beside]] = {what: [] for what in (NOTHING, PLAYERS, FAST, RESIDENT)}
        # Shares of the cold object that were in memory when its readers began.
        self.resident: list[float] = []
        self.rates: list[float] = []

    def one(self, number: int) -> None:
        self.server.terminate()
        self.server.process.wait(30)
        cache_probe.drop_from_memory(self._data)
        self.server.start()
        for _ in range(2):
            self.hot.once(self.server, 1)
        self.resident.append(max(_bytes_in_memory(self._data) - HOT_SIZE, 0) / COLD_SIZE)
        part = COLD_SIZE // READERS
        more = ["--seconds", str(SECONDS + 0.5), "--seed", str(number)]
        self.beside[NOTHING].append(self.streams.alone(number))
        self.beside[PLAYERS].append(self._beside(number, PIECE, [*more, "--pause", str(PIECE_PAUSE_MS)]))
        began = time.monotonic()
        self.beside[FAST].append(self._beside(number, part, ["--once"]))
        self.rates.append(COLD_SIZE / 1e6 / (time.monotonic() - began))
        self.beside[RESIDENT].append(self._beside(number, part, more))

    @property
    def _data(self) -> Path:
        return cache_probe.directory(self.server) / "data.mdb"

    def _beside(self, number: int, length: int, more: list[str]) -> Beside:
        return self.streams.beside(number, self.cold, length, more)


def _bytes_in_memory(file: Path) -> int:
    done = subprocess.run(["fincore", "--bytes", "--noheadings", "--output", "RES", str(file)], check=True,
                          capture_output=True, text=True)
    return int(done.stdout)


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
    print(f"| {STREAMS} streams of {LENGTH // KIB} KiB every {PAUSE_MS} ms, beside | p50 ms | p99 ms | spread "
          f"| loop over {float(LAG_LIMIT) * 1000:g} ms late |\n|---|---|---|---|---|")
    for what, rounds in measured.beside.items():
        p99 = sorted(one.p99 for one in rounds)
        print(f"| {what} | {statistics.median(one.p50 for one in rounds):.2f} | {statistics.median(p99):.2f} "
              f"| {p99[0]:.2f}–{p99[-1]:.2f} | {_lag(rounds)} |")
    print(f"the cold readers had {statistics.median(measured.rates):.0f} MB/s together", flush=True)


def _lag(rounds: list[Beside]) -> Lag:
    return sum((one.lag for one in rounds[1:]), rounds[0].lag)


def _ratios(measured: Rounds, what: str) -> list[float]:
    return sorted(one.p99 / alone.p99 for one, alone in zip(measured.beside[what], measured.beside[NOTHING]))


def _judge(measured: Rounds, out: report.Report) -> None:
    out.check(max(measured.resident) < 0.02, "what was read cold was not in memory",
              f"{max(measured.resident):.1%} of it was at most")
    for what in (PLAYERS, FAST):
        lag, ratios = _lag(measured.beside[what]), _ratios(measured, what)
        out.check(lag.late == 0 and lag.probes > 0, f"{what}: event loops at most {float(LAG_LIMIT) * 1000:g} ms late",
                  f"later {lag}; beside nothing {_lag(measured.beside[NOTHING])}")
        ratio = statistics.median(ratios)
        out.check(ratio <= P99_LIMIT, f"{what}: p99 of hot streams at most {P99_LIMIT:g} x",
                  f"{ratio:.2f} x, {ratios[0]:.2f}–{ratios[-1]:.2f} in {len(ratios)} rounds; "
                  f"{statistics.median(_ratios(measured, RESIDENT)):.2f} x beside {RESIDENT}")
