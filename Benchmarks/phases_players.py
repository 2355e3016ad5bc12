"""Phase 3 of the load report, which was never run: players whose number rises and falls.

They watch films of the gateway from a disk, an HTTP origin and a swarm, first with nothing in the cache and then with
everything, and the same files of Node's http and Express. Every byte is compared with the file's. Meanwhile the same
server is asked for ``/ping``.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import measure
from measure import ON_SERVER_CORE

import cache_probe
import content
import gateway
import load
import report
import torrent_probe
from content import GIB, MIB
from http_origin import OriginGateway, base_of
from peers import ExpressServer, NodeServer
from torrent_swarm import Player, TorrentGateway

FILMS, SIZE, PIECE = 8, 32 * MIB, MIB
LEVELS = (20, 50, 100, 50, 0)
FULL_SECONDS, QUICK_SECONDS = 6, 1.6
PING_RATE = "20/s"
# A hundred take 50 MB/s, and more while they fill their buffers.
HABITS = ("--bit-rate", "4Mbit/s", "--buffer", "5s", "--seek-every", "10s")

# The gateway's sources: what the tables call them, and their names in its configuration and metrics.
SOURCES = {"disk": "media", "http": "origin", "torrent": "torrent"}
COLD, WARM = "cold", "warm"


@dataclass
class Watched:
    """One run: what players and pings had, as ``media-gateway bench`` reports it, and what it took of the server."""

    load: dict
    ping: dict
    cpu: float
    # Of the gateway: bytes that its source was asked for, and the share of chunks that its cache had.
    source_bytes: float | None = None
    hits: float | None = None


class Films:
    """The same files for all servers, and who has them besides: an nginx, and a swarm of one."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self.folder = folder
        self.files = [content.write(folder / f"film-{number}.mkv", SIZE) for number in range(FILMS)]
        self.digests = [hashlib.sha256(file.read_bytes()).digest() for file in self.files]
        self.nginx = stack.enter_context(gateway.NginxServer(folder))
        self.torrents = stack.enter_context(torrent_probe.seed_files(self.files, piece_size=PIECE)).torrents

    def paths(self, server: gateway.Server) -> list[str]:
        """Where a server has them in its folder."""
        return [server.path(file.name) for file in self.files]

    @contextlib.contextmanager
    def gateway_on(self, source: str) -> Iterator[tuple[gateway.Server, list[str]]]:
        """A gateway with an empty cache, and where it has the films from this source."""
        if source == "disk":
            with gateway.Server(self.folder, prefix=ON_SERVER_CORE) as server:
                yield server, self.paths(server)
        elif source == "http":
            with OriginGateway(self.folder, base_of(self.nginx), prefix=ON_SERVER_CORE) as server:
                yield server, [server.at_origin(file.name) for file in self.files]
        else:
            with TorrentGateway(self.folder, prefix=ON_SERVER_CORE) as server:
                yield server, [server.add(torrent.magnet)[1] for torrent in self.torrents]

    def read_whole(self, server: gateway.Server, paths: list[str]) -> None:
        """Reads all of them and compares them with the files."""
        for path, expected in zip(paths, self.digests):
            digest = hashlib.sha256()
            with Player(server, path) as player:
                for part in player.parts():
                    digest.update(part)
            if digest.digest() != expected:
                raise RuntimeError(f"{path} is not the file")


class Phase:
    """All runs, by what is watched."""

    def __init__(self, films: Films, seconds: float) -> None:
        self.films, self.seconds = films, seconds
        titles = [_title(source, state) for source in SOURCES for state in (COLD, WARM)]
        self.runs: dict[str, list[Watched]] = {
            title: [] for title in [*titles, NodeServer.kind, ExpressServer.kind]}

    def of_gateway(self, source: str, number: int) -> None:
        """Cold, then with all films in the cache."""
        with self.films.gateway_on(source) as (server, paths):
            self.runs[_title(source, COLD)].append(self._watch_cache(server, paths, source, number))
            cache_probe.filled(server, lambda: self.films.read_whole(server, paths), FILMS * SIZE // MIB)
            self.runs[_title(source, WARM)].append(self._watch_cache(server, paths, source, number))

    def of_peer(self, server: gateway.Server, number: int) -> None:
        self.runs[server.kind].append(self._watch(server, self.films.paths(server), number))

    def _watch_cache(self, server: gateway.Server, paths: list[str], source: str, number: int) -> Watched:
        def source_bytes(page: cache_probe.Metrics) -> float:
            return page("source_read_bytes_total", source=SOURCES[source])

        before = cache_probe.metrics(server)
        watched = self._watch(server, paths, number, cache_probe.settled)
        after = cache_probe.metrics(server)
        watched.source_bytes = source_bytes(after) - source_bytes(before)
        lookups = {result: count - before.lookups[result] for result, count in after.lookups.items()}
        watched.hits = lookups["hit"] / sum(lookups.values())
        return watched

    def _watch(self, server: gateway.Server, paths: list[str], number: int,
               end: Callable[[gateway.Server], object] = lambda _: None) -> Watched:
        """``end`` waits until the server has done what the players left it to do; its CPU is counted until then."""
        cpu = measure.cpu_seconds(server.pid)
        seed = ("--seed", str(number))
        with (load.Load("players", *(server.origin + path for path in paths), "--compare", str(self.films.folder),
                        "--stages", load.stages(LEVELS, self.seconds), *HABITS, *seed) as players,
              load.Load("ping", f"{server.origin}/ping", "--rate", PING_RATE, "--duration",
                        load.duration(len(LEVELS) * self.seconds), *seed) as ping):
            figures = players.figures(), ping.figures()
        end(server)
        return Watched(*figures, measure.cpu_seconds(server.pid) - cpu)


def run(root: Path, rounds: int, quick: bool, out: report.Report) -> None:
    # All but the servers that are measured: players, origin and swarm.
    os.sched_setaffinity(0, {measure.CLIENT_CORE})
    with contextlib.ExitStack() as stack:
        films = Films(root, stack)
        peers = [stack.enter_context(peer(root, prefix=ON_SERVER_CORE)) for peer in (NodeServer, ExpressServer)]
        phase = Phase(films, QUICK_SECONDS if quick else FULL_SECONDS)
        contenders = {source: lambda number, source=source: phase.of_gateway(source, number) for source in SOURCES}
        contenders |= {peer.kind: lambda number, peer=peer: phase.of_peer(peer, number) for peer in peers}
        for number in range(rounds):
            for name in measure.in_turn(list(contenders), number):
                with out.guarded(f"phase 3, {name}, round {number + 1}"):
                    contenders[name](number)
    _print(phase.runs)
    _judge(phase.runs, rounds, out)


def _title(source: str, state: str) -> str:
    return f"gateway, {source}, {state}"


# Figures


def _print(measured: dict[str, list[Watched]]) -> None:
    print("| what | start p50 / p95 ms | seek p50 / p95 ms | stalls, a player-minute | not begun | errors "
          "| wrong bytes | MB/s | CPU s/GiB | `/ping` p95 ms | hits |\n" + "|---" * 11 + "|")
    for title, runs in measured.items():
        if runs:
            print(f"| {title} | {_times(runs, 'start')} | {_times(runs, 'seek')} | {_stalls(runs)} "
                  f"| {sum(run.load['players']['not_begun'] for run in runs)} | {_errors(runs)} | {_wrong(runs)} "
                  f"| {statistics.median(run.load['bytes_per_second'] for run in runs) / 1e6:.0f} "
                  f"| {_spread([run.cpu / (run.load['bytes'] / GIB) for run in runs])} "
                  f"| {_spread([run.ping['whole']['p95_ms'] for run in runs])} | {_hits(runs)} |", flush=True)


def _times(runs: list[Watched], what: str) -> str:
    of = [times for run in runs if (times := run.load["players"][what])["count"]]
    if not of:
        return "–"
    return f"{statistics.median(times['p50_ms'] for times in of):.1f} / {_spread([times['p95_ms'] for times in of])}"


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f}–{max(values):.2f})"


def _stalls(runs: list[Watched]) -> str:
    minutes = sum(run.load["players"]["watched_seconds"] for run in runs) / 60
    return f"{_stall_count(runs)}, {_stall_count(runs) / minutes:.2f}"


def _stall_count(runs: list[Watched]) -> int:
    return sum(run.load["players"]["stall"]["count"] for run in runs)


def _errors(runs: list[Watched]) -> int:
    return sum(run.load["errors"] + run.ping["errors"] for run in runs)


def _wrong(runs: list[Watched]) -> int:
    return sum(run.load["wrong_bytes"] for run in runs)


def _hits(runs: list[Watched]) -> str:
    shares = [run.hits for run in runs if run.hits is not None]
    return f"{statistics.median(shares):.1%}" if shares else "–"


# Limits


def _judge(measured: dict[str, list[Watched]], rounds: int, out: report.Report) -> None:
    for source in SOURCES:
        for state in (COLD, WARM):
            title = _title(source, state)
            _judge_answers(title, measured[title], rounds, out)
        _judge_cache(source, measured, out)


def _judge_answers(title: str, runs: list[Watched], rounds: int, out: report.Report) -> None:
    sent, compared = (sum(run.load[what] for run in runs) for what in ("bytes", "compared_bytes"))
    faults = [fault for run in runs for figures in (run.load, run.ping) for fault in load.faults(figures)]
    out.check(len(runs) == rounds and _errors(runs) == 0 and _wrong(runs) == 0 and compared == sent > 0,
              f"phase 3, {title}: 0 errors, 0 wrong bytes",
              "; ".join([f"{_errors(runs)} errors, {_wrong(runs)} wrong, {compared / GIB:.2f} of {sent / GIB:.2f} GiB "
                         f"compared in {len(runs)} rounds, seeds from 0", *faults[:3]]))


def _judge_cache(source: str, measured: dict[str, list[Watched]], out: report.Report) -> None:
    cold, warm = (measured[_title(source, state)] for state in (COLD, WARM))
    fetched = [run.source_bytes / MIB for run in cold]
    out.check(min(fetched, default=0) > 0, f"phase 3, {source}: what was cold came from the source",
              f"{min(fetched, default=0):.0f}–{max(fetched, default=0):.0f} MiB of {FILMS * SIZE // MIB} a round")
    read, stalls = sum(run.source_bytes for run in warm), _stall_count(warm)
    out.check(len(warm) > 0 and read == 0 and stalls == 0,
              f"phase 3, {source}, warm: 0 stalls, nothing read of the source",
              f"{stalls} stalls, {read:.0f} bytes of the source in {len(warm)} rounds")
