#!/usr/bin/env python3
"""Half an hour of mixed load on one gateway: whether memory, descriptors or leases grow, and all bytes stay right.

    python3 Benchmarks/soak.py [--minutes N] [--quick] [--seed N] [--csv FILE] [--plot FILE.png]

Players, bursts of ranges and clients that hang up, on films of a disk source, an http origin and a swarm that are three
times what the cache holds; every 20 s one of the sources fails for some seconds.

See README.md beside this file for what is measured and how. Exits with 1 if a limit is missed.
"""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path

import measure
import soak_limits
import soak_plot
import torrent_swarm
from soak_run import LIMIT, SLACK, run
from soak_samples import write_csv

import gateway


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30, help="length of the load (default 30)")
    parser.add_argument("--quick", action="store_true", help="2 minutes, too short to judge the slope of memory")
    parser.add_argument("--seed", type=int, help="the same asks for the same (default: another each time)")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="writes all samples")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="draws them; needs python3-matplotlib")
    return parser.parse_args()


def main() -> int:
    chosen = arguments()
    minutes = 2.0 if chosen.quick else chosen.minutes
    seed = random.SystemRandom().randrange(10**6) if chosen.seed is None else chosen.seed
    if lacking := torrent_swarm.missing():
        print(f"FAIL  {lacking}")
        return 1
    out = measure.begin({"nginx": "nginx-light"}, 60 * minutes + 900)
    if out is None:
        return 1
    with out.guarded("soak"), gateway.folder("soak.") as root:
        print(f"seed {seed}", flush=True)
        outcome = run(root, 60 * minutes, seed)
        if chosen.csv:
            write_csv(chosen.csv, outcome.samples)
        soak_limits.judge(outcome, out)
        if chosen.plot:
            soak_plot.draw(chosen.plot, outcome.samples, outcome.faults.past, outcome.began, LIMIT + SLACK, out)
    return out.finish()


if __name__ == "__main__":
    sys.exit(main())
