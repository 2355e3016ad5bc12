"""What goes wrong at the sources of a soak, one after another, and how soon each answers again."""

from __future__ import annotations

import math
import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import peers
from soak_load import Failure, Film, ask

import cache_probe
import gateway
import torrent_probe
from content import KIB
from wire import Connection, WireError, fetch

#: After a fault every film of its source has to be read again within this time.
RECOVERY_LIMIT = 60.0
LENGTH = 64 * KIB


class FailingOrigin(gateway.NginxServer):
    """An nginx that stops, refuses, hangs, and dies while it sends."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.refuses = self.home / "refuses"
        # At this rate a body takes long enough to be cut.
        self.options = f"limit_rate 2m; if (-e {self.refuses}) {{ return 503; }}"

    def stop(self, seconds: float) -> None:
        gateway.end(self.process)
        try:
            time.sleep(seconds)
        finally:
            self.start()

    def refuse(self, seconds: float) -> None:
        self.refuses.touch()
        try:
            time.sleep(seconds)
        finally:
            self.refuses.unlink()

    def hang(self, seconds: float) -> None:
        worker = peers.worker(self.process.pid)
        os.kill(worker, signal.SIGSTOP)
        try:
            time.sleep(seconds)
        finally:
            os.kill(worker, signal.SIGCONT)

    def cut(self, seconds: float) -> None:
        """Its worker is killed again and again; all that it sends ends midway."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            os.kill(peers.worker(self.process.pid), signal.SIGKILL)
            time.sleep(0.2)


class Swarm:
    """Two seeders of the same films, each film a torrent."""

    def __init__(self, files: list[Path]) -> None:
        self.files = files
        self.seeders: list[torrent_probe.Seeder] = []

    def __enter__(self) -> "Swarm":
        try:
            self.seeders = [self._seeder(), self._seeder()]
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_) -> None:
        for seeder in self.seeders:
            seeder.kill()

    @property
    def magnets(self) -> list[str]:
        """Of each film, with both seeders as peers."""
        one, other = self.seeders
        return [f"{torrent.magnet}&x.pe=127.0.0.1:{other.torrent.port}" for torrent in one.torrents]

    def lose_one(self, seconds: float) -> None:
        self._lose(1, seconds)

    def lose_all(self, seconds: float) -> None:
        self._lose(2, seconds)

    def _lose(self, count: int, seconds: float) -> None:
        for seeder in self.seeders[:count]:
            seeder.kill()
        try:
            time.sleep(seconds)
        finally:
            self.seeders[:count] = [self._seeder(seeder.torrent.port) for seeder in self.seeders[:count]]

    def _seeder(self, port: int = 0) -> torrent_probe.Seeder:
        return torrent_probe.seed_files(self.files, piece_size=256 * KIB, port=port)


@dataclass
class Fault:
    source: str
    what: str
    #: Whether requests may fail meanwhile.
    excuses: bool
    began: float
    ended: float = math.inf
    #: When every film of the source was read again.
    recovered: float = math.inf

    @property
    def recovery(self) -> float:
        return self.recovered - self.ended


class Faults:
    """Lets them happen in turn, and remembers."""

    def __init__(self, server: gateway.Server, origin: FailingOrigin, swarm: Swarm, films: list[Film],
                 seed: int) -> None:
        self.server, self.films = server, films
        self.source = random.Random(f"{seed} faults")
        self.kinds: list[tuple[str, str, bool, Callable[[float], None]]] = [
            ("origin", "stopped", True, origin.stop),
            ("torrent", "one seeder of two gone", False, swarm.lose_one),
            ("origin", "bodies cut", True, origin.cut),
            ("torrent", "no seeder", True, swarm.lose_all),
            ("origin", "503", True, origin.refuse),
            ("origin", "hangs", True, origin.hang),
        ]
        self.past: list[Fault] = []

    def next(self) -> Fault:
        """Lasts some seconds, and then as long as it takes until the source answers."""
        source, what, excuses, happen = self.kinds[len(self.past) % len(self.kinds)]
        fault = Fault(source, what, excuses, time.monotonic())
        self.past.append(fault)
        happen(self.source.uniform(3, 6))
        fault.ended = time.monotonic()
        if self._await_recovery([film for film in self.films if film.source == source]):
            fault.recovered = time.monotonic()
        return fault

    def excuse(self, failure: Failure) -> bool:
        return any(fault.excuses and fault.source == failure.source
                   and failure.began < fault.recovered and failure.ended > fault.began for fault in self.past)

    def _await_recovery(self, films: list[Film]) -> bool:
        """Asks for a range of each film until it is right; of one of them nothing is cached."""
        self._purge(self.source.choice(films))
        until = time.monotonic() + RECOVERY_LIMIT
        return all(self._await_film(film, until) for film in films)

    def _await_film(self, film: Film, until: float) -> bool:
        first = self.source.randrange(film.file.stat().st_size - LENGTH)
        while time.monotonic() < until:
            try:
                with Connection(self.server.address) as connection:
                    body = ask(connection, film, first, first + LENGTH)
                if body != film.bytes(first, first + LENGTH):
                    raise RuntimeError(f"{film.path} from {first}: wrong bytes after a fault")
                return True
            except (WireError, OSError):
                time.sleep(0.2)
        return False

    def _purge(self, film: Film) -> None:
        reply = fetch(cache_probe.admin(self.server),
                      f"/admin/v1/cache/purge?scope=object&source={film.source}&path={film.name}", "POST")
        if reply.status != 200:
            raise WireError(f"a purge is answered {reply}: {reply.body[:200]!r}")
