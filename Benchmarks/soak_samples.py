"""What a soak looks at once a second, and the slope of a figure."""

from __future__ import annotations

import csv
import dataclasses
import itertools
import os
import re
import statistics
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import measure
from soak_faults import Faults

import cache_probe
import gateway
from content import KIB, MIB

EVERY = 1.0
# Between two samples of a slope that compares each with each.
SPARSE = 10


@dataclass
class Sample:
    """The gateway at one moment. Sizes are in bytes; what is counted is counted since its start."""

    #: Since the load began.
    seconds: float
    rss_anon: int
    descriptors: int
    threads: int
    cpu_seconds: float
    connections: float
    leases: float
    #: Loaded ones.
    torrents: float
    peers: float
    idle_removed: float
    swarm_bytes: float
    #: Requests to the origin that were made anew, as after a body that was cut.
    origin_retries: float
    cache_bytes: float
    fill_bytes: float
    write_queue_bytes: float
    oldest_reader_seconds: float
    evicted: float
    hits: float
    lookups: float
    source_bytes: float


HEAD = ("| minute | from sources, MB/s | CPU | RssAnon, MiB | descriptors | threads | connections | leases | torrents "
        "| cache, MiB | hits | evicted | faults |\n" + "|---" * 13 + "|")


def row(last: Sample, now: Sample, faults: int) -> str:
    seconds, lookups = now.seconds - last.seconds, now.lookups - last.lookups
    return (f"| {now.seconds / 60:.1f} | {(now.source_bytes - last.source_bytes) / seconds / 1e6:.0f} "
            f"| {(now.cpu_seconds - last.cpu_seconds) / seconds:.0%} | {now.rss_anon / MIB:.1f} "
            f"| {now.descriptors} | {now.threads} | {now.connections:.0f} | {now.leases:.0f} | {now.torrents:.0f} "
            f"| {now.cache_bytes / MIB:.1f} | {(now.hits - last.hits) / (lookups or 1):.0%} "
            f"| {now.evicted - last.evicted:.0f} | {faults} |")


class Sampler(threading.Thread):
    """Takes a sample a second until it is stopped, and prints a row of a table now and then."""

    def __init__(self, server: gateway.Server, faults: Faults, step: float) -> None:
        """``step``: seconds from one row to the next."""
        super().__init__(daemon=True)
        self.server, self.faults, self.step = server, faults, step
        self.samples: list[Sample] = []
        self.failure: Exception | None = None
        self.began = time.monotonic()
        self._ended = threading.Event()

    def run(self) -> None:
        try:
            print(HEAD, flush=True)
            last = self._take()
            while not self._ended.wait(max(self.began + len(self.samples) * EVERY - time.monotonic(), 0)):
                now = self._take()
                if now.seconds - last.seconds >= self.step - EVERY / 2:
                    print(row(last, now, len(self.faults.past)), flush=True)
                    last = now
        except Exception as error:  # told by stop()
            self.failure = error

    def stop(self) -> list[Sample]:
        self._ended.set()
        self.join(30)
        if self.failure:
            raise self.failure
        return self.samples

    def _take(self) -> Sample:
        self.samples.append(sample(self.server, time.monotonic() - self.began))
        return self.samples[-1]


def sample(server: gateway.Server, seconds: float) -> Sample:
    """The gateway now, ``seconds`` after the load began."""
    process = Path(f"/proc/{server.pid}")
    status = dict(re.findall(r"^(\w+):\s+(\d+)", (process / "status").read_text(), re.MULTILINE))
    page = cache_probe.metrics(server)
    lookups = page.lookups
    return Sample(
        seconds=seconds,
        rss_anon=int(status["RssAnon"]) * KIB,
        descriptors=len(os.listdir(process / "fd")),
        threads=int(status["Threads"]),
        cpu_seconds=measure.cpu_seconds(server.pid),
        connections=page("http_connections", plane="data"),
        leases=page("torrent_leases"),
        torrents=page("torrents") - page("torrents", state="stored"),
        peers=page("torrent_peers"),
        idle_removed=page("torrent_idle_removed_total"),
        swarm_bytes=page("torrent_received_bytes_total", kind="payload"),
        origin_retries=page("http_origin_retries_total"),
        cache_bytes=page("cache_bytes"),
        fill_bytes=page("cache_fill_bytes"),
        write_queue_bytes=page("cache_write_queue_bytes"),
        oldest_reader_seconds=page("cache_oldest_reader_seconds"),
        evicted=page.evicted,
        hits=lookups["hit"],
        lookups=sum(lookups.values()),
        source_bytes=page("source_read_bytes_total"),
    )


def write_csv(file: Path, samples: list[Sample]) -> None:
    with open(file, "w", newline="") as opened:
        rows = csv.writer(opened)
        rows.writerow(field.name for field in dataclasses.fields(Sample))
        rows.writerows(dataclasses.astuple(sample) for sample in samples)


def least_squares(samples: list[Sample]) -> float:
    """How RssAnon grows, in bytes a second."""
    return statistics.linear_regression([sample.seconds for sample in samples],
                                        [sample.rss_anon for sample in samples]).slope


def theil_sen(samples: list[Sample]) -> float:
    """The same, as the median of the slopes between any two of every tenth sample: some peaks do not move it."""
    return statistics.median((other.rss_anon - one.rss_anon) / (other.seconds - one.seconds)
                             for one, other in itertools.combinations(samples[::SPARSE], 2))
