"""All acceptance checks: a line for each with its figure, and ``N passed, N failed`` at the end.

    python3 Tests/Acceptance/run.py [--quick] [NAME ...]

Names choose checks: configs, ranges, random_ranges, desync, request_fuzz, greedy, paths, drain, slow, players,
cache_hits, cache_random, cache_kill, cache_damage, cache_disk, cache_power, cache_clock, cache_paused, cache_changes,
http_origin, http_proxy, shared_cache, origin_faults, edges, torrent_adding, torrent_seeks, torrent_peers, torrent_life,
torrent_players, hostile, hostile_swarm, monitoring. ``MEDIA_GATEWAY`` names the program.
"""

from __future__ import annotations

import argparse
import importlib
import signal
import sys
import time

import report

CHECKS = ("configs", "ranges", "random_ranges", "desync", "request_fuzz", "greedy", "paths", "drain", "slow", "players",
          "cache_hits", "cache_random", "cache_kill", "cache_damage", "cache_disk", "cache_power", "cache_clock",
          "cache_paused", "cache_changes", "http_origin", "http_proxy", "shared_cache", "origin_faults", "edges", "torrent_adding", "torrent_seeks",
          "torrent_peers", "torrent_life", "torrent_players", "hostile", "hostile_swarm", "monitoring")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the counts of CI rather than the full ones")
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[[], *CHECKS], help="the checks to run")
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    report.deadline(1800 if chosen.quick else 5400)
    out = report.Report()
    for name in chosen.names or CHECKS:
        began = time.monotonic()
        print(f"----  {name}", flush=True)
        with out.guarded(name):
            importlib.import_module(name).main(out, chosen.quick)
        print(f"      {name}: {time.monotonic() - began:.0f} s", flush=True)
    return out.finish()


if __name__ == "__main__":
    sys.exit(main())
