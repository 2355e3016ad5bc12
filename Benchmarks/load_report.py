#!/usr/bin/env python3
"""Phase 2 of the load report of the backend that this gateway replaces, against swarms on loopback.

    python3 Benchmarks/load_report.py [--rounds N] [--seconds N] [--pause N] [--quick]

0 → 5 → 10 → 15 → 5 → 0 clients ask /metadata/:magnet for two films, with a pause after each answer, as there; beside
Express in front of a torrent client, on the same swarms in turn. Then 15 clients ask the gateway with a pause of 50 ms:
at once, after a restart, and when the torrents have been removed for idleness.

See README.md beside this file for what is measured and how. Exits with 1 if a limit is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import measure
from measure import ON_SERVER_CORE

import torrent_swarm as swarm
from express_aria2 import ExpressAria2Server
from torrent_swarm import Seeder, TorrentGateway

import gateway
import report
from content import MIB
from torrent_probe import Tracker
from wire import Connection, WireError, fetch

FULL_ROUNDS, QUICK_ROUNDS = 5, 2
# Of a run, and of a client after each answer, which the report has so.
FULL_SECONDS, QUICK_SECONDS = 60, 12
FULL_PAUSE, QUICK_PAUSE = 3.0, 0.3
# Clients at the ends of six stages of equal length.
STAGES = (0, 5, 10, 15, 15, 5, 0)
CLIENTS = 15
LIMIT = 0.010
SHORT_PAUSE, BURST = 0.05, 3
# Of questions to the swarm; two are the films.
QUESTIONS = 10
# What a server is asked for before it is measured: what runs for the first time is slow.
WARM_UP = 50

# What the report has of the replaced backend.
BEFORE = "| the load report, Node.js and WebTorrent | 877 | 75 | 172 | 253 | | 3,095 | 0 | 2.24 |"


@dataclass(frozen=True)
class Sample:
    seconds: float
    status: int


class Load:
    """Clients that ask in turn for the links, on connections of their own that are kept."""

    def __init__(self, server: gateway.Server, magnets: list[str], pause: float) -> None:
        self.server, self.pause = server, pause
        self.paths = [f"/metadata/{quote(magnet, safe='')}" for magnet in magnets]
        self.samples: list[Sample] = []
        self.wanted = 0
        self.lock = threading.Lock()

    def run(self, stages: tuple[int, ...], seconds: float) -> "Run":
        """The stages, each from its number of clients to the next one's."""
        began = time.monotonic()
        threads = [threading.Thread(target=self._client, args=(number,)) for number in range(max(stages))]
        self.wanted = stages[0]
        for thread in threads:
            thread.start()
        length = seconds / (len(stages) - 1)
        while (elapsed := time.monotonic() - began) < seconds:
            stage = min(int(elapsed / length), len(stages) - 2)
            done = elapsed / length - stage
            self.wanted = round(stages[stage] + (stages[stage + 1] - stages[stage]) * done)
            time.sleep(0.02)
        self.wanted = -1
        for thread in threads:
            thread.join()
        return Run(self.samples, time.monotonic() - began)

    def _client(self, number: int) -> None:
        choice = random.Random(number)
        connection = None
        while self.wanted >= 0:
            if number >= self.wanted:
                time.sleep(0.02)
                continue
            path, began = choice.choice(self.paths), time.monotonic()
            try:
                connection = connection or Connection(self.server.address, 60)
                reply = connection.get(path)
                status = reply.status if reply.status != 200 or json.loads(reply.body) else 0
            except (WireError, OSError, ValueError):
                status, connection = 0, None
            with self.lock:
                self.samples.append(Sample(time.monotonic() - began, status))
            self._rest()

    def _rest(self) -> None:
        until = time.monotonic() + self.pause
        while self.wanted >= 0 and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, 0.1))


class Run:
    """What the clients of one run had; times in seconds."""

    def __init__(self, samples: list[Sample], seconds: float) -> None:
        times = sorted(sample.seconds for sample in samples)
        self.count = len(times)
        self.p50, self.p90, self.p95, self.longest = (_quantile(times, share) for share in (0.5, 0.9, 0.95, 1))
        self.errors = sum(sample.status != 200 for sample in samples)
        self.rate = len(times) / seconds


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[max(-(-int(share * 1000) * len(ordered) // 1000) - 1, 0)]


class Contest:
    """All runs, by what the table calls them; one of each in every round that did not fail."""

    AT_ONCE, RESTART, REMOVAL = (f"gateway, {CLIENTS} clients, {when}"
                                 for when in ("at once", "after a restart", "after idle removal"))

    def __init__(self, root: Path, seconds: float, pause: float, out: report.Report) -> None:
        self.root, self.seconds, self.pause, self.out = root, seconds, pause, out
        self.runs: dict[str, dict[int, Run]] = {
            what: {} for what in (gateway.Server.kind, ExpressAria2Server.kind, self.AT_ONCE, self.RESTART,
                                  self.REMOVAL)}

    def of_gateway(self, magnets: list[str], number: int) -> None:
        with TorrentGateway(self.root, limits=f'resolve_per_ip = "{QUESTIONS}/h"', prefix=ON_SERVER_CORE,
                            idle_after="2s", metadata_timeout="2s") as server:
            self._phase(server, magnets, number)
            self._repeats(self.AT_ONCE, server, magnets, number)
            if number == 0:
                limit_spares_the_known(server, self.out)
            server.restart()
            self._repeats(self.RESTART, server, magnets, number)
            # Played, and so loaded; then left alone.
            for path in (server.add(magnet)[1] for magnet in magnets):
                fetch(server.address, path, fields=[("Range", "bytes=0-99")])
            if not await_removal(server, 30):
                raise RuntimeError("idle torrents are not removed")
            self._repeats(self.REMOVAL, server, magnets, number)

    def of_peer(self, magnets: list[str], number: int) -> None:
        with ExpressAria2Server(self.root, prefix=ON_SERVER_CORE) as server:
            self._phase(server, magnets, number)

    def _phase(self, server: gateway.Server, magnets: list[str], number: int) -> None:
        for _ in range(WARM_UP):
            fetch(server.address, "/ping")  # the peer has none, and says so
        self.runs[server.kind][number] = Load(server, magnets, self.pause).run(STAGES, self.seconds)

    def _repeats(self, what: str, server: gateway.Server, magnets: list[str], number: int) -> None:
        self.runs[what][number] = Load(server, magnets, SHORT_PAUSE).run((CLIENTS, CLIENTS), BURST)


def limit_spares_the_known(server: TorrentGateway, out: report.Report) -> None:
    """Two questions were counted, for the films; all that is left can still be asked, and not one more."""
    statuses: list[int] = []

    def ask(number: int) -> None:
        statuses.append(fetch(server.address, f"/metadata/{number:040x}", timeout=60).status)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(1, QUESTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    out.check(sorted(statuses) == [429] + [504] * (QUESTIONS - 2), "resolve_per_ip counts none of what is known",
              f"{statuses.count(504)} unknown ones may be asked for, {statuses.count(429)} may not, "
              f"after 2 of {QUESTIONS}")


def await_removal(server: TorrentGateway, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        torrents = json.loads(fetch(("127.0.0.1", server.admin_port), "/admin/v1/torrents").body)["torrents"]
        if torrents and all(torrent["state"] == "stored" for torrent in torrents):
            return True
        time.sleep(0.2)
    return False


def run(root: Path, rounds: int, seconds: float, pause: float, out: report.Report) -> None:
    # All but the servers that are measured: clients, seeders and tracker.
    os.sched_setaffinity(0, {measure.CLIENT_CORE})
    contest = Contest(root, seconds, pause, out)
    with (Seeder(16 * MIB, MIB, 500) as one, Seeder(16 * MIB, MIB, 501) as other,
          Tracker([one.port]) as of_one, Tracker([other.port]) as of_other):
        # The gateway finds the peers in the link, aria2 by the tracker.
        magnets = [f"{seeder.magnet}&tr={quote(tracker.link, safe='')}"
                   for seeder, tracker in ((one, of_one), (other, of_other))]
        contenders = [(gateway.Server.kind, contest.of_gateway), (ExpressAria2Server.kind, contest.of_peer)]
        for number in range(rounds):
            for name, contender in measure.in_turn(contenders, number):
                with out.guarded(f"phase 2, {name}, round {number + 1}"):
                    contender(magnets, number)
    _print(contest.runs)
    for what, runs in contest.runs.items():
        if what != ExpressAria2Server.kind:
            _judge(what, list(runs.values()), rounds, out)
    _judge_peer(contest.runs[gateway.Server.kind], contest.runs[ExpressAria2Server.kind], rounds, out)


def _print(measured: dict[str, dict[int, Run]]) -> None:
    print("| what | requests | median ms | p90 | p95 | spread of p95 | max | errors | requests/s |\n" + "|---" * 9 + "|")
    print(BEFORE)
    for what, by_round in measured.items():
        if runs := list(by_round.values()):
            p50, p90, p95 = ([getattr(run, name) * 1e3 for run in runs] for name in ("p50", "p90", "p95"))
            print(f"| {what} | {statistics.median(run.count for run in runs):,.0f} "
                  f"| {statistics.median(p50):.2f} | {statistics.median(p90):.2f} | {statistics.median(p95):.2f} "
                  f"| {min(p95):.2f}–{max(p95):.2f} | {max(run.longest for run in runs) * 1e3:,.0f} "
                  f"| {sum(run.errors for run in runs)} | {statistics.median(run.rate for run in runs):,.2f} |",
                  flush=True)


def _judge(what: str, runs: list[Run], rounds: int, out: report.Report) -> None:
    p95 = statistics.median(run.p95 for run in runs) if runs else float("inf")
    errors = sum(run.errors for run in runs)
    out.check(len(runs) == rounds and p95 < LIMIT and errors == 0,
              f"phase 2, {what}: p95 under {LIMIT * 1e3:.0f} ms, 0 errors",
              f"p95 {p95 * 1e3:.2f} ms, {errors} errors of {sum(run.count for run in runs)} in {len(runs)} rounds")


def _judge_peer(ours: dict[int, Run], theirs: dict[int, Run], rounds: int, out: report.Report) -> None:
    """A server with an error is out, and so is the comparison."""
    ratios = sorted(ours[number].p95 / theirs[number].p95 for number in ours.keys() & theirs.keys())
    errors = sum(run.errors for run in theirs.values())
    out.check(len(ratios) == rounds and errors == 0 and statistics.median(ratios) <= 1,
              f"phase 2: p95 at most that of {ExpressAria2Server.kind}",
              (f"{statistics.median(ratios):.2f} x, {ratios[0]:.2f}–{ratios[-1]:.2f} in " if ratios else "")
              + f"{len(ratios)} rounds, {errors} errors of its own")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, help=f"runs for each figure (default {FULL_ROUNDS}, or {QUICK_ROUNDS})")
    parser.add_argument("--seconds", type=float, help=f"of each run of phase 2 (default {FULL_SECONDS})")
    parser.add_argument("--pause", type=float, help=f"of a client after each answer (default {FULL_PAUSE:g})")
    parser.add_argument("--quick", action="store_true",
                        help=f"{QUICK_ROUNDS} rounds of {QUICK_SECONDS} s, with a pause of {QUICK_PAUSE} s")
    chosen = parser.parse_args()
    defaults = (QUICK_ROUNDS, QUICK_SECONDS, QUICK_PAUSE) if chosen.quick else (FULL_ROUNDS, FULL_SECONDS, FULL_PAUSE)
    rounds, seconds, pause = (default if given is None else given
                              for given, default in zip((chosen.rounds, chosen.seconds, chosen.pause), defaults))
    if advice := "; ".join(filter(None, [swarm.missing(), ExpressAria2Server.missing()])):
        print(f"FAIL  {advice}")
        return 1
    out = measure.begin({"taskset": "util-linux"}, 300 + rounds * (2 * seconds + 120))
    if out is None:
        return 1
    return measure.run_parts({"phase 2": lambda root, _: run(root, rounds, seconds, pause, out)}, [], out)


if __name__ == "__main__":
    sys.exit(main())
