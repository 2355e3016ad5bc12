#!/usr/bin/env python3
"""Measures the torrent source beside a bare libtorrent program, and btfs, on the same swarm in the same run.

    python3 Benchmarks/torrent.py [--quick] [NAME ...]

Names choose:

    loopback  all of a file from one seeder, through HTTP: 0.9 x a plain download; beside both, one with the gateway's
              disk settings, and the bare program that reads in order with the gateway's policy, which say what of the
              difference is whose
    start     magnet to metadata and from there to the first byte: 150 ms each on loopback; 1.3 x bare from afar
    seek      seek to verified piece, four seeders behind relay.py (60 ms, 1.5 MB/s each), pieces of 1 MiB, a reader of
              1 MB/s: 0.6 s, 1.3 x bare, under 1 % of blocks sent twice
    loaded    the same with 0.7 MB/s each and a reader that takes all there is: 1.8 s
    stale     the seeks of a player that leaves each connection open and takes nothing more of it: 1.3 x those of one
              that hangs up
    swarm     reading on from four seeders of 1.5 MB/s: 0.95 x what the links carry
    btfs      btfs on the same file, where it runs
    again     a second play: 0 bytes from peers, also when the swarm is gone and after a restart

Who is measured takes turns. Bare is torrent_bare.py: libtorrent with the gateway's settings and policy, and nothing
else. What peers sent is counted by the relay, block by block. Needs python3-libtorrent. Exits with 1 if a limit is
missed.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import measure
import torrent_swarm as swarm
from torrent_swarm import Bare, Player, Relay, Seeder, TorrentGateway

import gateway
import report
import torrent_btfs
from content import MIB
from wire import WireError


@dataclass(frozen=True)
class Counts:
    """How much is measured."""

    rounds: int
    size: int
    seeks: int
    swarm_rounds: int


FULL, QUICK = Counts(7, 240 * MIB, 7, 3), Counts(5, 128 * MIB, 7, 1)
FAR_PIECES = 240  # of 1 MiB; seeder.py makes no file of 256 MiB
FAR, BUSY = 1.5e6, 0.7e6
PLAYING = 1e6


def row(what: str, who: str, values: list[float], unit: str = "ms", scale: float = 1e3) -> float:
    """Prints a line of the table; the median, unscaled."""
    median = statistics.median(values)
    worst = sorted(values)[max(-(-95 * len(values) // 100) - 1, 0)]
    figures = [median, worst, min(values), max(values)]
    print(f"| {what} | {who} | " + " | ".join(f"{figure * scale:,.0f} {unit}" for figure in figures)
          + f" | {len(values)} |", flush=True)
    return median


def in_turn(rounds: int, *one) -> list[list]:
    """Calls each of ``one`` once a round, in alternating order."""
    results = [[] for _ in one]
    for number in range(rounds):
        for index in range(len(one)) if number % 2 else reversed(range(len(one))):
            results[index].append(one[index](number))
    return results


def ratio_check(out: report.Report, what: str, ours: list[float], theirs: list[float], limit: float) -> None:
    """``ours`` are at least ``limit`` times as high as ``theirs``, by the median of the rounds."""
    ratios = sorted(one / other for one, other in zip(ours, theirs))
    out.check(statistics.median(ratios) >= limit, what,
              f"{statistics.median(ratios):.2f} x, {ratios[0]:.2f}–{ratios[-1]:.2f} in {len(ratios)} rounds")


# One seeder as near as can be


def loopback(root: Path, counts: Counts, out: report.Report) -> None:
    """All of a file through HTTP, and a plain download, from the add to the last byte."""
    with Seeder(counts.size, MIB) as seeder, Seeder(MIB, MIB, 99) as first:
        def ours(_: int) -> float:
            with TorrentGateway(root) as server:
                # Opens the session, as the other's is.
                server.add(first.magnet)
                began = time.monotonic()
                with Player(server, server.add(seeder.magnet)[1]) as player:
                    player.finish()
                return counts.size / (time.monotonic() - began)

        def theirs(_: int) -> float:
            with Bare(has_own_disk=True) as bare:
                return counts.size / bare.download(seeder.magnet)["all"]

        def tuned(_: int) -> float:
            with Bare() as bare:
                return counts.size / bare.download(seeder.magnet)["all"]

        def bare(_: int) -> float:
            with Bare() as bare:
                return counts.size / bare.read(seeder.magnet)["all"]

        speeds = in_turn(counts.rounds, ours, theirs, tuned, bare)
        whose = ("gateway", "plain download", "plain download, the gateway's disk settings", "bare, read in order")
        for who, values in zip(whose, speeds):
            row(f"{counts.size // MIB} MiB from one seeder on loopback", who, values, "MB/s", 1e-6)
        ratio_check(out, "all of a file through HTTP: at least 0.9 x a plain download, on loopback", *speeds[:2], 0.9)


def start(root: Path, counts: Counts, out: report.Report) -> None:
    """From a magnet link to what is in it, and from there to the first byte. A new torrent each time."""
    names = ("magnet to metadata", "metadata to first byte")
    where = {"loopback": None, "1.5 MB/s, 60 ms": FAR}
    found = {(place, who): [] for place in where for who in ("gateway", "bare")}
    with TorrentGateway(root) as server, Bare() as bare, Seeder(16 * MIB, MIB, 99) as first:
        # Opens the session, which is done once in the life of a gateway.
        opening = server.add(first.magnet)[0]

        def ours(magnet: str) -> tuple[float, float]:
            metadata, path = server.add(magnet)
            with Player(server, path) as player:
                return metadata, player.first

        def theirs(magnet: str) -> tuple[float, float]:
            told = bare.add(magnet)
            return told["metadata"], told["first"]

        for number in range(2 * counts.rounds):
            for place, rate in where.items():
                with contextlib.ExitStack() as stack:
                    seeder = stack.enter_context(Seeder(16 * MIB, MIB, 100 + number + (1000 if rate else 0)))
                    magnet = stack.enter_context(Relay([seeder], rate)).magnet if rate else seeder.magnet
                    for who, one in (("gateway", ours), ("bare", theirs))[:: 1 if number % 2 else -1]:
                        # The place in libtorrent's ticks is any.
                        time.sleep(random.random())
                        found[place, who].append(one(magnet))
    for (place, who), pairs in found.items():
        for name, values in zip(names, zip(*pairs)):
            median = row(f"{name}, {place}", who, values)
            if (place, who) == ("loopback", "gateway"):
                out.check(median <= 0.15, f"{name}, warm seeder on loopback: at most 150 ms",
                          f"median {median * 1e3:.0f} ms; the first torrent of all {opening * 1e3:.0f} ms")
    place = "1.5 MB/s, 60 ms"
    whole, other = (statistics.median(map(sum, found[place, who])) for who in ("gateway", "bare"))
    out.check(whole <= 1.3 * other, f"magnet to first byte, {place}: at most 1.3 x bare",
              f"{whole / other:.2f} x, {whole * 1e3:.0f} against {other * 1e3:.0f} ms")


# Four seeders far away


@contextlib.contextmanager
def far_swarm(size: int, seed: int, rate: float):
    with contextlib.ExitStack() as stack:
        seeders = [stack.enter_context(Seeder(size, MIB, seed)) for _ in range(4)]
        yield seeders, stack.enter_context(Relay(seeders, rate))


def places(pieces: int, seeks: int, seed: int) -> list[int]:
    """Pieces to seek to, far from each other and in no order; what is between them stays untouched."""
    first = 40
    room = (pieces - first) // seeks
    spots = [first + number * room for number in range(seeks)]
    random.Random(seed).shuffle(spots)
    return spots


@dataclass
class Seeks:
    times: list[float]
    payload: int
    redundant: int
    unseen: int


def our_seeks(root: Path, relay: Relay, spots: list[int], seconds: float, rate: float | None,
              hangs_up: bool = True) -> Seeks:
    times = []
    with contextlib.ExitStack() as left, TorrentGateway(root) as server:
        path = server.add(relay.magnet)[1]
        for spot in [0, *spots]:
            player = left.enter_context(Player(server, path, spot * MIB))
            times.append(player.first)
            player.play(seconds, rate)
            if hangs_up:
                player.connection.close()
        counts = relay.counts()
    return Seeks(times[1:], counts["payload"], counts["redundant"], counts["unseen"])


def their_seeks(relay: Relay, spots: list[int], seconds: float, rate: float | None) -> Seeks:
    with Bare() as bare:
        bare.add(relay.magnet)
        times = [bare.command("seek", piece=spot, seconds=seconds, rate=rate)["seek"] for spot in [0, *spots]]
        counts = relay.counts()
    return Seeks(times[1:], counts["payload"], counts["redundant"], counts["unseen"])


def seeks(root: Path, counts: Counts, rate: float, reading: float | None, limit: float, out: report.Report) -> None:
    pace = "a reader of 1 MB/s" if reading else "a reader that takes all"
    seconds = 6 if reading else 3  # until what is wanted is there, and until the links have long been full
    what = f"seek to verified piece, 4 x {rate / 1e6:g} MB/s, 60 ms, {pace}"
    found: dict[str, list[Seeks]] = {"gateway": [], "bare": []}
    for number in range(counts.swarm_rounds):
        with far_swarm(FAR_PIECES * MIB, 200 + number, rate) as (_, relay):
            spots = places(FAR_PIECES, counts.seeks, number)
            for who in ("gateway", "bare") if number % 2 else ("bare", "gateway"):
                found[who].append(our_seeks(root, relay, spots, seconds, reading) if who == "gateway"
                                  else their_seeks(relay, spots, seconds, reading))
    medians = {who: row(what, who, [time for run in runs for time in run.times]) for who, runs in found.items()}
    wasted = {who: sum(run.redundant for run in runs) / max(sum(run.payload for run in runs), 1)
              for who, runs in found.items()}
    out.check(medians["gateway"] <= limit, f"{what}: at most {limit:g} s", f"median {medians['gateway']:.2f} s")
    out.check(medians["gateway"] <= 1.3 * medians["bare"], f"{what}: at most 1.3 x bare",
              f"{medians['gateway'] / medians['bare']:.2f} x")
    if any(run.unseen for runs in found.values() for run in runs):
        out.skip(f"{what}: blocks sent twice", "connections are encrypted")
        return
    out.check(wasted["gateway"] < 0.01, f"{what}: under 1 % of blocks sent twice",
              f"{wasted['gateway']:.2%} of {sum(run.payload for run in found['gateway']) / 1e6:.0f} MB, "
              f"bare {wasted['bare']:.2%}")


def stale(root: Path, counts: Counts, out: report.Report) -> None:
    """Each read has grown its window when it is left; that of the next one has the links to itself all the same."""
    what = f"seek to verified piece, 4 x {FAR / 1e6:g} MB/s, 60 ms"
    ways = {"hangs up": True, "leaves connections open": False}
    found: dict[str, list[Seeks]] = {way: [] for way in ways}
    for number in range(counts.swarm_rounds):
        with far_swarm(FAR_PIECES * MIB, 400 + number, FAR) as (_, relay):
            spots = places(FAR_PIECES, counts.seeks, number)
            for way in list(ways)[:: 1 if number % 2 else -1]:
                found[way].append(our_seeks(root, relay, spots, 3, None, ways[way]))
    medians = {way: row(what, f"gateway, a player that {way}", [time for run in runs for time in run.times])
               for way, runs in found.items()}
    ratio = medians["leaves connections open"] / medians["hangs up"]
    out.check(ratio <= 1.3, f"{what}: a player that leaves connections open waits at most 1.3 x as long", f"{ratio:.2f} x")


def far_reading(root: Path, counts: Counts, out: report.Report) -> None:
    """From the first byte to the last through HTTP, against what the links carry."""
    size = 96 * MIB if counts is FULL else 48 * MIB
    with far_swarm(size, 300, FAR) as (_, relay):
        def ours(_: int) -> float:
            with TorrentGateway(root) as server, Player(server, server.add(relay.magnet)[1]) as player:
                before = player.received, time.monotonic()
                player.finish()
                return (size - before[0]) / (time.monotonic() - before[1])

        def theirs(_: int) -> float:
            with Bare() as bare:
                told = bare.download(relay.magnet)
                return told["bytes"] / (told["all"] - told["metadata"])

        relay.counts()
        speeds = in_turn(counts.swarm_rounds, ours, theirs)
    what = f"{size // MIB} MiB from 4 x 1.5 MB/s, 60 ms"
    median = row(what, "gateway", speeds[0], "kB/s", 1e-3)
    plain = row(what, "plain download", speeds[1], "kB/s", 1e-3)
    out.check(median >= 0.95 * relay.rate, f"{what}: at least 0.95 x the swarm's ceiling",
              f"{median / relay.rate:.3f} x, a plain download {plain / relay.rate:.3f} x")
    ratio_check(out, f"{what}: at least 0.9 x a plain download", *speeds, 0.9)


# btfs


def beside_btfs(root: Path, counts: Counts, out: report.Report) -> None:
    what = "btfs on the same file"
    lacking = torrent_btfs.missing()
    if lacking:
        out.skip(what, lacking)
        return
    try:
        found = torrent_btfs.measure(counts.size, counts.seeks, 3 if counts is FULL else 2)
    except torrent_btfs.NothingReadError as error:
        out.skip(what, str(error))
        return
    medians = {}
    for name, unit, scale in (("speed", "MB/s", 1e-6), ("first", "ms", 1e3), ("seek", "ms", 1e3)):
        for who in ("gateway", "btfs"):
            medians[name, who] = row(f"beside btfs: {name}", who, found[who][name], unit, scale)
    out.check(medians["speed", "gateway"] >= medians["speed", "btfs"], "all of a file: not slower than btfs",
              f"{medians['speed', 'gateway'] / medians['speed', 'btfs']:.2f} x")
    out.check(medians["seek", "gateway"] <= medians["seek", "btfs"], "seek to first byte: not later than btfs",
              f"{medians['seek', 'gateway'] / medians['seek', 'btfs']:.2f} x")


# The second time


def again(root: Path, counts: Counts, out: report.Report) -> None:
    """A file that was played is played again, with its swarm there, without it, and by a gateway that began anew."""

    def played(server: TorrentGateway, path: str) -> str:
        digest = hashlib.sha256()
        with Player(server, path) as player:
            for part in player.parts():
                digest.update(part)
        return digest.hexdigest()

    with contextlib.ExitStack() as stack:
        server = stack.enter_context(TorrentGateway(root))
        seeder = stack.enter_context(Seeder(64 * MIB, MIB, 400))
        relay = stack.enter_context(Relay([seeder], 200e6, rtt=0))
        path = server.add(relay.magnet)[1]
        first = played(server, path)
        sent = relay.counts()["payload"]
        time.sleep(1.5)
        before = server.torrent(seeder.hash)["downloaded_bytes"]
        second = played(server, path)
        time.sleep(1.5)
        after, more = server.torrent(seeder.hash)["downloaded_bytes"], relay.counts()["payload"]
        out.check(sent >= 64 * MIB and after == before and more == 0 and second == first,
                  "a second play: 0 bytes from peers",
                  f"{sent} bytes the first time, {more} the second; {after - before} by the gateway's own count")
        relay.end()
        seeder.end()
        gone = played(server, path)
        server.restart()
        anew = played(server, path)
        out.check(first == gone == anew, "the same bytes when the swarm is gone, and after a restart",
                  f"{64 * MIB} bytes")


CHECKS = {
    "loopback": loopback, "start": start,
    "seek": lambda root, counts, out: seeks(root, counts, FAR, PLAYING, 0.6, out),
    "loaded": lambda root, counts, out: seeks(root, counts, BUSY, None, 1.8, out),
    "stale": stale, "swarm": far_reading, "btfs": beside_btfs, "again": again,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs")
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[[], *CHECKS], help="what to measure")
    chosen = parser.parse_args()
    lacking = swarm.missing()
    if lacking:
        print(f"FAIL  {lacking}")
        return 1
    report.deadline(3600)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # On a disk rather than in /tmp, which may be memory.
    tempfile.tempdir = "/var/tmp" if os.access("/var/tmp", os.W_OK) else None
    out = report.Report()
    print("| what | who | median | p95 | lowest | highest | of |\n|---|---|---|---|---|---|---|")
    with gateway.folder("torrent.") as root:
        for name in chosen.names or CHECKS:
            with out.guarded(name):
                CHECKS[name](root, QUICK if chosen.quick else FULL, out)
    return out.finish()


if __name__ == "__main__":
    sys.exit(main())
