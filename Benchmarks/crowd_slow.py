"""Slow readers, slow heads and idle connections: what they cost others, and the gateway.

Paced streams of an object that is hot are measured alone before each of these, and beside it.
"""

from __future__ import annotations

import os
import statistics
from dataclasses import dataclass, field
from pathlib import Path

import measure
from measure import MemoryWatch, RangeLoad

import cache_probe
import content
import gateway
import report
import slow
from cache_cold import HOT_SIZE, LENGTH, P99_LIMIT, PAUSE_MS, STREAMS, Streams
from content import KIB, MIB
from gateway import MOUNT

SLOW = 300
SECONDS = 3.0
# Of the connections that are asked for, those that must be there, before and after.
HELD = 0.99


@dataclass
class Kind:
    """One of these, and what was measured beside it in each round."""

    what: str
    load: object
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    #: The 99th percentiles of the streams alone, just before.
    alone: list[float] = field(default_factory=list)
    held: list[int] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)

    def one(self, streams: Streams, number: int) -> None:
        self.alone.append(streams.alone(number).p99)
        pid = streams.server.pid
        with MemoryWatch(pid) as memory, self.load:
            self.held.append(self.load.now)
            beside = streams.alone(number)
            self.descriptors.append(len(os.listdir(f"/proc/{pid}/fd")))
        self.held.append(self.load.held[-1])
        self.p50.append(beside.p50)
        self.p99.append(beside.p99)
        self.memory.append(memory.peak)

    @property
    def ratios(self) -> list[float]:
        return sorted(one / alone for one, alone in zip(self.p99, self.alone))


def run(root: Path, tools: Path, rounds: int, idle: int, out: report.Report) -> None:
    load = RangeLoad(measure.build("rangeload", tools), f"{MOUNT}/film.bin", HOT_SIZE)
    content.write(root / "film.bin", HOT_SIZE)
    roomy, idle = slow.room_for(root, idle, out, prefix=measure.ON_SERVER_CORE)
    with roomy as server:
        cache_probe.filled(server, lambda: load.once(server, 1), HOT_SIZE // MIB)
        streams = Streams(server, load, SECONDS)
        streams.alone(0)
        kinds = [Kind(f"{SLOW} slow readers (slowhttptest)", slow.SlowReaders(server, SLOW)),
                 Kind(f"{SLOW} slow readers (our own)", slow.TrickledReaders(server, SLOW)),
                 Kind(f"{SLOW} slow heads (slowhttptest)", slow.SlowHeaders(server, SLOW)),
                 Kind(f"{SLOW} slow heads (our own)", slow.TrickledHeads(server, SLOW)),
                 Kind(f"{idle:,} idle connections", slow.IdleConnections(server, idle))]
        for number in range(1, rounds + 1):
            for kind in kinds:
                kind.one(streams, number)
    _print(kinds)
    for kind in kinds:
        _judge(kind, out)


def _print(kinds: list[Kind]) -> None:
    print(f"| {STREAMS} streams of {LENGTH // KIB} KiB every {PAUSE_MS} ms, beside | p50 ms | p99 ms | spread "
          "| p99 alone, ms | spread | peak RssAnon MiB | descriptors |\n|---|---|---|---|---|---|---|---|")
    for kind in kinds:
        print(f"| {kind.what} | {statistics.median(kind.p50):.2f} | {_spread(kind.p99)} | {_spread(kind.alone)} "
              f"| {max(kind.memory) / MIB:.1f} | {max(kind.descriptors):,} |", flush=True)


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} | {min(values):.2f}–{max(values):.2f}"


def _judge(kind: Kind, out: report.Report) -> None:
    ratios = kind.ratios
    ratio, held, asked = statistics.median(ratios), min(kind.held), kind.load.count
    out.check(ratio <= P99_LIMIT, f"{kind.what}: p99 of others at most {P99_LIMIT:g} x",
              f"{ratio:.2f} x, {ratios[0]:.2f}–{ratios[-1]:.2f} in {len(ratios)} rounds")
    out.check(held >= HELD * asked, f"{kind.what} were there, before and after", f"{held:,} of {asked:,} at least")
