#!/usr/bin/env python3
"""Shows what the chunk cache promises where it is large, full, or busy for a day.

    python3 Benchmarks/large.py [--rounds N] [--quick] [--minutes N] [NAME ...]

Names choose:

    million  start-up with a million chunks, and the memory each takes
    puts     what the cache's writer takes for a chunk, beside LMDB with the same flags
    evict    hits of others while a full cache takes misses
    beyond   hits of a cache larger than memory, beside nginx proxy_cache
    day      24 hours of traffic in some minutes: what the cache and its file take, and its oldest reader

See README.md beside this file for what is measured and how. Exits with 1 if a limit is missed.
"""

from __future__ import annotations

import argparse
import sys

import measure

import large_beyond
import large_day
import large_evict
import large_million
import large_puts

PARTS = ("million", "puts", "evict", "beyond", "day")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="runs for each figure (default 7)")
    parser.add_argument("--quick", action="store_true", help="3 rounds, 100,000 chunks, a day of two minutes")
    parser.add_argument("--minutes", type=float, default=12, help="length of the day (default 12)")
    parser.add_argument("--plot", metavar="FILE", help="where the day is drawn, as PNG (default: nowhere)")
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[[], *PARTS], help="what is measured")
    return parser.parse_args()


def main() -> int:
    chosen = arguments()
    rounds, minutes, count = (3, 2.0, 100_000) if chosen.quick else (chosen.rounds, chosen.minutes, 1_000_000)
    out = measure.begin({"taskset": "util-linux", "cc": "gcc", "nginx": "nginx-light"}, 3600 + 60 * minutes)
    if out is None:
        return 1
    parts = {
        "million": lambda root, tools: large_million.run(root, tools, count, out),
        "puts": lambda root, tools: large_puts.run(root, tools, rounds, out),
        "evict": lambda root, tools: large_evict.run(root, tools, rounds, out),
        "beyond": lambda root, tools: large_beyond.run(root, tools, rounds, out),
        "day": lambda root, _: large_day.run(root, minutes, chosen.plot, out),
    }
    return measure.run_parts(parts, chosen.names, out)


if __name__ == "__main__":
    sys.exit(main())
