"""A clock that lies: it jumps and runs too fast, under load and at a start. Right bytes, hits, and sane ages.

Only the time of day is another one, by Debian's ``faketime``; what runs since the boot does not change. But faketime
moves timers with a fixed end as well: they come late while the clock is back, and at once while it is ahead. So what is
done from time to time can be judged only where the clock never was back.
``ACCEPTANCE_SEED`` repeats a run.
"""

from __future__ import annotations

import glob
import json
import threading
import time
from pathlib import Path

import cache_probe
import content
import gateway
import report
from cache_paused import Paused
from content import KIB, MIB
from http_origin import MOUNT
from http_proxy import noise
from scripted_origin import ScriptedOrigin, ranged
from wire import WireError, fetch

CHUNK = 256 * KIB
CLIENTS = 2
FILES = 8
FILM = noise(3 * MIB, 5)
MAX_AGE = 60
YEAR = 365 * 86_400
# An answer may be a little older than the clock says, as both count in seconds.
SLACK = 5
RIGHT, BACK, FAR = "+0", "-2h", "+10y"
OFF = {RIGHT: 0, BACK: -7200, FAR: 10 * YEAR}
LIBRARIES = "/usr/lib/*/faketime/libfaketimeMT.so.1"
RATE = 60


class Clock:
    """The time of day of the programs that have it put before them."""

    def __init__(self, folder: Path, library: str) -> None:
        self.file = folder / "clock"
        self.set(RIGHT)
        # Dates of files are not to follow the clock: they would all be other revisions.
        self.prefix = ["env", f"LD_PRELOAD={library}", f"FAKETIME_TIMESTAMP_FILE={self.file}", "FAKETIME_NO_CACHE=1",
                       "DONT_FAKE_MONOTONIC=1", "NO_FAKE_STAT=1"]

    def set(self, offset: str) -> None:
        new = self.file.with_suffix(".new")
        new.write_text(f"{offset}\n")
        new.replace(self.file)

    def run_fast(self, seconds: float) -> None:
        """From right on, so many times too fast for so long. Waits are no longer than they are, as they would be not if
        faketime itself did this."""
        began = time.monotonic()
        while (passed := time.monotonic() - began) < seconds:
            self.set(f"+{passed * (RATE - 1):.3f}")
            time.sleep(0.01)


class OriginReader:
    """Asks again and again for what an origin lets be kept for a minute, until it is stopped."""

    def __init__(self, server: gateway.Server) -> None:
        self.server = server
        self.faults: list[str] = []
        self.ages: list[int] = []
        self.answers = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(0.02):
            first = self.answers * 77_777 % (len(FILM) - 100_000)
            try:
                wanted = [("Range", f"bytes={first}-{first + 99_999}")]
                reply = fetch(self.server.address, f"{MOUNT}/film", fields=wanted)
            except (OSError, WireError) as error:
                self.faults.append(f"{type(error).__name__} {error}")
                continue
            self.answers += 1
            if reply.status != 206 or reply.body != FILM[first:first + 100_000]:
                self.faults.append(f"{first}: {reply}")
            age = reply.header("age") or "none"
            if age.isdecimal():
                self.ages.append(int(age))
            else:
                self.faults.append(f"Age: {age}")

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(30)


class Load:
    """Readers of files and of an origin over some time, and what they and the gateway tell of it."""

    def __init__(self, server: gateway.Server, plan: cache_probe.Random, during) -> None:
        """``during()`` is what happens meanwhile."""
        before, lines = cache_probe.metrics(server), log_lines(server)
        origin = OriginReader(server)
        with cache_probe.Readers(server, plan, cache_probe.seed(), CLIENTS, pause=0.005) as readers:
            during()
            self.seen = readers.stop()
        origin.stop()
        self.ages = origin.ages
        self.origin = f"{origin.answers} of the origin"
        self.faults = [f"{self.seen}"] if self.seen.wrong or self.seen.faults or self.seen.broken else []
        self.faults += origin.faults[:3]
        if not self.seen.answers or not origin.answers:
            self.faults.append("no answers")
        if server.process.poll() is not None:
            self.faults.append(f"the process ended: {server.process.returncode}")
            return
        after = cache_probe.settled(server)
        self.bytes = after.source_bytes - before.source_bytes
        self.lost = after("cache_evictions_total") - before("cache_evictions_total")
        if after("cache_up") != 1 or after.corrupt:
            self.faults.append(f"up {after('cache_up'):.0f}, {after.corrupt:.0f} corrupt")
        until = time.monotonic() + 3
        while log_lines(server) - lines < self.seen.answers + origin.answers and time.monotonic() < until:
            time.sleep(0.05)
        if (written := log_lines(server) - lines) < self.seen.answers + origin.answers:
            self.faults.append(f"{written} lines in the access log")

    def has_ages(self, oldest: float) -> bool:
        return bool(self.ages) and max(self.ages) <= oldest

    def __str__(self) -> str:
        ages = f"Age {min(self.ages)} to {max(self.ages)}" if self.ages else "no Age"
        return f"{self.seen}, {self.origin}, {ages}" + "".join(f"; {fault}" for fault in self.faults[:3])


def log_lines(server: gateway.Server) -> int:
    file = server.home / "access.log"
    return file.read_bytes().count(b"\n") if file.exists() else 0


def server_of(root: Path, clock: Clock, origin: ScriptedOrigin, max_age: str) -> gateway.Server:
    lines = [f'max_age = "{max_age}"', 'min_free_disk = "0B"', '[sources.origin]', 'kind = "http"',
             f'mount = "{MOUNT}"', '[sources.origin.options]', f'base_url = "{origin.base}"']
    return cache_probe.server(root, chunk=f"{CHUNK}B", more="\n".join(lines), prefix=clock.prefix)


def warm(server: gateway.Server, files: list[Path]) -> None:
    _, left, _ = cache_probe.hits_again(server, files, 10)
    if left:
        raise RuntimeError(f"{left:.0f} bytes read of the source when all should hit")


def jumps(server: gateway.Server, clock: Clock, files: list[Path], out: report.Report, seconds: float) -> None:
    """While it runs."""
    plan = cache_probe.Random(files, [1] * len(files), CHUNK)
    warm(server, files)
    long = content.write(server.root / "long.mkv", 24 * MIB)
    paused = Paused(server, long, 16 * KIB)
    for offset, what in ((BACK, "2 h back"), (RIGHT, "right again"), (FAR, "10 years on"), (RIGHT, "right once more"),
                         (FAR, "10 years on again"), (BACK, "10 years and 2 h back"), (RIGHT, "right at last")):
        clock.set(offset)
        load = Load(server, plan, lambda: time.sleep(seconds))
        out.check(not load.faults, f"clock {what}: right bytes, no error, all in the access log", f"{load}")
        out.check(not load.bytes and not load.lost, f"clock {what}: all that is kept without an end hits",
                  f"{load.bytes:.0f} bytes read of the source, {load.lost:.0f} chunks gone")
        oldest = max(OFF[offset], 0) + MAX_AGE + SLACK
        out.check(load.has_ages(oldest), f"clock {what}: no Age is beyond what the clock says of the origin's Date",
                  f"{load}, {oldest} allowed")
    paused.finish()
    out.check(paused.seen.answers == 1 and not paused.seen.wrong,
              "clock that jumps: an answer under way ends whole",
              f"{paused.seen}")


def restarts(server: gateway.Server, clock: Clock, files: list[Path], out: report.Report, seconds: float) -> None:
    """While it is not running."""
    plan = cache_probe.Random(files, [1] * len(files), CHUNK)
    for offset, what in ((BACK, "2 h back"), (FAR, "10 years on"), (RIGHT, "right again")):
        clock.set(offset)
        held = cache_probe.settled(server)("cache_chunks")
        server.restart()
        cache_probe.await_chunks(server, held)
        load = Load(server, plan, lambda: time.sleep(seconds))
        ages = json.loads(fetch(cache_probe.admin(server), "/admin/v1/cache").body)["ages"]
        negative = {name: age for name, age in ages.items() if age < 0}
        out.check(not load.faults and not load.bytes and not load.lost and not negative,
                  f"started with the clock {what}: right bytes, all hits, no object younger than nothing",
                  f"{load.bytes:.0f} bytes read of the source, {load.lost:.0f} chunks gone, {negative}, {load}")


def fast(server: gateway.Server, clock: Clock, files: list[Path], out: report.Report, seconds: float) -> None:
    plan = cache_probe.Random(files, [1] * len(files), CHUNK)
    load = Load(server, plan, lambda: clock.run_fast(seconds))
    clock.set(RIGHT)
    oldest = seconds * RATE + MAX_AGE + SLACK
    out.check(not load.faults and not load.bytes and not load.lost and load.has_ages(oldest),
              f"clock {RATE} times too fast: right bytes, no error, all hits, no Age beyond what it says",
              f"{load.bytes:.0f} bytes read of the source, {load.lost:.0f} chunks gone, {load}")


def aged(server: gateway.Server, clock: Clock, files: list[Path], out: report.Report, max_age: str,
         wait: float) -> None:
    """A cache whose objects have an end. How old they are is looked at a sixtieth of that time apart, each minute at
    least."""
    plan = cache_probe.Random(files, [1] * len(files), CHUNK)
    what = f'max_age = "{max_age}"'
    warm(server, files)
    held = cache_probe.settled(server)("cache_chunks")
    clock.set(FAR)
    load = Load(server, plan, lambda: time.sleep(wait))
    gone = cache_probe.metrics(server)("cache_evictions_total", reason="age")
    out.check(not load.faults, f"{what}, clock 10 years on: right bytes, no error, all in the access log", f"{load}")
    out.check(not gone, f"{what}, clock 10 years on for a moment: nothing in the cache is too old",
              f"{gone:.0f} chunks gone of {held:.0f} in {wait:.0f} s")
    server.restart()
    again, left, took = cache_probe.hits_again(server, files, 10)
    out.check(not left and not again.wrong and not again.faults, f"{what}, started 10 years on: goes on caching",
              f"{left:.0f} bytes read of the source after {took:.1f} s, {again}")
    clock.set(RIGHT)
    load = Load(server, plan, lambda: time.sleep(1))
    out.check(not load.faults and not load.bytes, f"{what}, clock right again: right bytes, hits",
              f"{load.bytes:.0f} bytes read of the source, {load}")


def main(out: report.Report, quick: bool) -> None:
    print(f"      cache_clock: seed {cache_probe.seed()}", flush=True)
    library = next(iter(glob.glob(LIBRARIES)), None)
    if not library:
        out.skip("a clock that lies", "no faketime")
        return
    seconds = 1 if quick else 4
    with gateway.folder() as root, gateway.folder("clock.") as folder, ScriptedOrigin(
            lambda asked: ranged(asked, FILM, '"film"', cache_control=f"max-age={MAX_AGE}")) as origin:
        files = [content.write(root / f"{n:02}.bin", 2 * MIB - n * 1000) for n in range(FILES)]
        clock = Clock(folder, library)
        with out.guarded("clock that jumps"), server_of(root, clock, origin, "0s") as server:
            jumps(server, clock, files, out, seconds)
            restarts(server, clock, files, out, seconds)
            fast(server, clock, files, out, 4 if quick else 20)
        clock.set(RIGHT)
        max_age, wait = ("10m", 12) if quick else ("1h", 63)
        with out.guarded("clock and max_age"), server_of(root, clock, origin, max_age) as server:
            aged(server, clock, files, out, max_age, wait)


if __name__ == "__main__":
    report.run(main)
