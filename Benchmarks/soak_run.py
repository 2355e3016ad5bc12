"""A soak from its first request until nothing is under way any more, and what it leaves behind."""

from __future__ import annotations

import contextlib
import math
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import measure  # noqa: F401  (the folder of the modules below is on the path with it)
from soak_faults import FailingOrigin, Faults, Swarm
from soak_load import Bursts, Clients, Failure, Film, Players
from soak_samples import Sample, Sampler, sample
from torrent_swarm import TorrentGateway

import content
import http_origin
from content import KIB, MIB
from wire import fetch

FILMS, FILM = 10, 16 * MIB
SOURCES = ("media", "origin", "torrent")
LIMIT, CHUNK = len(SOURCES) * FILMS * FILM // 3, 256 * KIB
SLACK = 64 * CHUNK
# Seconds from one fault to the next, and at least without one.
FAULT_EVERY, CALM = 20.0, 8.0
IDLE_AFTER = 2
# Seconds after the load in which what is under way ends: connections to the origin are kept for a minute.
REST = 90.0
# The gauges of torrents are some seconds old.
QUIET = 5.0
# Seconds from one row of the table to the next.
ROW = 180.0

DESCRIPTOR_LIMIT = 5
CRASH_SIGNS = ("Fatal error", "Crash", '"level":"critical"')


class SoakGateway(TorrentGateway):
    """A gateway with a disk source, an http source and a torrent source."""

    def __init__(self, root: Path, base: str) -> None:
        config = "\n".join([
            "[cache]", f'size = "{LIMIT}B"', f'chunk_size = "{CHUNK}B"', 'min_free_disk = "0B"', "",
            "[sources.origin]", 'kind = "http"', f'mount = "{http_origin.MOUNT}"', "",
            "[sources.origin.options]", f'base_url = "{base}"', 'first_byte_timeout = "2s"', 'idle_timeout = "2s"', ""])
        super().__init__(root, config=config, idle_after=f"{IDLE_AFTER}s", keep="delete")
        self.rotations = 0

    def rotate_log(self, patience: float = 5) -> None:
        """What logrotate does: the access log gets another name, and SIGHUP has the gateway begin a new one."""
        log = self.home / "access.log"
        log.rename(self.home / "access.log.1")
        self.process.send_signal(signal.SIGHUP)
        until = time.monotonic() + patience
        while not log.exists():
            if time.monotonic() > until:
                raise RuntimeError(f"no new access log {patience:g} s after SIGHUP")
            time.sleep(0.05)
        self.rotations += 1


@dataclass
class Outcome:
    """What a soak left behind."""

    before: Sample
    after: Sample
    samples: list[Sample]
    #: The clock when the first sample was taken.
    began: float
    clients: Clients
    bursts: Bursts
    #: Of each source, the figures of its players.
    players: dict[str, dict]
    faults: Faults
    failures: list[Failure]
    rotations: int
    #: Of the gateway, with which it ended when it was asked to.
    exit_status: int
    crash: list[str]


def run(root: Path, seconds: float, seed: int) -> Outcome:
    files = {source: [content.write(root / source / f"{source}-{number:02}.mkv", FILM, f"{seed} {source} {number}")
                      for number in range(FILMS)] for source in SOURCES}
    with (FailingOrigin(root / "origin") as origin, Swarm(files["torrent"]) as swarm,
          SoakGateway(root / "media", http_origin.base_of(origin)) as server):
        paths = {"media": [server.path(file.name) for file in files["media"]],
                 "origin": [f"{http_origin.MOUNT}/{file.name}" for file in files["origin"]],
                 "torrent": [server.add(magnet)[1] for magnet in swarm.magnets]}
        films = {source: [Film(source, *pair) for pair in zip(paths[source], files[source])] for source in SOURCES}
        faults = Faults(server, origin, swarm, [film for source in SOURCES for film in films[source]], seed)
        return _soak(server, films, faults, seconds, seed, root)


def _soak(server: SoakGateway, films: dict[str, list[Film]], faults: Faults, seconds: float, seed: int,
          home: Path) -> Outcome:
    for film in faults.films:
        fetch(server.address, film.path, fields=[("Range", f"bytes=0-{CHUNK - 1}")])
    before = _rested(server)
    clients, bursts = Clients(server, faults.films, CHUNK, seed), Bursts(server, films["media"], home, seed)
    sampler = Sampler(server, faults, min(ROW, seconds / 4))
    with contextlib.ExitStack() as stack:
        players = [Players(server, films[source], home, seconds, seed) for source in SOURCES]
        for one in players:
            stack.callback(one.end)
        for thread in (sampler, clients, bursts):
            thread.start()
        _let_fail(server, faults, sampler.began + seconds)
        bursts.stop()
        clients.stop()
        figures = {one.source: one.figures(60) for one in players}
    samples = sampler.stop()
    after = _rested(server, before.descriptors + DESCRIPTOR_LIMIT)
    failures = [failure for one in players for failure in one.failures(figures[one.source])]
    server.terminate()
    return Outcome(before, after, samples, sampler.began, clients, bursts, figures, faults,
                   clients.seen.failures + failures, server.rotations, server.process.wait(30),
                   [line for line in server.output if any(sign in line for sign in CRASH_SIGNS)])


def _let_fail(server: SoakGateway, faults: Faults, until: float) -> None:
    """One fault after another, with nothing but load between them and at the end."""
    due = time.monotonic() + FAULT_EVERY / 2
    while due + FAULT_EVERY <= until:
        time.sleep(max(due - time.monotonic(), 0))
        faults.next()
        server.rotate_log()
        due = max(due + FAULT_EVERY, time.monotonic() + CALM)
    time.sleep(max(until - time.monotonic(), 0))


def _rested(server: SoakGateway, descriptors: float = math.inf) -> Sample:
    """The gateway when nothing was under way for a while and it has at most so many descriptors, or after ``REST``."""
    began = quiet_since = time.monotonic()
    while True:
        now = sample(server, time.monotonic() - began)
        works = now.leases or now.torrents or now.fill_bytes or now.connections
        if works or now.descriptors > descriptors:
            quiet_since = time.monotonic()
        if time.monotonic() - quiet_since > QUIET or now.seconds > REST:
            return now
        time.sleep(0.5)
