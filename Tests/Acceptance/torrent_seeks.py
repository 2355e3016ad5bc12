"""Ten players on three torrents seek at random and hang up: every byte compared, nothing left open, memory flat.

``ACCEPTANCE_SEED`` repeats a run.
"""

from __future__ import annotations

import contextlib
import time

import cache_probe
import gateway
import report
import torrent_probe
from content import KIB, MIB

PLAYERS = 10
TORRENTS = 3
RATE = 12 * MIB
GROWTH = 1.1
EARLY = 20
SEEKS = 200
# So many in all at full counts: a leak of a few KiB a seek would show.
LONG = 1600
# What the allocator keeps of a busy moment; a process of 10 MiB grows by as much again, once.
NOISE = 16 * MIB


def at_rest(server: torrent_probe.TorrentServer) -> int:
    """Memory once nobody reads any more, so that nothing of it is bytes on their way."""
    torrent_probe.await_true(lambda: server.readers() == 0, 5)
    cache_probe.settled(server)
    return server.memory()


def seeks(out: report.Report, quick: bool, cached: bool) -> None:
    count, size = SEEKS, (24 if quick else 96) * MIB
    what = "torrents " + ("through the cache" if cached else "without a cache")
    seed = cache_probe.seed()
    with contextlib.ExitStack() as stack:
        torrents = []
        for number in range(TORRENTS):
            folder = stack.enter_context(gateway.folder("seed."))
            piece = (64, 256, 1024)[number] * KIB
            file = f"film {number}.mkv:{size - number * 1000}"
            seeder = torrent_probe.seed(folder, file, piece=piece, seed=number + 1, rate=RATE)
            torrents.append(stack.enter_context(seeder).torrent)
        server = stack.enter_context(torrent_probe.TorrentServer(torrents_cached=cached))
        for torrent in torrents:
            server.bring_in(torrent)
        began = time.monotonic()
        players = torrent_probe.Players(server, torrents, seed)
        players.run(PLAYERS, EARLY)
        early = at_rest(server)
        players.run(PLAYERS, count - EARLY)
        took = time.monotonic() - began
        faults = f", {len(players.faults)} faults: " + "; ".join(players.faults[:3]) if players.faults else ""
        out.check(players.done == count and not players.wrong and not players.faults,
                  f"{what}: {count} random seeks with hang-ups, every byte compared",
                  f"{players.hung_up} hung up, {players.compared / MIB:.0f} MiB compared, {players.wrong} wrong bytes, "
                  f"{took:.0f} s, seed {seed}{faults}")
        waited = torrent_probe.await_true(lambda: server.readers() == 0, 5)
        out.check(waited is not None, f"{what}: no reader is left afterwards",
                  f"{server.readers()} after {torrent_probe.await_text(waited)}")
        late = at_rest(server)
        grows(out, what, (EARLY, early), (count, late))
        if not quick:
            players.run(PLAYERS, LONG - count)
            out.check(not players.wrong and not players.faults, f"{what}: every byte right after {LONG} seeks",
                      f"{players.wrong} wrong bytes, {len(players.faults)} faults")
            grows(out, what, (count, late), (LONG, at_rest(server)))


def grows(out: report.Report, what: str, before: tuple[int, int], after: tuple[int, int]) -> None:
    (first, early), (last, late) = before, after
    out.check(late <= GROWTH * early or late - early <= NOISE,
              f"{what}: RssAnon after seek {last} is at most {GROWTH} times that after seek {first}, "
              f"or {NOISE / MIB:.0f} MiB more",
              f"{early / MIB:.1f} and {late / MIB:.1f} MiB, {late / early:.2f} times")


def main(out: report.Report, quick: bool) -> None:
    if missing := torrent_probe.missing():
        out.skip("seeks in torrents", missing)
        return
    for cached in (True, False):
        with out.guarded(f"seeks, cached {cached}"):
            seeks(out, quick, cached)


if __name__ == "__main__":
    report.run(main)
