"""Draws a day of the cache as PNG."""

from __future__ import annotations

from pathlib import Path

import report
from content import MIB


def pyplot(file: Path, out: report.Report):
    """The module that draws, or ``None`` if it is not there, which is said of ``file``."""
    try:
        import matplotlib
    except ImportError:
        out.skip(f"the plot {file.name}", "apt-get install python3-matplotlib, and run with Debian's python3")
        return None
    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot


def draw(file: Path, samples: list, limit: int, most: int, out: report.Report) -> None:
    """``limit`` is that of the cache, ``most`` what must not be passed, in bytes."""
    plots = pyplot(file, out)
    if plots is None:
        return
    hours = [sample.hour for sample in samples]
    figure, (size, hits, reader) = plots.subplots(3, 1, sharex=True, figsize=(9, 7), dpi=100,
                                                  gridspec_kw={"height_ratios": (3, 2, 1)})
    size.plot(hours, [sample.file / MIB for sample in samples], label="length of data.mdb")
    size.plot(hours, [sample.bytes / MIB for sample in samples], label="chunks")
    size.axhline(limit / MIB, color="gray", linestyle=":", label="limit of the cache")
    size.axhline(most / MIB, color="red", linestyle="--", label="limit and 64 chunks")
    size.set_ylim(0, most / MIB * 1.1)
    size.set_ylabel("MiB")
    size.legend(loc="lower right")

    span = max(len(samples) // 96, 1)
    pairs = list(zip(samples, samples[span:]))[::span]
    middle = [(one.hour + other.hour) / 2 for one, other in pairs]
    lookups = [other.lookups - one.lookups for one, other in pairs]
    hits.plot(middle, [100 * (other.hits - one.hits) / (count or 1) for (one, other), count in zip(pairs, lookups)])
    hits.set_ylim(0, 100)
    hits.set_ylabel("hits, %")
    asked = hits.twinx()
    asked.plot(middle, [count / max(lookups) * 100 for count in lookups], color="gray", linewidth=0.8)
    asked.set_ylabel("look-ups, % of the most", color="gray")

    reader.plot(hours, [sample.reader * 1000 for sample in samples], linewidth=0.8)
    reader.set_ylim(0, max(1, *(sample.reader * 1100 for sample in samples)))
    reader.set_ylabel("oldest\nreader, ms")
    reader.set_xlabel("hour of the day")
    reader.set_xlim(0, 24)
    reader.set_xticks(range(0, 25, 3))
    figure.tight_layout()
    figure.savefig(file)
