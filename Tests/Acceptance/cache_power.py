"""Loss of power: of what had not to be on the disk yet there is only a part, and the gateway starts and serves.

A gateway is traced while chunks come and leave, objects are purged and pinned, and it ends and starts again. From the
trace come images of its files as a disk may have them at any moment (see ``disk_trace``), and on each of them a gateway
is started as after the boot that follows. ``ACCEPTANCE_SEED`` repeats a choice of images.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import struct
import time
from pathlib import Path

import cache_probe
import content
import disk_trace
import gateway
import report
from content import KIB, MIB
from wire import WireError, fetch

CHUNK = 64 * KIB
LIMIT = 8 * MIB
FILES = 12
CLIENTS = 2
NAMES = ("data.mdb", "data.mdb.bad", "state", "state.new", "pins/data.mdb")
STARTS = 3
BOOT = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
NEXT_BOOT = "0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0"
# What a gateway lives through: its durability, and how it ends.
LIVES = {
    "strict": (("strict", "stop"), ("strict", "kill"), ("strict", "kill")),
    "relaxed": (("relaxed", "stop"), ("relaxed", "kill"), ("relaxed", "kill")),
    "strict after relaxed": (("relaxed", "kill"), ("strict", "kill")),
}


def gateway_on(root: Path, sync: str, **options) -> gateway.Server:
    # What is damaged is to be found by those who read it.
    more = f'sync = "{sync}"\nmin_free_disk = "0B"\npolicy = "lru"\nscrub_rate = "0"\nmax_age = "0s"'
    return cache_probe.server(root, f"{LIMIT}B", f"{CHUNK}B", more, **options)


# What is recorded


class Recording:
    """What a gateway did to its cache's files in some lives, call by call."""

    def __init__(self, root: Path, files: list[Path], lives, stored: int) -> None:
        server = gateway_on(root, lives[0][0])
        try:
            self.directory = cache_probe.directory(server)
            trace = server.home / "trace"
            server.prefix = disk_trace.tracer(self.directory, NAMES, trace)
            self.seen, self.evicted = cache_probe.Result(), 0.0
            for number, (sync, ending) in enumerate(lives):
                server.config = gateway_on(root, sync).config
                server.start()
                self._live(server, files, stored // len(lives), number)
                os.kill(server.pid, signal.SIGTERM if ending == "stop" else signal.SIGKILL)
                server.process.wait(20)
            self.calls = list(disk_trace.calls(trace))
            self._check()
        finally:
            server.__exit__()

    def _check(self) -> None:
        """Whether the calls account for what is in the files, and after which of them the disk says it is not waited
        for."""
        disk = disk_trace.Disk(self.directory, NAMES)
        self.relaxed = []
        for number, call in enumerate(self.calls, 1):
            disk.apply(call)
            state = disk.held.get("state")
            if state and is_relaxed(state.held):
                self.relaxed.append(number)
        left = {name: (self.directory / name).read_bytes() for name in NAMES if (self.directory / name).exists()}
        self.is_whole = disk.all() == left and not self.seen.wrong and not self.seen.faults

    def __str__(self) -> str:
        waits = sum(call.name in disk_trace.SYNCS for call in self.calls)
        return (f"{len(self.calls)} calls, {waits} of them wait for the disk, {self.evicted:.0f} evicted, "
                f"{self.seen}")

    def _live(self, server: gateway.Server, files: list[Path], stored: int, number: int) -> None:
        plan = cache_probe.Random(files, [1] * len(files), CHUNK)
        for part in range(2):
            goal = cache_probe.metrics(server)("cache_insertions_total") + stored / 2
            with cache_probe.Readers(server, plan, f"{cache_probe.seed()} {number} {part}", CLIENTS,
                                     pause=0.02) as readers:
                until = time.monotonic() + 30
                while cache_probe.metrics(server)("cache_insertions_total") < goal and time.monotonic() < until:
                    time.sleep(0.02)
                if part == 0:
                    tell(server, "POST", f"pins?scope=object&source=media&path={files[number].name}")
                    tell(server, "POST", f"purge?scope=object&source=media&path={files[0].name}")
                elif number == 1:
                    tell(server, "DELETE", f"pins?scope=object&source=media&path={files[0].name}")
                self.seen.add(readers.stop())
            cache_probe.settled(server)
            if (number, part) == (1, 0):
                # With nobody reading: a new file begins.
                tell(server, "POST", "purge?scope=all")
        self.evicted += cache_probe.metrics(server).evicted


def tell(server: gateway.Server, method: str, what: str) -> None:
    reply = fetch(cache_probe.admin(server), f"/admin/v1/cache/{what}", method)
    if reply.status not in (200, 201):
        raise WireError(f"{what} answered {reply}: {reply.body[:200]!r}")


def moments(recording: Recording, source: random.Random, count: int) -> list[int]:
    """After how many calls the power goes: half of them anywhere, half about a call of which there are few; and those
    after which the files say that the cache does not wait for the disk, if they say so only now and then."""
    calls = recording.calls
    rare = [number for number, call in enumerate(calls)
            if call.name not in ("pwrite64", "lseek", "writev", "fdatasync") or number < 40]
    chosen = [source.randrange(len(calls) + 1) for _ in range(count - count // 2)]
    chosen += [min(source.choice(rare) + source.randrange(4), len(calls)) for _ in range(count // 2)]
    if len(recording.relaxed) < len(calls) // 4:
        chosen += source.sample(recording.relaxed, min(2, len(recording.relaxed)))
    return sorted(chosen)


def images(recording: Recording, source: random.Random, count: int):
    """What the disk may have kept at these moments, and what it must have."""
    disk, done = disk_trace.Disk(recording.directory, NAMES), 0
    for moment in moments(recording, source, count):
        for call in recording.calls[done:moment]:
            disk.apply(call)
        done = moment
        yield f"after call {moment}", disk.lost(source), Expected(disk)


# What is there again


class Expected:
    """What had to be on the disk, or that and all that was on its way: by object and place in it, and how many pins."""

    def __init__(self, disk: disk_trace.Disk) -> None:
        whole = disk.left(), disk.all()
        self.chunks = [stored_in(files) for files in whole]
        self.pins = [pinned_in(files) for files in whole]

    @property
    def least(self) -> int:
        return min(len(chunks) for chunks in self.chunks)


def stored_in(files: dict[str, bytes]) -> set[tuple[int, int]]:
    """The chunks in files that are whole."""
    tables = disk_trace.tables(files.get("data.mdb", b""))
    chunks = (struct.unpack(">QQ", key) for key in tables.get("chunks", ()))
    return {chunk for chunk in chunks if struct.pack(">Q", chunk[0]) in tables["objects"]}


def pinned_in(files: dict[str, bytes]) -> int:
    records = disk_trace.tables(files.get("pins/data.mdb", b"")).get("records", {})
    return sum(len(json.loads(value[value.index(b"["):])) for value in records.values())


def is_relaxed(state: bytes | None) -> bool:
    """Whether a file says that the cache is open, and does not wait for the disk."""
    return state is not None and b"strict" not in state.split(b"\n")[1:]


class Aftermath:
    """What a gateway makes of an image."""

    def __init__(self, server: gateway.Server, files: list[Path], image: dict[str, bytes], boot: str,
                 least: int) -> None:
        """``least``: chunks that must be there."""
        self.faults: list[str] = []
        self.deaths = 0
        self.seen = cache_probe.Result()
        self.chunks: set[tuple[int, int]] = set()
        self.pins = -1
        self.corrupt = self.losses = self.again = 0.0
        place = cache_probe.directory(server)
        shutil.rmtree(place, ignore_errors=True)
        for name, data in image.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(data.replace(BOOT.encode(), boot.encode()) if name.startswith("state") else data)
        server.output.clear()
        while self.deaths < STARTS and not self._serve(server, files, least):
            pass
        self.warnings = [line for line in cache_probe.lines(server) if "chunk dropped" not in line]
        self.set_aside = "cache set aside" in "".join(self.warnings)
        if self.deaths:
            self.faults.append(f"died in {self.deaths} starts")
        if self.seen.wrong or self.seen.faults or self.seen.broken:
            self.faults.append(f"{self.seen}")
        if len(self.warnings) > 1:
            self.faults.append(f"{len(self.warnings)} warnings: {self.warnings[1][:200]}")

    def _serve(self, server: gateway.Server, files: list[Path], least: int) -> bool:
        """Starts it and reads everything; whether it lived through that."""
        try:
            server.start()
            cache_probe.await_chunks(server, least)
            cold = cache_probe.settled(server)
            self.chunks = stored_chunks(server)
            self.pins = len(json.loads(fetch(cache_probe.admin(server), "/admin/v1/cache/pins").body)["pins"])
            self.seen.add(cache_probe.read_ranges(server, server.root, cache_probe.stored_ranges(server)))
            hot = cache_probe.settled(server)
            self.again = hot.source_bytes - cold.source_bytes
            self.corrupt, self.losses = hot.corrupt, hot("cache_losses_total")
            self.seen.add(cache_probe.read_all(server, files))
            hits, left, _ = cache_probe.hits_again(server, files[-1:], 5)
            self.seen.add(hits)
            now = cache_probe.metrics(server)
            if left or now("cache_up") != 1 or now("cache_insertions_total") == 0:
                self.faults.append(f"up {now('cache_up'):.0f}, {now('cache_insertions_total'):.0f} stored, {left:.0f} "
                                   "bytes read when all should hit")
        except (OSError, RuntimeError, LookupError, WireError) as error:
            if server.process.poll() is not None:
                self.deaths += 1
                return False
            self.faults.append(f"{type(error).__name__} {error}")
        server.process.kill()
        server.process.wait(10)
        return True


def stored_chunks(server: gateway.Server) -> set[tuple[int, int]]:
    found = set()
    items = json.loads(fetch(cache_probe.admin(server), "/admin/v1/cache/items?limit=10000").body)["items"]
    for item in items:
        detail = json.loads(fetch(cache_probe.admin(server), f"/admin/v1/cache/items/{item['number']}").body)
        for run in detail["stored"]:
            found.update((item["number"], run["first"] + n) for n in range(run["count"]))
    return found


class Outcome:
    """What was seen over the images of one recording."""

    def __init__(self) -> None:
        self.served, self.kept = report.Tally(), report.Tally()
        self.images = self.chunks = self.emptied = self.set_aside = self.corrupt = self.wrong = self.warnings = 0

    def add(self, after: Aftermath, what: str) -> None:
        self.served.expect(not after.faults, f"{what}: {after.faults}")
        self.images += 1
        self.chunks += len(after.chunks)
        self.emptied += after.losses > 0
        self.set_aside += after.set_aside
        self.corrupt += int(after.corrupt)
        self.wrong += after.seen.wrong
        self.warnings += len(after.warnings)

    def expect(self, after: Aftermath, chunks: list[set[tuple[int, int]]], pins: list[int], what: str) -> None:
        """One of these sets of chunks is there and hits, and as many pins."""
        wrong = []
        if after.chunks not in chunks:
            wrong.append(f"{len(after.chunks)} chunks, not {' or '.join(str(len(one)) for one in chunks)}")
        if after.again or after.corrupt:
            wrong.append(f"{after.again:.0f} bytes read of the source, {after.corrupt:.0f} corrupt")
        if after.pins not in pins:
            wrong.append(f"{after.pins} pins, not {pins}")
        self.kept.expect(not wrong, f"{what}: {', '.join(wrong)}")

    def __str__(self) -> str:
        return (f"{self.wrong} wrong bytes, {self.warnings} warnings, {self.emptied} given up, {self.set_aside} of "
                f"them set aside, {self.corrupt} corrupt chunks")


def power_lost(root: Path, files: list[Path], out: report.Report, name: str, stored: int, count: int) -> None:
    recording = Recording(root, files, LIVES[name], stored)
    out.check(recording.is_whole and recording.evicted > 0, f"{name}: the trace has every byte of the files",
              f"{recording}")
    source = random.Random(f"{cache_probe.seed()} {name}")
    lost, same = Outcome(), Outcome()
    durabilities = {sync for sync, _ in LIVES[name]}
    server = gateway_on(root, LIVES[name][-1][0])
    try:
        for what, image, expected in images(recording, source, count):
            is_lost = is_relaxed(image.get("state")) and durabilities != {"strict"}
            after = Aftermath(server, files, image, NEXT_BOOT, 0 if is_lost else expected.least)
            lost.add(after, what)
            lost.expect(after, [set()] if is_lost else expected.chunks, expected.pins, what)
            if len(durabilities) > 1:
                continue
            # As if the machine had not stopped. Of what is relaxed there is too little then.
            after = Aftermath(server, files, image, BOOT, expected.least if name == "strict" else 0)
            same.add(after, what)
            if name == "strict":
                same.expect(after, expected.chunks, expected.pins, f"{what}, killed")
    finally:
        server.__exit__()
    lost.served.into(out, f"power lost, {name}: starts, right bytes, goes on", f"{lost}")
    lost.kept.into(out, f"power lost, {name}: what was on the disk hits, what did not wait for it is given up",
                   f"{lost.chunks} chunks hit")
    if len(durabilities) > 1:
        return
    same.served.into(out, f"the same with the boot unchanged, {name}: starts, right bytes, goes on", f"{same}")
    if name == "strict":
        same.kept.into(out, f"the same with the boot unchanged, {name}: what was on the disk hits",
                       f"{same.chunks} chunks hit")
    else:
        out.check(same.set_aside + same.corrupt > 0, "what did not wait for the disk is damaged in these images",
                  f"{same.set_aside} of {same.images} set aside")


def main(out: report.Report, quick: bool) -> None:
    print(f"      cache_power: seed {cache_probe.seed()}", flush=True)
    if not shutil.which("strace"):
        out.skip("power lost", "no strace")
        return
    with gateway.folder() as root:
        files = [content.write(root / f"{n:02}.bin", 300 * KIB + n * 200_003, f"power {n}") for n in range(FILES)]
        for name, count in (("strict", 8 if quick else 60), ("relaxed", 6 if quick else 40),
                            ("strict after relaxed", 6 if quick else 20)):
            with out.guarded(f"power lost, {name}"):
                power_lost(root, files, out, name, 500 if quick else 1500, count)


if __name__ == "__main__":
    report.run(main)
