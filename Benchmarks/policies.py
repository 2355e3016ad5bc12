#!/usr/bin/env python3
"""Hit ratios of the cache's own policies beside libCacheSim's, on the same synthetic traces and sizes.

    python3 Benchmarks/policies.py [--quick] [--requests N] [NAME ...]

Names choose traces; docs/cache-policies.md describes them. Needs swiftc, and libcachesim from PyPI. Exits with 1 if one
of our policies has other hit ratios than libCacheSim's of that name, or if the one for viewers is not worth having.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import statistics
import struct
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import measure  # noqa: F401  the way to what is imported below
import traces
from traces import Request

import report

ROOT = Path(__file__).resolve().parent.parent
#: What the simulator is compiled from, of Sources/ChunkCache and beside its own files.
SOURCES = ["Policy", "Records/ChunkID.swift", "LMDB/LMDBKey.swift"]
LIBCACHESIM = "0.3.5"
PEERS = {"lru": "LRU", "s3-fifo": "S3FIFO", "arc": "ARC", "w-tinylfu": "WTinyLFU"}
#: Cache sizes, as shares of the chunks that a trace asks for.
SHARES = [0.01, 0.04, 0.16]
#: By how many points the policy for viewers is better than the best of libCacheSim's, on average over video, and how much
#: worse it may be on any other trace.
GAIN, LOSS = 1.0, 0.5
#: How far a policy may be from libCacheSim's, in points of hit ratio.
LIMITS = {"lru": 0.1, "s3-fifo": 1.0}


@dataclass
class Cell:
    """The hit ratios on one trace with one cache size, in per cent."""

    trace: str
    share: float
    capacity: int
    ours: dict[str, float]
    theirs: dict[str, float]

    @property
    def best(self) -> float:
        return max(self.theirs.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="short traces: under a minute")
    parser.add_argument("--requests", type=int, help="the length of each trace")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(traces.TRACES))
    options = parser.parse_args()
    if unknown := set(options.names) - set(traces.TRACES):
        parser.error(f"there is no trace {', '.join(sorted(unknown))}")
    count = options.requests or (150_000 if options.quick else 500_000)
    require_libcachesim()
    with tempfile.TemporaryDirectory() as folder:
        simulator = build(Path(folder))
        cells = [cell for name in options.names or traces.TRACES for cell in compare(name, count, simulator)]
    print_table(cells)
    sys.exit(judge(cells))


def require_libcachesim() -> None:
    """Another version may have other policies."""
    try:
        found = importlib.metadata.version("libcachesim")
    except importlib.metadata.PackageNotFoundError:
        found = None
    if found != LIBCACHESIM:
        sys.exit(
            f"libcachesim {LIBCACHESIM} is needed, found {found or 'none'}:\n"
            f"  python3 -m venv /tmp/policies && . /tmp/policies/bin/activate\n"
            f"  pip install libcachesim=={LIBCACHESIM}\n"
            f"then run this again in the same shell"
        )


def build(folder: Path) -> Path:
    """Compiles the simulator from the gateway's own policies."""
    program = folder / "simulator"
    files = [file for source in SOURCES for file in swift_files(ROOT / "Sources/ChunkCache" / source)]
    files += swift_files(ROOT / "Benchmarks/simulator")
    flags = ["-O", "-wmo", "-swift-version", "6", "-warnings-as-errors", "-parse-as-library"]
    command = ["swiftc", *flags, "-package-name", "media_gateway", *files, "-o", program]
    try:
        subprocess.run(command, check=True)
    except FileNotFoundError:
        sys.exit("swiftc is needed, the compiler that builds the gateway")
    return program


def swift_files(path: Path) -> list[Path]:
    return sorted(path.glob("*.swift")) if path.is_dir() else [path]


def compare(name: str, count: int, simulator: Path) -> list[Cell]:
    """Runs everything on one trace."""
    requests = traces.make(name, count)
    distinct = len({(title, chunk) for _, title, chunk in requests})
    capacities = {share: max(int(distinct * share), 10) for share in SHARES}
    with tempfile.TemporaryDirectory() as folder:
        ours = simulate(requests, list(capacities.values()), simulator, Path(folder))
        theirs = simulate_peers(requests, list(capacities.values()), Path(folder))
    print(f"{name}: {len(requests):,} requests for {distinct:,} chunks", file=sys.stderr)
    return [Cell(name, share, size, ours[size], theirs[size]) for share, size in capacities.items()]


def simulate(
    requests: list[Request], capacities: list[int], simulator: Path, folder: Path
) -> dict[int, dict[str, float]]:
    """The hit ratios of our policies, by capacity."""
    trace = folder / "trace.txt"
    trace.write_text("".join(f"{time} {title} {chunk}\n" for time, title, chunk in requests))
    command = [simulator, trace, *map(str, capacities)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    ratios: dict[int, dict[str, float]] = {}
    for line in output.splitlines()[1:]:
        policy, capacity, asked, hits = line.split("\t")
        ratios.setdefault(int(capacity), {})[policy] = 100 * int(hits) / int(asked)
    return ratios


def simulate_peers(requests: list[Request], capacities: list[int], folder: Path) -> dict[int, dict[str, float]]:
    """The hit ratios of libCacheSim's policies, by capacity. It reads traces in a format of its own."""
    import libcachesim

    trace = folder / "trace.oracleGeneral"
    record = struct.Struct("<IQIq")  # time, id, size, and when it is asked for next, which none of these looks at
    trace.write_bytes(b"".join(record.pack(time, title << 24 | chunk, 1, -1) for time, title, chunk in requests))
    ratios: dict[int, dict[str, float]] = {}
    for capacity in capacities:
        for policy, kind in PEERS.items():
            reader = libcachesim.TraceReader(str(trace), libcachesim.TraceType.ORACLE_GENERAL_TRACE)
            cache = getattr(libcachesim, kind)(cache_size=capacity, hashpower=20)
            missed, _ = cache.process_trace(reader)
            ratios.setdefault(capacity, {})[policy] = 100 * (1 - missed)
    return ratios


def print_table(cells: list[Cell]) -> None:
    own = list(cells[0].ours)
    print("| trace | cache, chunks | " + " | ".join(own + [f"libCacheSim {name}" for name in PEERS]) + " |")
    print("|---|" + "---|" * (1 + len(own) + len(PEERS)))
    for cell in cells:
        figures = [cell.ours[name] for name in own] + [cell.theirs[name] for name in PEERS]
        size = f"{cell.capacity:,} ({cell.share:.0%})"
        print(f"| {cell.trace} | {size} | " + " | ".join(f"{figure:.1f}" for figure in figures) + " |")
    print()


def judge(cells: list[Cell]) -> int:
    results = report.Report()
    by_trace = {cell.trace: [other for other in cells if other.trace == cell.trace] for cell in cells}
    for policy, limit in LIMITS.items():
        for name, those in by_trace.items():
            furthest = max((cell.ours[policy] - cell.theirs[policy] for cell in those), key=abs)
            results.check(
                abs(furthest) <= limit,
                f"{policy} on {name} is within {limit} points of libCacheSim's",
                f"{furthest:+.2f}",
            )
    judge_viewers(by_trace, results)
    return results.finish()


def judge_viewers(by_trace: dict[str, list[Cell]], results: report.Report) -> None:
    gains = {name: [cell.ours["viewers"] - cell.best for cell in those] for name, those in by_trace.items()}
    video = [gain for name in gains if traces.TRACES[name].is_video for gain in gains[name]]
    if video:
        mean = statistics.fmean(video)
        what = f"viewers is better than libCacheSim's best by more than {GAIN} points, on average over video"
        results.check(mean > GAIN, what, f"{mean:+.2f}, {min(video):+.2f} to {max(video):+.2f}")
    for name in gains:
        if not traces.TRACES[name].is_video:
            worst = min(gains[name])
            results.check(worst >= -LOSS, f"viewers on {name} is no more than {LOSS} points worse", f"{worst:+.2f}")


if __name__ == "__main__":
    main()
