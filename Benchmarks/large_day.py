"""A day of traffic in some minutes: what the cache takes, and whether that grows.

People watch titles on and on, of which some are liked more than others, and not the same in the evening as in the
morning; few at night, many in the evening. The trace is the same for the same seed and length.
"""

from __future__ import annotations

import math
import random
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import measure  # noqa: F401  (the folder of the modules below is on the path with it)

import cache_probe
import content
import day_plot
import gateway
import report
import traces
from content import KIB, MIB
from wire import Connection, WireError

LIMIT, CHUNK = 256 * MIB, 256 * KIB
SLACK = 64 * CHUNK
SAMPLE = 0.5
GROWTH_LIMIT, READER_LIMIT = 0.05, 1.0

DAY = 86_400
SEED = 20240229
# Chunks in the middle; the catalogue is some twenty times the cache.
VIEWING = traces.Viewing(titles=250, exponent=1.0, drift=15, length=70, spread=0.6)
QUIET, BUSY = 5, 40
# Real seconds between two chunks of a viewer.
PACE = 0.25
# Seconds after which a connection is not used again: the gateway ends those that are idle.
IDLE = 5.0


@dataclass
class Sample:
    hour: float
    #: What chunks take, the length of the file, and how far it was ever used.
    bytes: float
    file: int
    used: int
    #: Seconds.
    reader: float
    hits: float
    lookups: float


class Viewers:
    """Those who watch: for each, what it asks for and when, in seconds of the day."""

    def __init__(self, pace: float, source: random.Random) -> None:
        """``pace``: seconds of the day to a chunk."""
        # A title's last chunk is shorter than the others.
        self.sizes = [max(int(VIEWING.length * CHUNK * math.exp(source.gauss(0, VIEWING.spread))), 2)
                      for _ in range(VIEWING.titles)]
        self.requests: list[list[tuple[float, int, int]]] = [[] for _ in range(BUSY)]
        popularity = traces.Popularity(VIEWING.titles, VIEWING.exponent, VIEWING.drift, source)
        watching: list[tuple[int, object] | None] = [None] * BUSY
        for turn in range(int(DAY / pace)):
            moment = turn * pace
            for number in range(BUSY):
                if watching[number] is None and number < awake(moment):
                    title = popularity.draw()
                    chunks = -(-self.sizes[title] // CHUNK)
                    watching[number] = title, traces.view(max(chunks, 2), VIEWING, source)
                if watching[number]:
                    title, chunks = watching[number]
                    chunk = next(chunks, None)
                    if chunk is None:
                        watching[number] = None
                    elif chunk * CHUNK < self.sizes[title]:
                        self.requests[number].append((moment + pace * number / BUSY, title, chunk))


def awake(moment: float) -> float:
    """How many watch: fewest at five in the morning, most at nine in the evening."""
    hour = moment / 3600
    rising = (hour - 5) % 24 / 16
    share = rising if rising <= 1 else 1 - (rising - 1) * 2
    return QUIET + (BUSY - QUIET) * (1 - math.cos(math.pi * share)) / 2


class Replay:
    """Plays a day at ``speed`` times its pace, one thread a viewer, and compares every byte."""

    def __init__(self, server: gateway.Server, files: list[Path], requests: list, speed: float) -> None:
        self.server, self.files, self.speed = server, files, speed
        self.began = time.monotonic()
        self.answers, self.faults, self.behind = 0, [], 0.0
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._watch, args=(mine,), daemon=True) for mine in requests]
        for thread in self._threads:
            thread.start()

    @property
    def hour(self) -> float:
        return (time.monotonic() - self.began) * self.speed / 3600

    @property
    def is_over(self) -> bool:
        return not any(thread.is_alive() for thread in self._threads)

    def _watch(self, requests: list[tuple[float, int, int]]) -> None:
        connection = None
        for moment, title, chunk in requests:
            late = time.monotonic() - self.began - moment / self.speed
            if connection and -late > IDLE:
                connection.close()
                connection = None
            time.sleep(max(-late, 0))
            connection = connection or Connection(self.server.address)
            fault = self._ask(connection, self.files[title], chunk * CHUNK)
            with self._lock:
                self.answers += not fault
                self.behind = max(self.behind, late)
                self.faults += [fault] if fault else []
            if fault:
                break
        if connection:
            connection.close()

    def _ask(self, connection: Connection, file: Path, first: int) -> str | None:
        with open(file, "rb") as opened:
            opened.seek(first)
            expected = opened.read(CHUNK)
        field = ("Range", f"bytes={first}-{first + len(expected) - 1}")
        try:
            reply = connection.get(self.server.path(file.name), fields=[field])
        except (WireError, OSError) as error:
            return f"{file.name} {field[1]}: {error}"
        return None if reply.status == 206 and reply.body == expected else f"{file.name} {field[1]}: {reply}"


def run(root: Path, minutes: float, plot: str | None, out: report.Report) -> None:
    speed = DAY / (60 * minutes)
    viewers = Viewers(PACE * speed, random.Random(SEED))
    files = [_film(root / f"{number:03}.bin", size) for number, size in enumerate(viewers.sizes)]
    with cache_probe.server(root, size=f"{LIMIT}B", chunk=f"{CHUNK}B") as server:
        replay = Replay(server, files, viewers.requests, speed)
        samples = _sampled(server, replay)
        after = cache_probe.settled(server)
        log = cache_probe.lines(server)
    fault = "; ".join([*replay.faults[:2], *(line[:200] for line in log[:2])])
    wanted = sum(map(len, viewers.requests))
    out.check(replay.answers == wanted and not fault, f"a day in {minutes:g} minutes",
              f"{replay.answers} of {wanted} chunks of {sum(viewers.sizes) / MIB:,.0f} MiB asked for, "
              f"{replay.behind:.1f} s late at most, seed {SEED}{'; ' + fault if fault else ''}")
    turnover = after.evicted / (LIMIT // CHUNK)
    out.check(turnover > 2, "the cache was turned over", f"{turnover:.0f} times")
    _print(samples)
    _judge(samples, out)
    if plot:
        day_plot.draw(Path(plot), samples, LIMIT, LIMIT + SLACK, out)


def _film(path: Path, size: int) -> Path:
    """A file with bytes of its own at the beginning of each chunk."""
    return content.sparse(path, size, list(range(0, size, CHUNK)), radius=2 * KIB)


def _sampled(server: gateway.Server, replay: Replay) -> list[Sample]:
    data = cache_probe.directory(server) / "data.mdb"
    samples: list[Sample] = []
    due = time.monotonic()
    with Connection(cache_probe.admin(server)) as connection:
        while not replay.is_over:
            now = cache_probe.metrics(server, connection)
            lookups = now.lookups
            samples.append(Sample(replay.hour, now("cache_bytes"), data.stat().st_size, cache_probe.used_bytes(data),
                                  now("cache_oldest_reader_seconds"), lookups["hit"], sum(lookups.values())))
            due += SAMPLE
            time.sleep(max(due - time.monotonic(), 0.001))
    return samples


def _print(samples: list[Sample]) -> None:
    print("| hours | samples | chunks, MiB at most | data.mdb, MiB at most | oldest reader, ms at most | hits |\n"
          "|---|---|---|---|---|---|")
    for first in range(0, 24, 3):
        part = [sample for sample in samples if first <= sample.hour < first + 3]
        if not part:
            continue
        lookups = part[-1].lookups - part[0].lookups
        hits = (part[-1].hits - part[0].hits) / lookups if lookups else 0
        print(f"| {first}–{first + 3} | {len(part)} | {max(sample.bytes for sample in part) / MIB:.1f} "
              f"| {max(sample.file for sample in part) / MIB:.1f} "
              f"| {max(sample.reader for sample in part) * 1000:.1f} | {hits:.1%} |", flush=True)


def _judge(samples: list[Sample], out: report.Report) -> None:
    limit = LIMIT + SLACK
    most, used = max(sample.bytes for sample in samples), max(sample.used for sample in samples)
    out.check(LIMIT / 2 < most <= limit, f"chunks take at most {limit / MIB:.0f} MiB, the limit and 64 chunks",
              f"{most / MIB:.1f} MiB at most in {len(samples)} samples")
    out.check(used <= limit, "and so does data.mdb", f"{used / MIB:.1f} MiB at most")
    half = next(sample for sample in samples if sample.hour >= 12)
    growth = max(sample.file for sample in samples) / half.file - 1
    out.check(growth <= GROWTH_LIMIT, f"data.mdb grows by at most {GROWTH_LIMIT:.0%} in the last 12 hours",
              f"{growth:.2%}, from {half.file / MIB:.1f} MiB")
    reader = max(sample.reader for sample in samples)
    out.check(reader < READER_LIMIT, f"the oldest reader is under {READER_LIMIT:g} s", f"{reader * 1000:.1f} ms")
