"""Many players of a warm cache, beside nginx slice: who waits for a picture, and what a player costs.

Two loads: ``media-gateway bench players``, which watches as people do and compares every byte, and ``rangeload``, whose
players only read on, and which costs so little that it is the server that ends first. How many players there can be is
searched with the second; with the first only where its highest count has stalls.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path

import measure
from measure import ON_SERVER_CORE, RangeLoad

import cache_probe
import content
import gateway
import report
from content import KIB, MIB
from crowd_loads import BYTES_PER_SECOND, BenchPlayers, Crowd, PacedReaders
from gateway import MOUNT
from peers import NginxSliceServer

FILMS, FILM_SIZE = 4, 512 * MIB
CPU_LIMIT = 1.5
# How exactly the number of players is searched, and how far.
STEP, HIGHEST = 100, 3000
# What a run of paced readers takes at most, and one of the search.
SHORT = 10
SEED = 7000


class SharingSliceServer(NginxSliceServer):
    """nginx slice with one descriptor for each slice.

    By itself it has one for each slice of each answer without an end, however slowly that is taken: a hundred players
    are more than 20,000.
    """

    more = "open_file_cache max=10000 inactive=1h; open_file_cache_valid 1h;"


class Contest:
    """The gateway and nginx slice in turn, each started anew for each run, with all films in its cache."""

    def __init__(self, servers: list[gateway.Server], films: list[RangeLoad]) -> None:
        self.servers, self.films = servers, films
        # By load, players and server; one for each round.
        self.runs: dict[tuple[str, int, str], list[Crowd]] = {}
        # What a cache asked its origin for while it should have had everything: bytes, or requests of nginx.
        self.fetched = {server.kind: 0 for server in servers}

    def fill(self) -> None:
        for server in self.servers:
            if isinstance(server, NginxSliceServer):
                self._read(server)
            else:
                cache_probe.filled(server, lambda: self._read(server), FILMS * FILM_SIZE // MIB)

    def round(self, number: int, loads: list, counts: list[int]) -> None:
        for load in loads:
            for count in counts:
                for server in self.servers[::1 if number % 2 else -1]:
                    crowd = self.one(load, server, count, SEED + number)
                    self.runs.setdefault((load.kind, count, server.kind), []).append(crowd)

    def one(self, load, server: gateway.Server, count: int, seed: int) -> Crowd:
        """A run on a server that has used no memory yet but for what it takes to have read all once."""
        server.terminate()
        server.process.wait(30)
        server.port = 0
        server.start()
        self._read(server)
        before = _origin(server)
        crowd = load(server, count, seed)
        self.fetched[server.kind] += _origin(server) - before
        return crowd

    def _read(self, server: gateway.Server) -> None:
        for film in self.films:
            film.once(server, 1)


def _origin(server: gateway.Server) -> int:
    """What was asked of the server's origin so far."""
    if isinstance(server, NginxSliceServer):
        return server.origin_requests
    return int(cache_probe.settled(server).source_bytes)


def run(root: Path, tools: Path, counts: list[int], rounds: int, seconds: int, out: report.Report) -> None:
    program = measure.build("rangeload", tools)
    files = [content.write(root / f"film{number}.bin", FILM_SIZE) for number in range(FILMS)]
    films = [RangeLoad(program, f"{MOUNT}/{file.name}", FILM_SIZE) for file in files]
    short = min(seconds, SHORT)
    bench, paced = BenchPlayers(files, tools, seconds), PacedReaders(files[0], films[0], short)
    with (gateway.Server(root, config='[cache]\nsize = "4GiB"\n', prefix=ON_SERVER_CORE) as ours,
          SharingSliceServer(root, prefix=ON_SERVER_CORE) as theirs):
        contest = Contest([ours, theirs], films)
        contest.fill()
        for number in range(1, rounds + 1):
            contest.round(number, [bench, paced], counts)
        for load in (bench, paced):
            _print(contest, load, counts)
        for load, highest in ((BenchPlayers(files, tools, short), max(counts)), (paced, HIGHEST)):
            for server in contest.servers:
                _find_end(contest, load, server, highest)
    for load in (bench, paced):
        for count in counts:
            _judge(contest, load, count, out)
    out.check(not any(contest.fetched.values()), "the caches were warm",
              ", ".join(f"{kind} asked its origin for {fetched}" for kind, fetched in contest.fetched.items()))


# The end of the machine


def _find_end(contest: Contest, load, server: gateway.Server, highest: int) -> None:
    known = contest.runs.get((load.kind, highest, server.kind), [])
    if known and all(crowd.is_smooth for crowd in known):
        return
    tried: dict[int, Crowd] = {}

    def is_smooth(count: int) -> bool:
        tried[count] = contest.one(load, server, count, SEED)
        return tried[count].is_smooth

    most = largest(highest // STEP, lambda steps: is_smooth(steps * STEP)) * STEP
    more = tried.get(most + STEP)
    ended = (f"with {most + STEP:,} {more.stalls:,} stalls, {more.not_begun} not begun, {more.errors} errors, "
             f"full: {more.use.ended}" if more
             else f"no more were tried, full: {tried[most].use.ended}")
    print(f"{load.kind} of {server.kind}: {most:,} are smooth; {ended}", flush=True)


def largest(highest: int, holds: Callable[[int], bool]) -> int:
    """The largest number up to ``highest`` that holds, where all below it do; 0 if 1 does not."""
    low, high = 0, highest + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


# Figures


def _print(contest: Contest, load, counts: list[int]) -> None:
    print(f"\n| {load.kind} | server | stalls | a player-minute | not begun | {load.waits} | MB/s, wanted "
          "| CPU s/GiB | peak RssAnon MiB | KiB a stream | idle: server, load | others | errors, wrong bytes |\n"
          + "|---" * 13 + "|")
    for count in counts:
        for server in contest.servers:
            _row(count, server.kind, contest.runs[load.kind, count, server.kind])
    for count in counts:
        ended = (f"{server.kind}: {contest.runs[load.kind, count, server.kind][-1].use.ended}"
                 for server in contest.servers)
        print(f"full with {count:,}: {', '.join(ended)}", flush=True)


def _row(count: int, kind: str, runs: list[Crowd]) -> None:
    def median(figure: Callable[[Crowd], float]) -> float:
        return statistics.median(map(figure, runs))

    stalls, costs = sorted(run.stalls for run in runs), sorted(run.cpu_per_gib for run in runs)
    print(f"| {count:,} | {kind} | {median(lambda run: run.stalls):g} ({stalls[0]}–{stalls[-1]}) "
          f"| {median(lambda run: run.stalls / run.minutes):.3f} | {median(lambda run: run.not_begun):g} "
          f"| {median(lambda run: run.waits[0]):.1f} / {median(lambda run: run.waits[1]):.1f} "
          f"| {median(lambda run: run.bytes_per_second) / 1e6:,.0f}, {count * BYTES_PER_SECOND / 1e6:,.0f} "
          f"| {median(lambda run: run.cpu_per_gib):.3f} ({costs[0]:.3f}–{costs[-1]:.3f}) "
          f"| {median(lambda run: run.use.memory_peak) / MIB:.1f} | {median(lambda run: run.memory_each) / KIB:.1f} "
          f"| {median(lambda run: run.use.idle[0]):.0%}, {median(lambda run: run.use.idle[1]):.0%} "
          f"| {median(lambda run: run.use.others):.0%} "
          f"| {sum(run.errors for run in runs)}, {sum(run.wrong for run in runs)} |", flush=True)


def _judge(contest: Contest, load, count: int, out: report.Report) -> None:
    ours, theirs = (contest.runs[load.kind, count, server.kind] for server in contest.servers)
    what = f"{count:,} {load.kind}"
    errors, wrong = sum(run.errors for run in ours), sum(run.wrong for run in ours)
    received = sum(run.bytes for run in ours)
    fault = next((run.fault for run in ours if run.fault), "")
    out.check(not errors and not wrong and received > 0, f"{what}: 0 errors, 0 wrong bytes",
              f"{errors}, {wrong} in {received / 1e9:,.1f} GB{', ' + fault if fault else ''}, "
              f"seeds {SEED + 1} to {SEED + len(ours)}")
    ratios = sorted(one.cpu_per_gib / other.cpu_per_gib for one, other in zip(ours, theirs))
    ratio = statistics.median(ratios)
    failed = sum(run.errors for run in theirs)
    out.check(ratio <= CPU_LIMIT and not failed, f"{what}: CPU per GiB at most {CPU_LIMIT:g} x nginx slice",
              f"{ratio:.2f} x, {ratios[0]:.2f}–{ratios[-1]:.2f} in {len(ratios)} rounds, {failed} errors of nginx")
