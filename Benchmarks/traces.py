"""Synthetic traces of chunk requests: the same for the same seed.

A trace is a list of requests ``(time, object, chunk)``: seconds, the title's number, the chunk's place in it. A chunk
stands for 1 MiB, a second to some seconds of video.
"""

from __future__ import annotations

import bisect
import itertools
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

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
    #: Chunks between two seeks, on average, and between two pauses, which are as long on average as ``pause`` chunks.
    seek: int = 250
    pauses: int = 400
    pause: int = 100
    #: Of all requests: a reader's that goes through all titles, popular or not, as an indexer does.
    scanned: float = 0.0


@dataclass
class Viewer:
    """One who watches a title now."""

    title: int
    #: Chunks a second.
    pace: float
    chunks: Iterator[int]
    paused_until: int = 0


def zipf(count: int, source: random.Random) -> Iterator[Request]:
    """Chunks that have nothing to do with each other."""
    popularity = Popularity(max(count // 10, 100), 0.9, 200, source)
    for number in range(count):
        chunk = popularity.draw()
        yield number // 60, chunk // 100, chunk % 100


def watch(count: int, viewing: Viewing, source: random.Random) -> Iterator[Request]:
    """Viewers who read in parallel: some titles take four times as many bytes a second as others, and people pause."""
    lengths = [
        max(int(viewing.length * math.exp(source.gauss(0, viewing.spread))), 2) for _ in range(viewing.titles)
    ]
    popularity = Popularity(viewing.titles, viewing.exponent, viewing.drift, source)
    chunks = itertools.cycle((title, chunk) for title, length in enumerate(lengths) for chunk in range(length))

    def begin() -> Viewer:
        title = popularity.draw()
        return Viewer(title, source.choice((0.25, 0.5, 1)), view(lengths[title], viewing, source))

    active = [begin() for _ in range(viewing.viewers)]
    made = turns = 0
    while made < count:
        turns += 1
        if source.random() < viewing.scanned:
            made += 1
            yield turns // viewing.viewers, *next(chunks)
        place = source.randrange(len(active))
        viewer = active[place]
        if turns < viewer.paused_until or source.random() > viewer.pace:
            continue
        chunk = next(viewer.chunks, None)
        if chunk is None:
            active[place] = begin()
            continue
        if source.random() * viewing.pauses < 1:
            viewer.paused_until = turns + int(source.expovariate(1 / viewing.pause) * viewing.viewers)
        made += 1
        yield turns // viewing.viewers, viewer.title, chunk


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


def places(count: int, source: random.Random) -> Iterator[Request]:
    """Places of a few large objects, without any order, and more of them near the beginning: not video."""
    for number in range(count):
        yield number // 60, source.randrange(20), int(source.random() ** 2 * count / 150)


@dataclass(frozen=True)
class Trace:
    """``make`` is called with the number of requests."""

    make: Callable[[int, random.Random], Iterator[Request]]
    is_video: bool = True


def watching(exponent: float, **habits) -> Trace:
    """People who watch a library. It grows with the trace, so that a short trace has the hit ratios of a long one."""

    def make(count: int, source: random.Random) -> Iterator[Request]:
        titles = max(count // 2000, 60)
        viewing = Viewing(titles=titles, exponent=exponent, drift=max(titles // 4, 10))
        return watch(count, replace(viewing, **habits), source)

    return Trace(make)


def clips(count: int, source: random.Random) -> Iterator[Request]:
    """Titles of some chunks each, which are watched by themselves."""
    titles = max(count // 100, 100)
    return watch(count, Viewing(titles=titles, exponent=0.9, drift=titles // 6, length=12), source)


TRACES = {
    "video": watching(0.8),
    "hits": watching(1.1),
    "seeks": watching(0.8, abandoned=0, finished=0.6, seek=40, resumed=0.5),
    "starts": watching(0.8, abandoned=0.9, brief=0.05, finished=0.05),
    "crowd": watching(0.8, viewers=500),
    "scan": replace(watching(1.1, scanned=0.2), is_video=False),
    "clips": Trace(clips, is_video=False),
    "places": Trace(places, is_video=False),
    "zipf": Trace(zipf, is_video=False),
}


def make(name: str, count: int) -> list[Request]:
    """A trace of ``count`` requests."""
    return list(TRACES[name].make(count, random.Random(f"{SEED} {name}")))
