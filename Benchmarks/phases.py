#!/usr/bin/env python3
"""Phases 1 and 3 of the load report of the backend that this gateway replaces, beside Node's http and Express.

    python3 Benchmarks/phases.py [--rounds N] [--quick] [NAME ...]

Names choose:

    ping     phase 1: 0 → 10 → 50 → 100 → 50 → 0 connections ask /ping, at the report's 54 requests/s and unthrottled
    players  phase 3: 0 → 20 → 50 → 100 → 50 → 0 players on disk, http and torrent sources, cold and warm

See README.md beside this file for what is measured and how. Exits with 1 if a limit is missed.
"""

from __future__ import annotations

import argparse
import sys

import measure

import peers
import phases_ping
import phases_players
import torrent_swarm
from peers import ExpressServer, NodeServer

PARTS = ("ping", "players")
FULL_ROUNDS, QUICK_ROUNDS = 5, 2


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, help=f"runs for each figure (default {FULL_ROUNDS}, or {QUICK_ROUNDS})")
    parser.add_argument("--quick", action="store_true", help="stages of 1 s and 1.6 s")
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[[], *PARTS], help="what is measured")
    return parser.parse_args()


def main() -> int:
    chosen = arguments()
    rounds = chosen.rounds or (QUICK_ROUNDS if chosen.quick else FULL_ROUNDS)
    out = measure.begin({"taskset": "util-linux", "nginx": "nginx-light"}, 600 + 900 * rounds)
    if out is None:
        return 1
    lacking = [f"{kind}: apt-get install {packages}" for kind, packages in peers.lacking().items()
               if kind in (NodeServer.kind, ExpressServer.kind)]
    if advice := "; ".join([*lacking, *filter(None, [torrent_swarm.missing()])]):
        print(f"FAIL  {advice}")
        return 1
    parts = {
        "ping": lambda root, _: phases_ping.run(root, rounds, chosen.quick, out),
        "players": lambda root, _: phases_players.run(root, rounds, chosen.quick, out),
    }
    return measure.run_parts(parts, chosen.names, out)


if __name__ == "__main__":
    sys.exit(main())
