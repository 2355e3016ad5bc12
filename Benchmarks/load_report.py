#!/usr/bin/env python3
"""Phase 2 of the load report of the backend that this gateway replaces, against swarms on loopback.

    python3 Benchmarks/load_report.py [--seconds N] [--pause N] [--quick]

0 → 5 → 10 → 15 → 5 → 0 clients ask /metadata/:magnet for two films, with a pause after each answer, as there. Then 15
clients ask with a pause of 50 ms: at once, after a restart, and when the torrents have been removed for idleness.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import torrent_swarm as swarm
from torrent_swarm import Seeder, TorrentGateway

import gateway
import report
from content import MIB
from wire import Connection, WireError, fetch

FULL_SECONDS, QUICK_SECONDS = 390, 40
# Clients at the ends of six stages of equal length.
STAGES = (0, 5, 10, 15, 15, 5, 0)
CLIENTS = 15
LIMIT = 0.010
SHORT_PAUSE = 0.05
# Of questions to the swarm; two are the films.
QUESTIONS = 10

# What the report has of the replaced backend.
BEFORE = "| Node.js and WebTorrent (the load report) | 877 | 75 | 172 | 253 | 3,095 | 0 | 2.24 |"


@dataclass(frozen=True)
class Sample:
    seconds: float
    clients: int
    status: int


class Load:
    """Clients that ask in turn for the links, on connections of their own that are kept."""

    def __init__(self, server: TorrentGateway, magnets: list[str], pause: float) -> None:
        self.server, self.pause = server, pause
        self.paths = [f"/metadata/{quote(magnet, safe='')}" for magnet in magnets]
        self.samples: list[Sample] = []
        self.wanted = 0
        self.lock = threading.Lock()

    def run(self, stages: tuple[int, ...], seconds: float) -> float:
        """The stages, each from its number of clients to the next one's; the seconds they took."""
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
        return time.monotonic() - began

    def _client(self, number: int) -> None:
        choice = random.Random(number)
        connection = None
        while self.wanted >= 0:
            if number >= self.wanted:
                time.sleep(0.02)
                continue
            path, began, clients = choice.choice(self.paths), time.monotonic(), self.wanted
            try:
                connection = connection or Connection(self.server.address, 60)
                reply = connection.get(path)
                status = reply.status if reply.status != 200 or json.loads(reply.body) else 0
            except (WireError, OSError, ValueError):
                status, connection = 0, None
            with self.lock:
                self.samples.append(Sample(time.monotonic() - began, clients, status))
            self._rest()

    def _rest(self) -> None:
        until = time.monotonic() + self.pause
        while self.wanted >= 0 and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, 0.1))

    @property
    def errors(self) -> int:
        return sum(sample.status != 200 for sample in self.samples)


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[max(-(-int(share * 1000) * len(values) // 1000) - 1, 0)]


def row(what: str, samples: list[Sample], seconds: float) -> None:
    times = [sample.seconds for sample in samples]
    figures = [f"{quantile(times, share) * 1e3:,.2f}" for share in (0.5, 0.9, 0.95, 1)]
    errors = sum(sample.status != 200 for sample in samples)
    print(f"| {what} | {len(times)} | " + " | ".join(figures) + f" | {errors} | {len(times) / seconds:,.2f} |",
          flush=True)


def repeats(what: str, server: TorrentGateway, magnets: list[str], seconds: float, out: report.Report) -> None:
    load = Load(server, magnets, SHORT_PAUSE)
    took = load.run((CLIENTS, CLIENTS), seconds)
    row(f"{CLIENTS} clients, pause of 50 ms, {what}", load.samples, took)
    p95 = quantile([sample.seconds for sample in load.samples], 0.95)
    out.check(p95 < LIMIT and not load.errors, f"repeats, {what}: p95 under 10 ms at {CLIENTS} clients, 0 errors",
              f"p95 {p95 * 1e3:.2f} ms of {len(load.samples)}, {load.errors} errors")


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


def run(root: Path, seconds: float, pause: float, out: report.Report) -> None:
    options = {"idle_after": "2s", "metadata_timeout": "2s"}
    with (Seeder(16 * MIB, MIB, 500) as one, Seeder(16 * MIB, MIB, 501) as other,
          TorrentGateway(root, limits=f'resolve_per_ip = "{QUESTIONS}/h"', **options) as server):
        magnets = [one.magnet, other.magnet]
        load = Load(server, magnets, pause)
        took = load.run(STAGES, seconds)
        print("| what | requests | median ms | p90 | p95 | max | errors | requests/s |\n" + "|---" * 8 + "|")
        print(BEFORE)
        row("this gateway", load.samples, took)
        full = [sample for sample in load.samples if sample.clients == CLIENTS]
        if full:
            row(f"this gateway, at {CLIENTS} clients", full, took * 2 / (len(STAGES) - 1))
        p95 = quantile([sample.seconds for sample in load.samples], 0.95)
        out.check(p95 < LIMIT and not load.errors, "phase 2: p95 under 10 ms, 0 errors",
                  f"p95 {p95 * 1e3:.2f} ms, {load.errors} errors, longest "
                  f"{max(sample.seconds for sample in load.samples) * 1e3:.0f} ms, which asks the swarm")
        burst = max(seconds / 20, 2)
        repeats("at once", server, magnets, burst, out)
        limit_spares_the_known(server, out)
        server.restart()
        repeats("after a restart", server, magnets, burst, out)
        # Played, and so loaded; then left alone.
        for path in (server.add(magnet)[1] for magnet in magnets):
            fetch(server.address, path, fields=[("Range", "bytes=0-99")])
        removed = await_removal(server, 30)
        out.check(removed, "idle torrents are removed", "2 torrents, idle_after 2 s")
        repeats("after idle removal", server, magnets, burst, out)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=FULL_SECONDS, help="of phase 2 (default %(default)s)")
    parser.add_argument("--pause", type=float, default=None, help="of a client after each answer (default 3)")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_SECONDS} s, with a pause of 0.3 s")
    chosen = parser.parse_args()
    lacking = swarm.missing()
    if lacking:
        print(f"FAIL  {lacking}")
        return 1
    seconds = QUICK_SECONDS if chosen.quick else chosen.seconds
    pause = chosen.pause if chosen.pause is not None else 0.3 if chosen.quick else 3.0
    report.deadline(3 * seconds + 600)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    tempfile.tempdir = "/var/tmp" if os.access("/var/tmp", os.W_OK) else None
    out = report.Report()
    with gateway.folder("load.") as root, out.guarded("phase 2"):
        run(root, seconds, pause, out)
    return out.finish()


if __name__ == "__main__":
    sys.exit(main())
