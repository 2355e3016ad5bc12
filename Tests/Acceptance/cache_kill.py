"""Killed at any moment: what was written is there again, and is right.

``ACCEPTANCE_SEED`` repeats a run.
"""

from __future__ import annotations

import random
import time
from pathlib import Path

import cache_probe
import content
import gateway
import report
from content import KIB, MIB

CLIENTS = 4
LIMIT = 16 * MIB
CHUNK = 128 * KIB
FILES = 12
START = 2.0


def kill(server: gateway.Server) -> float:
    """The seconds from there until it listens again."""
    server.process.kill()
    server.process.wait(10)
    began = time.monotonic()
    server.start()
    return time.monotonic() - began


def under_load(server: gateway.Server, root: Path, plan: cache_probe.Random, seed: str, seconds: float):
    """Kills it while clients read; the seconds of the start, and what they and a reader of all that is left saw."""
    with cache_probe.Readers(server, plan, seed, CLIENTS) as readers:
        time.sleep(seconds)
        started = kill(server)
        time.sleep(seconds / 2)
        seen = readers.stop()
    cache_probe.settled(server)
    seen.add(cache_probe.read_ranges(server, root, cache_probe.stored_ranges(server)))
    return started, seen


def at_rest(server: gateway.Server, root: Path, plan: cache_probe.Random, seed: str, seconds: float, known: float):
    """Kills it when all is written: what was stored must be there, and be read without the source.

    ``known``: chunks that were there when this process of the server had started.
    """
    with cache_probe.Readers(server, plan, seed, CLIENTS) as readers:
        time.sleep(seconds)
        seen = readers.stop()
    before = cache_probe.settled(server)
    ranges = cache_probe.stored_ranges(server)
    acknowledged = known + before.stored
    started = kill(server)
    found = cache_probe.await_chunks(server, acknowledged)("cache_chunks")
    again = cache_probe.stored_ranges(server)
    cold = cache_probe.settled(server)
    seen.add(cache_probe.read_ranges(server, root, again))
    hot = cache_probe.settled(server)
    chunks = sum((end - first + CHUNK - 1) // CHUNK for _, first, end in again)
    faults = []
    if not acknowledged == before("cache_chunks") == found == chunks:
        faults.append(f"{acknowledged:.0f} chunks acknowledged, {before('cache_chunks'):.0f} counted, "
                      f"{found:.0f} found, {chunks} listed")
    if ranges != again:
        faults.append(f"others than before: {sorted(set(ranges) ^ set(again))[:3]}")
    if hot.source_requests != cold.source_requests or hot.source_bytes != cold.source_bytes:
        faults.append(f"{hot.source_bytes - cold.source_bytes:.0f} bytes read of the source")
    if hot.lookups["hit"] == cold.lookups["hit"]:
        faults.append("no hits counted")
    return started, seen, chunks, faults


def main(out: report.Report, quick: bool) -> None:
    rounds = 5 if quick else 100
    seed = cache_probe.seed()
    print(f"      cache_kill: seed {seed}", flush=True)
    source = random.Random(seed)
    for sync in ("relaxed", "strict"):
        with out.guarded(f"killed, {sync}"), gateway.folder() as root:
            files = [content.write(root / f"{n:02}.bin", source.randrange(MIB, 3 * MIB), f"{seed} {n}")
                     for n in range(FILES)]
            plan = cache_probe.Random(files, [1 / (n + 1) for n in range(FILES)], CHUNK)
            with cache_probe.server(root, f"{LIMIT}B", f"{CHUNK}B", f'sync = "{sync}"') as server:
                rounds_of(server, root, plan, source, out, sync, (rounds + 1) // 2)


def rounds_of(server, root, plan, source, out: report.Report, sync: str, rounds: int) -> None:
    """Rounds under load and at rest in turn, over one cache that lives through all of them."""
    whole, starts, corrupt, warned = cache_probe.Result(), [], 0.0, []
    rest = report.Tally()
    kept = 0
    for number in range(rounds):
        seconds = source.uniform(0.02, 0.5)
        seed = f"{source.random()}"
        server.output.clear()
        if number % 2 == 0:
            started, seen = under_load(server, root, plan, seed, seconds)
        else:
            # The process has just been started; what it found then is what is not of its own making.
            now = cache_probe.settled(server)
            known = now("cache_chunks") - now.stored
            started, seen, chunks, faults = at_rest(server, root, plan, seed, seconds, known)
            rest.expect(not faults, f"round {number}: " + ", ".join(faults))
            kept += chunks
        starts.append(started)
        whole.add(seen)
        corrupt += cache_probe.metrics(server).corrupt
        warned += cache_probe.lines(server)
    out.check(not whole.wrong and not whole.faults and not corrupt and not warned,
              f"killed {rounds} times, sync {sync}: every byte is right",
              f"{whole}, {corrupt:.0f} corrupt, {len(warned)} warnings" + "".join(f": {line}" for line in warned[:1]))
    out.check(max(starts) < START, f"killed, sync {sync}: it listens again within {START:.0f} s",
              f"{max(starts) * 1000:.0f} ms at most, {sorted(starts)[len(starts) // 2] * 1000:.0f} ms in the middle")
    rest.into(out, f"killed at rest, sync {sync}: all that was acknowledged is hit, and nothing read of the source",
              f"{kept} chunks")


if __name__ == "__main__":
    report.run(main)
