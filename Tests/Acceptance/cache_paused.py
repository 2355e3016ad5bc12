"""A client that pauses while others turn the whole cache over, and clients that come and go in mid-answer.

``ACCEPTANCE_SEED`` repeats a run.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import threading
import time
from pathlib import Path

import cache_probe
import content
import gateway
import report
from content import KIB, MIB
from wire import Connection, WireError, request

LIMIT = 64 * MIB
CHUNK = 256 * KIB
TURNS = 3
RESTLESS = 8
FILLERS = 12


class Paused:
    """Reads the first mebibyte of a film, and the rest when it is told to."""

    def __init__(self, server: gateway.Server, file: Path, buffer: int) -> None:
        self.file = file
        self.seen = cache_probe.Result()
        self.position = 0
        self.connection = Connection(server.address, timeout=60, receive_buffer=buffer)
        self.connection.send(request(server.path(file.name)))
        reply = self.connection.head_only()
        self.status = (reply.header("cache-status") or "").rpartition("; ")[2]
        self.length = int(reply.header("content-length") or -1)
        self._source = os.open(file, os.O_RDONLY)
        self.read(MIB)

    def read(self, upto: int) -> None:
        while self.position < upto:
            part = self.connection.read_some(min(MIB, upto - self.position))
            if not part:
                self.seen.faults.append(f"{self.file.name}: ended at {self.position} of {self.length} bytes")
                return
            self.seen.note(part, os.pread(self._source, len(part), self.position), f"{self.file.name} {self.position}")
            self.position += len(part)

    def finish(self) -> None:
        self.read(self.length)
        if self.position == self.length == os.fstat(self._source).st_size:
            self.seen.answers = 1
        os.close(self._source)
        self.connection.close()


def restless(address, path: str, file: str, seed: str, stop, results) -> None:
    """Asks for its own film from somewhere, leaves in the middle, comes back; sees nothing but its own bytes."""
    source = random.Random(seed)
    data = os.open(file, os.O_RDONLY)
    size = os.fstat(data).st_size
    seen = cache_probe.Result()
    while not stop.is_set():
        first = source.randrange(size)
        try:
            connection = Connection(address)
            connection.send(request(path, fields=[("Range", f"bytes={first}-")]))
            reply = connection.head_only()
            if reply.status != 206:
                seen.faults.append(f"{path} from {first}: {reply}")
            position, leave = first, min(first + int(4 * MIB ** source.random()), size)
            while position < leave:
                part = connection.read_some(leave - position)
                if not part:
                    break
                seen.note(part, os.pread(data, len(part), position), f"{path} at {position}")
                position += len(part)
            if position < leave:
                seen.broken += 1
            seen.answers += 1
            (connection.reset if source.random() < 0.5 else connection.close)()
        except (OSError, WireError) as error:
            seen.faults.append(f"{path} from {first}: {type(error).__name__} {error}")
    results.put(seen)


def turn_over(server: gateway.Server, fillers: list[Path]) -> tuple[cache_probe.Result, float]:
    """Others read until the chunks of the whole cache have gone ``TURNS`` times; how often they did."""
    held = LIMIT // CHUNK
    began = cache_probe.metrics(server).evicted
    whole = cache_probe.Result()
    for _ in range(4 * TURNS):
        whole.add(cache_probe.read_all(server, fillers))
        gone = cache_probe.metrics(server).evicted - began
        if gone >= TURNS * held:
            break
    return whole, gone / held


def main(out: report.Report, quick: bool) -> None:
    seed = cache_probe.seed()
    print(f"      cache_paused: seed {seed}", flush=True)
    film_size = (96 if quick else 512) * MIB
    with gateway.folder() as root:
        films = [content.write(root / name, film_size, f"{seed} {name}") for name in ("cold.mkv", "cached.mkv")]
        fillers = [content.write(root / f"filler {n:02}.bin", 2 * LIMIT // FILLERS, f"{seed} {n}")
                   for n in range(FILLERS)]
        own = [content.write(root / f"own {n}.mkv", 8 * MIB, f"{seed} own {n}") for n in range(RESTLESS)]
        with cache_probe.server(root, f"{LIMIT}B", f"{CHUNK}B") as server:
            stop, results = multiprocessing.Event(), multiprocessing.Queue()
            crowd = [
                multiprocessing.Process(target=restless, daemon=True, args=(
                    server.address, server.path(file.name), str(file), f"{seed} restless {n}", stop, results))
                for n, file in enumerate(own)
            ]
            for process in crowd:
                process.start()
            try:
                _warm(server, films[1])
                paused = [Paused(server, film, buffer)
                          for film, buffer in ((films[0], 0), (films[1], 0), (films[1], 16 * KIB))]
                filled, turns = turn_over(server, fillers)
                began = time.monotonic()
                threads = [threading.Thread(target=client.finish, daemon=True) for client in paused]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join(300)
                took = time.monotonic() - began
            finally:
                stop.set()
            theirs = cache_probe.Result()
            for _ in crowd:
                theirs.add(results.get(timeout=60))
            after = cache_probe.settled(server)
            alive = server.process.poll() is None
            log = cache_probe.lines(server)
    seen = cache_probe.Result()
    for client in paused:
        seen.add(client.seen)
    out.check(turns >= TURNS and filled.wrong == 0 and not filled.faults and not filled.broken,
              f"the cache was turned over {TURNS} times while they paused", f"{turns:.1f} times, {filled}")
    out.check(seen.answers == len(paused) and not seen.wrong and not seen.faults and alive,
              f"paused at 1 of {film_size / MIB:.0f} MiB, then read on: right bytes to the end",
              f"{', '.join(client.status for client in paused)}: {seen}, {took:.1f} s")
    out.check(theirs.answers > 50 and not theirs.wrong and not theirs.faults and not theirs.broken,
              f"{RESTLESS} clients that come and go see only their own bytes", f"{theirs}")
    failed = after("cache_rejections_total", reason="error")
    out.check(failed == 0 and after.corrupt == 0 and not log, "the map was never full, nothing was corrupt, no warning",
              f"{failed:.0f} not stored for an error, seed {seed}" + "".join(f"; {line[:200]}" for line in log[:2]))


def _warm(server: gateway.Server, film: Path) -> None:
    """Has the first half of what the cache holds be of this film."""
    with Connection(server.address, timeout=60) as connection:
        connection.get(server.path(film.name), fields=[("Range", f"bytes=0-{LIMIT // 2 - 1}")])


if __name__ == "__main__":
    report.run(main)
