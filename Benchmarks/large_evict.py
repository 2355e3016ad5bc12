"""Hits of others while a cache takes misses: one that is full and evicts for each, and one that has room.

Paced streams of an object that is hot are measured alone; beside players of it, who hit too; and beside players of another
object, of which hardly a byte was ever asked for before: their misses store some hundred chunks a second.
"""

from __future__ import annotations

import statistics
from pathlib import Path

import measure
from measure import ON_SERVER_CORE, RangeLoad

import cache_probe
import content
import gateway
import report
from cache_cold import (HOT_SIZE, LENGTH, P99_LIMIT, PAUSE_MS, PIECE, PIECE_PAUSE_MS, READERS, STREAMS, Beside, Lag,
                        Streams)
from content import GIB, KIB, MIB
from gateway import MOUNT

FULL, ROOMY = 512 * MIB, 4 * GIB
# So large that few random ranges of a round have a chunk in common. It has bytes and no holes: in place of those the kernel
# makes zeros, ahead of what is read too, for more time than all the rest takes.
LIBRARY = 8 * GIB
SECONDS = 3.0

ALONE = "nothing"
HITTING = f"{READERS} players' hits"
EVICTING = f"{READERS} players' misses, the cache full"
STORING = f"{READERS} players' misses, the cache with room"


class Rounds:
    def __init__(self, full: gateway.Server, roomy: gateway.Server, hot: RangeLoad, missed: RangeLoad) -> None:
        self.full, self.roomy, self.hot, self.missed = full, roomy, hot, missed
        self.beside: dict[str, list[Beside]] = {what: [] for what in (ALONE, HITTING, STORING, EVICTING)}
        # Chunks a second that were stored, and that were evicted, beside the streams.
        self.stored: dict[str, list[float]] = {what: [] for what in (STORING, EVICTING)}
        self.evicted: dict[str, list[float]] = {what: [] for what in (STORING, EVICTING)}
        # Bytes of the hot object that the source was asked for after a round.
        self.fetched = 0.0

    def fill(self) -> None:
        """Has the one cache full, its hot object among what it keeps."""
        self._make_hot(self.full)
        count = 0
        while cache_probe.settled(self.full).evicted < FULL // MIB:
            count += 1
            if count > 50:
                raise RuntimeError("the cache is not full after 50 times a second of misses")
            self.missed(self.full, 8 * MIB, READERS, 1, 5000 + count)
            self._make_hot(self.full)

    def one(self, number: int) -> None:
        for what, server in ((STORING, self.roomy), (EVICTING, self.full))[::1 if number % 2 else -1]:
            if server is self.roomy:
                cache_probe.emptied(server)
            self._make_hot(server)
            if server is self.full:
                self.beside[ALONE].append(Streams(server, self.hot, SECONDS).alone(number))
                self.beside[HITTING].append(self._players(server, self.hot, number))
            self._beside(what, server, number)

    def _make_hot(self, server: gateway.Server) -> None:
        for _ in range(3):
            self.hot.once(server, 1)
            cache_probe.settled(server)

    def _beside(self, what: str, server: gateway.Server, number: int) -> None:
        before = cache_probe.settled(server)
        self.beside[what].append(self._players(server, self.missed, number))
        after = cache_probe.settled(server)
        stored = after("cache_insertions_total") - before("cache_insertions_total")
        self.stored[what].append(stored / (SECONDS + 0.5))
        self.evicted[what].append((after.evicted - before.evicted) / (SECONDS + 0.5))
        self.hot.once(server, 1)
        self.fetched += cache_probe.settled(server).source_bytes - after.source_bytes

    def _players(self, server: gateway.Server, load: RangeLoad, number: int) -> Beside:
        more = ["--seconds", str(SECONDS + 0.5), "--seed", str(number), "--pause", str(PIECE_PAUSE_MS)]
        return Streams(server, self.hot, SECONDS).beside(number, load, PIECE, more)

    def ratios(self, what: str, beside: str) -> list[float]:
        return sorted(one.p99 / other.p99 for one, other in zip(self.beside[what], self.beside[beside]))


def run(root: Path, tools: Path, rounds: int, out: report.Report) -> None:
    program = measure.build("rangeload", tools)
    content.write(root / "hot.bin", HOT_SIZE)
    content.write(root / "library.bin", LIBRARY)
    hot, missed = RangeLoad(program, f"{MOUNT}/hot.bin", HOT_SIZE), RangeLoad(program, f"{MOUNT}/library.bin", LIBRARY)
    with _server(root, FULL) as full, _server(root, ROOMY) as roomy:
        measured = Rounds(full, roomy, hot, missed)
        measured.fill()
        for number in range(rounds):
            measured.one(number)
    _print(measured)
    _judge(measured, out)


def _server(root: Path, size: int) -> gateway.Server:
    return gateway.Server(root, config=f'[cache]\nsize = "{size}B"\n', prefix=ON_SERVER_CORE)


def _print(measured: Rounds) -> None:
    print(f"| {STREAMS} streams of {LENGTH // KIB} KiB every {PAUSE_MS} ms, beside | p50 ms | p99 ms | spread "
          f"| stored, evicted a second | loop over 5 ms late |\n|---|---|---|---|---|---|")
    for what, rounds in measured.beside.items():
        p99 = sorted(one.p99 for one in rounds)
        rates = "" if what in (ALONE, HITTING) else (f"{statistics.median(measured.stored[what]):.0f}, "
                                          f"{statistics.median(measured.evicted[what]):.0f}")
        lag: Lag = sum((one.lag for one in rounds[1:]), rounds[0].lag)
        print(f"| {what} | {statistics.median(one.p50 for one in rounds):.2f} | {statistics.median(p99):.2f} "
              f"| {p99[0]:.2f}–{p99[-1]:.2f} | {rates} | {lag} |", flush=True)


def _judge(measured: Rounds, out: report.Report) -> None:
    out.check(measured.fetched == 0, "the streams were hits", f"{measured.fetched:.0f} bytes were fetched anew")
    stored, evicted = min(measured.evicted[EVICTING]), max(measured.evicted[STORING])
    out.check(stored > 10 and evicted == 0, "the full cache evicted, the one with room did not",
              f"{stored:.0f} a second at least, {evicted:.0f} at most")
    for beside in (STORING, HITTING, ALONE):
        ratios = measured.ratios(EVICTING, beside)
        ratio = statistics.median(ratios)
        out.check(ratio <= P99_LIMIT, f"{EVICTING}: p99 of hits at most {P99_LIMIT:g} x that beside {beside}",
                  f"{ratio:.2f} x, {ratios[0]:.2f}–{ratios[-1]:.2f} in {len(ratios)} rounds")
