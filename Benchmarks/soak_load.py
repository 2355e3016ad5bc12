"""What the soak puts on a gateway: players on every source, bursts of ranges, and clients that compare and hang up."""

from __future__ import annotations

import json
import os
import random
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import measure  # noqa: F401  (the folder of the modules below is on the path with it)

import cache_probe
import gateway
from content import KIB, MIB
from wire import Connection, ShortBody, WireError, request

# Of each source, and what they watch: a film lasts 16 s.
PLAYERS, BIT_RATE = 8, "8Mbit/s"
PATIENCE = 10.0
HABITS = {"buffer": "4s", "seek-every": "8s", "pause-every": "15s", "pause-for": "3s", "leave-every": "15s",
          "away-for": "3s"}
# Of each burst of `bench range`, and the seconds from one to the next.
CONNECTIONS, BURST, BURST_EVERY = 3, 2, 20.0
# Threads that compare and hang up, and what each waits between two requests, on average, in seconds.
CLIENTS, PAUSE = 6, 0.4


@dataclass(frozen=True)
class Film:
    source: str
    path: str
    file: Path

    @property
    def name(self) -> str:
        """Its path within the source."""
        return self.path.split("/", 2)[2]

    def bytes(self, first: int, end: int) -> bytes:
        with open(self.file, "rb") as opened:
            opened.seek(first)
            return opened.read(end - first)


@dataclass(frozen=True)
class Failure:
    """A request that got no whole right answer, and the time in which that came about."""

    source: str
    began: float
    ended: float
    what: str


class Bench:
    """One run of ``media-gateway bench``, whose figures are there when it has ended."""

    def __init__(self, home: Path, name: str, *arguments: str) -> None:
        self.figures_file, self.text = home / f"{name}.json", home / f"{name}.txt"
        with open(self.text, "w") as text:
            self.began = time.monotonic()
            self.process = gateway.child([gateway.gateway_program(), "bench", *arguments, "--json",
                                          str(self.figures_file)], stdout=text, stderr=subprocess.STDOUT)

    def figures(self, patience: float) -> dict:
        self.process.wait(patience)
        if not self.figures_file.exists():
            raise RuntimeError(f"bench ended with {self.process.returncode}: {self.text.read_text()[-300:]}")
        return json.loads(self.figures_file.read_text())["servers"][0]

    def end(self) -> None:
        gateway.end(self.process)


class Players(Bench):
    """People who watch the films of one source, and hang up, jump and pause."""

    #: Errors that nothing excuses.
    NEVER = {"wrong bytes", "wrong length", "wrong range", "malformed"}

    def __init__(self, server: gateway.Server, films: list[Film], home: Path, seconds: float, seed: int) -> None:
        self.source = films[0].source
        habits = [word for name, value in HABITS.items() for word in (f"--{name}", value)]
        super().__init__(home, f"players-{self.source}", "players", *(server.origin + film.path for film in films),
                         "--players", str(PLAYERS), "--bit-rate", BIT_RATE, *habits, "--patience", f"{PATIENCE:.0f}s",
                         "--duration", f"{seconds:.0f}s", "--seed", str(seed), "--compare", str(films[0].file.parent))

    @staticmethod
    def inexcusable(figures: dict) -> dict[str, int]:
        return {kind["kind"]: kind["count"] for kind in figures["error_kinds"] if kind["kind"] in Players.NEVER}

    def failures(self, figures: dict) -> list[Failure]:
        """One for each error. Its request was made at most as long before as somebody waits; the first second begins up
        to a second after the process."""
        kinds = {kind["kind"]: kind["count"] for kind in figures["error_kinds"]}
        moments = [self.began + number for number, second in enumerate(figures["per_second"])
                   for _ in range(second["errors"])]
        return [Failure(self.source, moment - PATIENCE, moment + 2, f"an error of a player, of {kinds}")
                for moment in moments]


class Bursts(threading.Thread):
    """Some connections that take ranges of one film as fast as they come, for two seconds now and then."""

    def __init__(self, server: gateway.Server, films: list[Film], home: Path, seed: int) -> None:
        super().__init__(daemon=True)
        self.server, self.films, self.home = server, films, home
        self.source = random.Random(f"{seed} bursts")
        self.requests = self.compared = 0
        self.faults: list[str] = []
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(BURST_EVERY - BURST):
            try:
                self._burst()
            except (RuntimeError, subprocess.TimeoutExpired) as error:
                self.faults.append(str(error))

    def stop(self) -> None:
        self._ended.set()
        self.join(60)

    def _burst(self) -> None:
        film = self.source.choice(self.films)
        bench = Bench(self.home, "range", "range", self.server.origin + film.path, "--connections", str(CONNECTIONS),
                      "--length", "256KiB", "--duration", f"{BURST}s", "--compare", str(film.file))
        figures = bench.figures(60)
        bench.figures_file.unlink()
        self.requests += figures["requests"]
        self.compared += figures["compared_bytes"]
        self.faults += [f"{kind['count']} {kind['kind']}: {kind['first']}" for kind in figures["error_kinds"]]


@dataclass
class Seen:
    """What the clients saw. ``result`` has answers and compared bytes."""

    result: cache_probe.Result = field(default_factory=cache_probe.Result)
    hung_up: int = 0
    failures: list[Failure] = field(default_factory=list)


class Clients:
    """Threads that ask for random ranges of all films. Of each answer they take all or hang up midway, and compare
    every byte that came."""

    def __init__(self, server: gateway.Server, films: list[Film], chunk: int, seed: int) -> None:
        self.server, self.films, self.seed = server, films, seed
        self.plan = cache_probe.Random([film.file for film in films], [1] * len(films), chunk)
        self.sizes = [os.stat(film.file).st_size for film in films]
        self.seen = Seen()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._client, args=(number,), daemon=True)
                         for number in range(CLIENTS)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(60)

    def _client(self, number: int) -> None:
        source = random.Random(f"{self.seed} client {number}")
        connection: Connection | None = None
        while not self._ended.wait(source.expovariate(1 / PAUSE)):
            film_number, first, end = self.plan.choose(source, self.sizes)
            film, began = self.films[film_number], time.monotonic()
            try:
                connection = connection or Connection(self.server.address)
                if source.random() < 0.5:
                    self._note(film, first, ask(connection, film, first, end))
                else:
                    body = hang_up(connection, film, first, 1 + source.randrange(64 * KIB), source.random() < 0.5)
                    connection = None
                    self._note(film, first, body, hung_up=True)
            except (WireError, OSError) as error:
                connection = None
                if isinstance(error, ShortBody):
                    self._note(film, first, error.reply.body, answers=0)
                failure = Failure(film.source, began, time.monotonic(), f"{film.path} from {first}: {error}")
                with self._lock:
                    self.seen.failures.append(failure)

    def _note(self, film: Film, first: int, body: bytes, answers: int = 1, hung_up: bool = False) -> None:
        expected = film.bytes(first, first + len(body))
        with self._lock:
            self.seen.result.note(body, expected, f"{film.path} from {first}")
            self.seen.result.answers += answers
            self.seen.hung_up += hung_up


def ask(connection: Connection, film: Film, first: int, end: int) -> bytes:
    """That range of a film; ``WireError`` if it is not there."""
    reply = connection.get(film.path, fields=[("Range", f"bytes={first}-{end - 1}")])
    if reply.status != 206:
        connection.close()
        raise WireError(f"{reply.status} {reply.body[:100]!r}")
    return reply.body


def hang_up(connection: Connection, film: Film, first: int, taken: int, reset: bool) -> bytes:
    """Asks for all from ``first`` on, takes so many bytes at least, and ends the connection."""
    try:
        connection.send(request(film.path, fields=[("Range", f"bytes={first}-")]))
        reply = connection.head_only()
        if reply.status != 206:
            raise WireError(f"{reply.status}")
        length, body = int(reply.header("content-length") or 0), b""
        while len(body) < min(taken, length):
            part = connection.read_some(min(MIB, length - len(body)))
            if not part:
                raise WireError(f"the body ended at {len(body)} of {length} bytes")
            body += part
        return body
    finally:
        if reset:
            connection.reset()
        else:
            connection.close()
