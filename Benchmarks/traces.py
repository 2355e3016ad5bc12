"""Synthetic traces of chunk requests: the same for the same seed.

A trace is a list of requests ``(time, object, chunk)``: seconds, the title's number, the chunk's place in it. A chunk
stands for 1 MiB, which is about a second of video.
"""

from __future__ import annotations

import bisect
import itertools
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

Request = tuple[int, int, int]
SEED = 20240229


class Popularity:
    """Draws titles, the n-th most popular in proportion to 1 / n ** ``exponent``.

    Popularity drifts: every ``drift`` draws some title, cold more often than not, takes a place among the first tenth,
    and those from there on fall by one.
    """

    def __init__(self, titles: int, exponent: float, drift: int, source: random.Random) -> None:
        self._order = list(range(titles))
        source.shuffle(self._order)
        self._cumulative = list(itertools.accumulate((rank + 1) ** -exponent for rank in range(titles)))
        self._drift = drift
        self._draws = 0
        self._source = source

    def draw(self) -> int:
        self._draws += 1
        if self._draws % self._drift == 0:
            riser = self._order.pop(self._source.randrange(len(self._order)))
            self._order.insert(self._source.randrange(max(1, len(self._order) // 10)), riser)
        return self._order[bisect.bisect(self._cumulative, self._source.random() * self._cumulative[-1])]


@dataclass(frozen=True)
class Viewing:
    """How a library is watched."""

    titles: int
    exponent: float
    #: Viewings until another title has become popular.
    drift: int
    #: Chunks of the title in the middle, and how the lengths spread (the sigma of a log-normal distribution).
    length: int = 700
    spread: float = 0.7
    #: Viewers at a time.
    viewers: int = 60
    #: Of all viewings: those that read the title's last chunk before they play, those that begin somewhere within.
    tails: float = 0.3
    resumed: float = 0.2
    #: Of all viewings: those that end within the first ``brief`` of the title, and those that go on to its end. The
    #: others end anywhere.
    abandoned: float = 0.4
    brief: float = 0.06
    finished: float = 0.25
    #: Chunks between two seeks, on average.
    seek: int = 250
    #: Of all requests: those of one reader that goes through all titles, popular or not, as an indexer does.
    scanned: float = 0.0


def zipf(count: int, source: random.Random) -> Iterator[Request]:
    """Chunks that have nothing to do with each other."""
    popularity = Popularity(max(count // 10, 100), 0.9, 200, source)
    for number in range(count):
        chunk = popularity.draw()
        yield number // 60, chunk // 100, chunk % 100


def watch(count: int, viewing: Viewing, source: random.Random) -> Iterator[Request]:
    """Viewers who read in parallel, each at the same pace."""
    lengths = [
        max(int(viewing.length * math.exp(source.gauss(0, viewing.spread))), 2) for _ in range(viewing.titles)
    ]
    popularity = Popularity(viewing.titles, viewing.exponent, viewing.drift, source)
    chunks = itertools.cycle((title, chunk) for title, length in enumerate(lengths) for chunk in range(length))

    def begin() -> Iterator[tuple[int, int]]:
        title = popularity.draw()
        return ((title, chunk) for chunk in view(lengths[title], viewing, source))

    active = [begin() for _ in range(viewing.viewers)]
    for number in range(count):
        if source.random() < viewing.scanned:
            yield number // viewing.viewers, *next(chunks)
            continue
        place = source.randrange(len(active))
        while (request := next(active[place], None)) is None:
            active[place] = begin()
        yield number // viewing.viewers, *request


def view(length: int, viewing: Viewing, source: random.Random) -> Iterator[int]:
    """What one viewer reads of a title of ``length`` chunks."""
    yield 0
    if source.random() < viewing.tails:
        yield length - 1
    place = source.randrange(length) if source.random() < viewing.resumed else 1
    fate = source.random()
    if fate < viewing.abandoned:
        left = max(int(source.random() * viewing.brief * length), 1)
    elif fate < viewing.abandoned + viewing.finished:
        left = length
    else:
        left = source.randrange(length)
    while place < length and left > 0:
        yield place
        left -= 1
        place += 1
        if source.random() * viewing.seek < 1:
            place = max(place + int(source.gauss(0, 0.15) * length), 0)


def library(count: int, exponent: float, **habits) -> Viewing:
    """A library that grows with the length of the trace, so that a short trace has the hit ratios of a long one."""
    titles = max(count // 2000, 60)
    return Viewing(titles=titles, exponent=exponent, drift=max(titles // 4, 10), **habits)


#: By name: what is made, and whether it looks like video. ``count`` is the number of requests.
TRACES: dict[str, tuple[Callable[[int, random.Random], Iterator[Request]], bool]] = {
    "zipf": (zipf, False),
    "seeks": (
        lambda count, source: watch(
            count, library(count, 0.8, abandoned=0, finished=0.6, seek=40, resumed=0.5), source
        ),
        True,
    ),
    "starts": (
        lambda count, source: watch(count, library(count, 0.8, abandoned=0.9, brief=0.05, finished=0.05), source),
        True,
    ),
    "video": (lambda count, source: watch(count, library(count, 0.8), source), True),
    "hits": (lambda count, source: watch(count, library(count, 1.1), source), True),
    "scan": (lambda count, source: watch(count, library(count, 1.1, scanned=0.4), source), False),
}


def make(name: str, count: int) -> list[Request]:
    """A trace of ``count`` requests."""
    return list(TRACES[name][0](count, random.Random(f"{SEED} {name}")))
