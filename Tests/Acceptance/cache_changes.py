"""A filled cache whose settings change: policy, size, the source's budget, pins, size of chunks. What ``cache stat`` says
before and after each, and that what it says is there is sent without the source.

``ACCEPTANCE_SEED`` repeats a run.
"""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import cache_probe
import content
import gateway
import report
from content import KIB, MIB

FILM = 4 * MIB
FILMS = 14
CHUNK = 256 * KIB
# What a cache that makes room for no more than a limit may lack of it.
SLACK = 4 * MIB
# What the file may have besides: 18 %, or 4 MiB and four chunks.
SPARE = 6 * MIB


class Changes:
    """The gateway, and what its cache said last."""

    def __init__(self, server: gateway.Server, films: list[Path]) -> None:
        self.server, self.films = server, films
        self.before = self.stat()

    def cache(self, *arguments: str) -> str:
        """What ``media-gateway cache`` prints."""
        command = [gateway.gateway_program(), "cache", *arguments, "--config", str(self.server.home / "config.toml"),
                   "--set", f"admin.listen=127.0.0.1:{self.server.admin_port}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise RuntimeError(f"cache {' '.join(arguments)} exited with {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def stat(self) -> dict:
        return json.loads(self.cache("stat", "--json"))

    def restarted(self, config: str, *variables: str) -> None:
        self.server.config, self.server.prefix = config, ["env", *variables] if variables else []
        self.server.restart()

    def show(self, what: str) -> tuple[dict, dict]:
        """Prints what the cache says now beside what it said before; both."""
        cache_probe.settled(self.server)
        before, self.before = self.before, self.stat()
        print(f"      {what}: {_text(before)} -> {_text(self.before)}", flush=True)
        return before, self.before

    def settle(self, limit: int) -> None:
        """Waits until the cache knows all its chunks, which are more than a limit, and has no more of them than that."""
        for _ in range(200):
            if limit - SLACK < cache_probe.settled(self.server)("cache_bytes") <= limit:
                return

    def hits(self) -> tuple[int, cache_probe.Result]:
        """Bytes that are sent of all that the cache says it has, and those that were read of the source for them."""
        ranges = cache_probe.stored_ranges(self.server)
        before = cache_probe.settled(self.server)
        seen = cache_probe.read_ranges(self.server, self.films[0].parent, ranges)
        return int(cache_probe.settled(self.server).source_bytes - before.source_bytes), seen


def _text(stat: dict) -> str:
    limit = stat["sources"][0].get("limit_bytes") if stat["sources"] else None
    return (f"{stat['policy']}, {stat['bytes'] / MIB:.1f} of {stat['limit_bytes'] / MIB:.0f} MiB"
            + (f" (the source of {limit / MIB:.0f})" if limit else "")
            + f", {stat['chunks']} chunks of {stat['chunk_size'] // KIB} KiB, {stat['pinned_bytes'] / MIB:.1f} MiB pinned")


def _config(size: int, chunk: int = CHUNK, policy: str = "s3-fifo") -> str:
    return f'[cache]\nsize = "{size}B"\nchunk_size = "{chunk}B"\npolicy = "{policy}"\n'


def main(out: report.Report, quick: bool) -> None:
    seed = cache_probe.seed()
    with gateway.folder() as root:
        films = [content.write(root / f"film {n:02}.mkv", FILM, f"{seed} {n}") for n in range(FILMS)]
        with gateway.Server(root, config=_config(64 * MIB)) as server:
            cache_probe.filled(server, lambda: cache_probe.read_all(server, films), FILMS * FILM // CHUNK)
            changes = Changes(server, films)
            pin(changes, out)
            policy(changes, out)
            smaller(changes, out)
            larger(changes, out)
            budget(changes, out)
            grid(changes, out)


def pin(changes: Changes, out: report.Report) -> None:
    changes.cache("pin", "media/film 00.mkv")
    before, after = changes.show("a pin of 4 MiB")
    out.check(FILM <= after["pinned_bytes"] < FILM + MIB and after["chunks"] == before["chunks"],
              "a pin takes nothing from the cache", f"{after['pinned_bytes'] / MIB:.1f} MiB pinned")


def policy(changes: Changes, out: report.Report) -> None:
    for name in ("lru", "viewers", "s3-fifo"):
        changes.restarted(_config(64 * MIB, policy=name))
        cache_probe.await_chunks(changes.server, changes.before["chunks"])
        before, after = changes.show(f"another policy, {name}")
        read, seen = changes.hits()
        out.check(after["policy"] == name and _same(before, after) and read == 0 and not seen.wrong and not seen.faults,
                  f"with the policy {name} everything is still there", f"{read} bytes read of the source, {seen}")


def smaller(changes: Changes, out: report.Report) -> None:
    limit = 32 * MIB
    changes.restarted(_config(limit))
    changes.settle(limit)
    _, after = changes.show("half the size")
    read, seen = changes.hits()
    out.check(limit - SLACK < after["bytes"] <= limit and read == 0 and not seen.wrong and not seen.faults,
              "a smaller cache keeps as much as it may", f"{read} bytes read of the source, {seen}")
    _pinned(changes, after, out, "a smaller cache")
    for _ in range(100):
        now = cache_probe.settled(changes.server)
        if now("cache_disk_bytes") <= limit + SPARE:
            break
        time.sleep(0.1)
    out.check(now("cache_disk_bytes") <= limit + SPARE, "a smaller cache takes less of the disk",
              f"{now('cache_disk_bytes') / MIB:.1f} MiB of a file of {now('cache_file_bytes') / MIB:.1f} MiB")


def larger(changes: Changes, out: report.Report) -> None:
    changes.restarted(_config(128 * MIB))
    cache_probe.await_chunks(changes.server, changes.before["chunks"])
    before, after = changes.show("four times the size")
    read, seen = changes.hits()
    out.check(_same(before, after) and read == 0 and not seen.wrong and not seen.faults,
              "a larger cache loses nothing", f"{read} bytes read of the source, {seen}")
    cache_probe.filled(changes.server, lambda: cache_probe.read_all(changes.server, changes.films), FILMS * FILM // CHUNK)
    changes.show("all films read again")


def budget(changes: Changes, out: report.Report) -> None:
    limit = 16 * MIB
    changes.restarted(_config(128 * MIB), f"MEDIA_GATEWAY__SOURCES__MEDIA__CACHE_SIZE={limit}B")
    changes.settle(limit)
    _, after = changes.show("16 MiB for the source")
    read, seen = changes.hits()
    out.check(limit - SLACK < after["bytes"] <= limit and read == 0 and not seen.wrong and not seen.faults,
              "a source keeps as much as its budget", f"{read} bytes read of the source, {seen}")
    cache_probe.read_all(changes.server, changes.films)
    _, after = changes.show("all films read again")
    out.check(after["bytes"] <= limit, "and has no more after more was read", f"{after['bytes'] / MIB:.1f} MiB")
    _pinned(changes, after, out, "a budget")
    changes.restarted(_config(128 * MIB))
    cache_probe.await_chunks(changes.server, after["chunks"])
    changes.show("no budget")


def grid(changes: Changes, out: report.Report) -> None:
    changes.server.terminate()
    changes.server.process.wait(30)
    config = changes.server.home / "config.toml"
    config.write_text(config.read_text().replace(f'"{CHUNK}B"', '"1MiB"'))
    told = changes.cache("rebuild").strip()
    changes.server.config = _config(128 * MIB, chunk=MIB)
    changes.server.start()
    cache_probe.await_chunks(changes.server, 1)
    _, after = changes.show(f"chunks of 1 MiB ({told})")
    read, seen = changes.hits()
    out.check(after["chunk_size"] == MIB and after["chunks"] >= FILM // MIB and read == 0 and not seen.wrong
              and not seen.faults, "chunks of another size are there without the source",
              f"{after['chunks']} of them, {read} bytes read, {seen}")
    _pinned(changes, after, out, "another size of chunks")


def _same(before: dict, after: dict) -> bool:
    return all(before[key] == after[key] for key in ("chunks", "bytes", "objects", "pinned_bytes"))


def _pinned(changes: Changes, stat: dict, out: report.Report, what: str) -> None:
    before = cache_probe.settled(changes.server)
    seen = cache_probe.read_all(changes.server, changes.films[:1])
    read = cache_probe.settled(changes.server).source_bytes - before.source_bytes
    out.check(read == 0 and not seen.wrong and not seen.faults and stat["pinned_bytes"] >= FILM,
              f"{what}: all that is pinned is there", f"{stat['pinned_bytes'] / MIB:.1f} MiB, {read:.0f} bytes read")


if __name__ == "__main__":
    report.run(main)
