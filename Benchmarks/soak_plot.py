"""Draws a soak as PNG."""

from __future__ import annotations

from pathlib import Path

import day_plot
import report
from content import MIB
from soak_faults import Fault
from soak_samples import Sample


def draw(file: Path, samples: list[Sample], faults: list[Fault], began: float, most: int, out: report.Report) -> None:
    """``began`` is the clock of ``faults`` when the samples begin, ``most`` what the cache must not pass, in bytes."""
    pyplot = day_plot.pyplot(file, out)
    if pyplot is None:
        return
    minutes = [sample.seconds / 60 for sample in samples]
    figure, (memory, cache, descriptors, leases) = pyplot.subplots(4, 1, sharex=True, figsize=(9, 9), dpi=100)
    memory.plot(minutes, [sample.rss_anon / MIB for sample in samples])
    memory.set_ylabel("RssAnon, MiB")

    cache.plot(minutes, [sample.cache_bytes / MIB for sample in samples])
    cache.axhline(most / MIB, color="red", linestyle="--", label="limit and 64 chunks")
    cache.set_ylabel("chunks, MiB")
    cache.legend(loc="lower right")

    descriptors.plot(minutes, [sample.descriptors for sample in samples], label="descriptors")
    descriptors.plot(minutes, [sample.connections for sample in samples], label="connections of players")
    descriptors.plot(minutes, [sample.threads for sample in samples], label="threads")
    descriptors.legend(loc="upper right", ncols=3)

    leases.plot(minutes, [sample.leases for sample in samples], label="leases", linewidth=0.8)
    leases.plot(minutes, [sample.torrents for sample in samples], label="torrents loaded", linewidth=0.8)
    leases.legend(loc="upper right", ncols=2)
    leases.set_xlabel("minute; grey: a source fails")
    for plot in (memory, cache, descriptors, leases):
        plot.set_ylim(0, plot.get_ylim()[1] * 1.2)
        for fault in faults:
            plot.axvspan((fault.began - began) / 60, (fault.ended - began) / 60, color="gray", alpha=0.15, linewidth=0)
    figure.tight_layout()
    figure.savefig(file)
