#!/usr/bin/env python3
"""Puts the gateway under many clients: players of a warm cache beside nginx slice, and slow ones beside others.

    python3 Benchmarks/crowd.py [--rounds N] [--seconds N] [--players N,N] [--quick] [NAME ...]

Names choose:

    players  500 and 1,000 players at 8 Mbit/s from a warm cache, beside nginx slice; and how many there can be
    slow     300 slow readers, 300 slow heads, 10,000 idle connections: what they cost the others

See README.md beside this file for what is measured and how. Exits with 1 if a limit is missed.
"""

from __future__ import annotations

import argparse
import sys

import measure

import crowd_players
import crowd_slow

PARTS = ("players", "slow")
QUICK_SECONDS, QUICK_IDLE, IDLE = 8, 2_000, 10_000


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="runs for each figure (default 5)")
    parser.add_argument("--seconds", type=int, default=30, help="of bench players, after all have begun (default 30)")
    parser.add_argument("--players", default="500,1000", help="how many at a time (default %(default)s)")
    parser.add_argument("--quick", action="store_true",
                        help=f"one round of {QUICK_SECONDS} s of players, five with {QUICK_IDLE:,} idle connections")
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[[], *PARTS], help="what is measured")
    return parser.parse_args()


def main() -> int:
    chosen = arguments()
    counts = [int(count) for count in chosen.players.split(",")]
    rounds, seconds = (1, QUICK_SECONDS) if chosen.quick else (chosen.rounds, chosen.seconds)
    out = measure.begin({"taskset": "util-linux", "cc": "gcc", "nginx": "nginx-light", "slowhttptest": "slowhttptest"},
                        900 + rounds * (60 + 8 * len(counts) * seconds))
    if out is None:
        return 1
    parts = {
        "players": lambda root, tools: crowd_players.run(root, tools, counts, rounds, seconds, out),
        "slow": lambda root, tools: crowd_slow.run(root, tools, max(rounds, 5), QUICK_IDLE if chosen.quick else IDLE,
                                                   out),
    }
    return measure.run_parts(parts, chosen.names, out)


if __name__ == "__main__":
    sys.exit(main())
