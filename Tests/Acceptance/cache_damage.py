"""A database file that is not what was left: damaged, cut, empty, of something else. The gateway starts and serves.

``ACCEPTANCE_SEED`` repeats a run.
"""

from __future__ import annotations

import random
import shutil
import struct
import subprocess
import time
from pathlib import Path

import cache_probe
import content
import gateway
import report
from cache_probe import PAGE
from content import KIB, MIB
from wire import WireError

CHUNK = 256 * KIB
FLIPS = 200
FILES = 20
# Of a process that dies: it is started again as often, as a supervisor would.
STARTS = 3
# Damage may be found only when a later request meets it.
PATIENCE = 5


class Damaged:
    """One cache that was filled and closed in order, to be damaged again and again."""

    def __init__(self, server: gateway.Server, root: Path, kept: Path) -> None:
        self.server = server
        self.files = [content.write(root / f"{n:02}.bin", 2 * MIB - n * 1000) for n in range(FILES)]
        self.kept = kept
        self.place = cache_probe.directory(server)
        server.start()
        cache_probe.read_all(server, self.files)
        self.chunks = int(cache_probe.settled(server)("cache_chunks"))
        self.stop()
        shutil.copytree(self.place, kept)
        self.pages = cache_probe.chunk_pages(kept / "data.mdb")
        self.size = (kept / "data.mdb").stat().st_size

    @property
    def data(self) -> Path:
        return self.place / "data.mdb"

    def stop(self) -> None:
        self.server.terminate()
        self.server.process.wait(20)

    def restore(self) -> None:
        shutil.rmtree(self.place)
        shutil.copytree(self.kept, self.place)

    def flip(self, positions: list[int]) -> None:
        with open(self.data, "r+b") as file:
            for position in positions:
                file.seek(position)
                old = file.read(1)[0]
                file.seek(position)
                file.write(bytes([old ^ (1 << random.Random(position).randrange(8))]))

    def hit_chunks(self, positions: list[int]) -> int:
        """How many chunks have one of these positions in their record."""
        starts = sorted(self.pages)
        damaged = set()
        for position in positions:
            before = [page for page in starts if page * PAGE <= position]
            if before and 16 <= position - before[-1] * PAGE < 16 + self.pages[before[-1]]:
                damaged.add(before[-1])
        return len(damaged)

    def is_structure(self, positions: list[int]) -> bool:
        """Whether one of these is what LMDB finds and frees chunks by."""
        inner = set(self.inner)
        return any(position // PAGE in inner or position < 2 * PAGE
                   or position // PAGE in self.pages and position % PAGE < 16 for position in positions)

    @property
    def inner(self) -> list[int]:
        """The pages behind the meta pages that hold no chunk."""
        chunks = set()
        for page, length in self.pages.items():
            chunks.update(range(page, page + (16 + length + PAGE - 1) // PAGE))
        return [page for page in range(2, self.size // PAGE) if page not in chunks]


class Outcome:
    """What a gateway made of a damaged cache."""

    def __init__(self, damaged: Damaged, counts: bool = False) -> None:
        """``counts``: nothing is read before the cache knows of all its chunks. One that is asked for earlier is
        fetched and stored over, whether it is right or not, so that damage in it is never counted."""
        server = damaged.server
        server.output.clear()
        self.counts = counts
        self.deaths = 0
        self.corrupt = self.left = 0.0
        self.seen = cache_probe.Result()
        self.trouble: str | None = None
        while not self._serve(damaged) and self.deaths < STARTS:
            pass
        self.set_aside = (damaged.place / "data.mdb.bad").exists()
        self.log = [line for line in cache_probe.lines(server) if "chunk dropped" not in line]

    def _serve(self, damaged: Damaged) -> bool:
        """Starts it and reads everything until it hits; whether the process lived through that."""
        server = damaged.server
        try:
            server.start()
            if self.counts:
                cache_probe.await_chunks(server, damaged.chunks)
            self.seen = cache_probe.read_all(server, damaged.files)
            self.corrupt = cache_probe.settled(server).corrupt
            again, self.left, _ = cache_probe.hits_again(server, damaged.files, PATIENCE)
            self.seen.add(again)
        except (OSError, RuntimeError, WireError) as error:
            if ended(server):
                self.deaths += 1
                return False
            self.trouble = f"{type(error).__name__} {error}"
        damaged.stop()
        return True

    def faults(self, warnings: range) -> list[str]:
        if self.deaths == STARTS:
            return [f"died in each of {STARTS} starts"]
        found = [self.trouble] if self.trouble else []
        if self.seen.wrong or self.seen.faults or self.seen.broken:
            found.append(str(self.seen))
        if self.left:
            found.append(f"{self.left:.0f} bytes read of the source when all should hit")
        if len(self.log) not in warnings:
            found.append(f"{len(self.log)} warnings" + "".join(f" {line[:300]}" for line in self.log[:2]))
        return found


def ended(server: gateway.Server, patience: float = 2) -> bool:
    """Whether the process is gone; one that dies closes its connections a little earlier."""
    try:
        server.process.wait(patience)
    except subprocess.TimeoutExpired:
        return False
    return True


def flips(damaged: Damaged, source: random.Random, out: report.Report, rounds: int) -> None:
    """Bytes of the chunks alone, so that each damage must be found by its checksum."""
    tally = report.Tally()
    found = expected = 0
    for number in range(rounds):
        damaged.restore()
        pages = list(damaged.pages.items())
        positions = []
        for _ in range(FLIPS):
            page, length = source.choice(pages)
            positions.append(page * PAGE + 16 + source.randrange(length))
        damaged.flip(positions)
        outcome = Outcome(damaged, counts=True)
        tally.expect(not (faults := outcome.faults(range(1))), f"round {number}: {faults}")
        tally.expect(not outcome.deaths, f"round {number}: died")
        wanted = damaged.hit_chunks(positions)
        tally.expect(outcome.corrupt == wanted or outcome.set_aside,
                     f"round {number}: {outcome.corrupt:.0f} of {wanted} counted")
        found += int(outcome.corrupt)
        expected += wanted
    tally.into(out, f"{FLIPS} bytes flipped in chunks: each is found, and right bytes served",
               f"{found} of {expected} corrupt chunks counted")


def anywhere(damaged: Damaged, source: random.Random, out: report.Report, rounds: int, what: str, choose) -> None:
    """Bytes that LMDB itself reads may be among them: wrong bytes never come, whatever becomes of the cache."""
    tally = report.Tally()
    set_aside = corrupt = deaths = wrong = 0
    for number in range(rounds):
        damaged.restore()
        positions = choose(source, damaged)
        damaged.flip(positions)
        counts = not damaged.is_structure(positions)
        outcome = Outcome(damaged, counts)
        tally.expect(not (faults := outcome.faults(range(1000))), f"round {number}: {faults}")
        if counts:
            wanted = damaged.hit_chunks(positions)
            tally.expect(outcome.corrupt == wanted, f"round {number}: {outcome.corrupt:.0f} of {wanted} counted")
        set_aside += outcome.set_aside
        corrupt += int(outcome.corrupt)
        deaths += outcome.deaths
        wrong += outcome.seen.wrong
    figures = (f"{wrong} wrong bytes, {set_aside} of {rounds} set aside, {corrupt} corrupt chunks counted, "
               f"the process died {deaths} times")
    tally.into(out, f"{what}: right bytes, and hits afterwards", figures)
    out.check(deaths == 0, f"{what}: the process lives", figures)


def behind_meta(source: random.Random, damaged: Damaged) -> list[int]:
    return [source.randrange(2 * PAGE, damaged.size) for _ in range(FLIPS)]


def everywhere(source: random.Random, damaged: Damaged) -> list[int]:
    return [source.randrange(damaged.size) for _ in range(FLIPS)]


def chunk_heads(source: random.Random, damaged: Damaged) -> list[int]:
    """In LMDB's own head of chunks, by which it frees them, and in the same chunks, so that they have to go."""
    pages = source.sample(list(damaged.pages), 10)
    return [page * PAGE + source.randrange(16) for page in pages] + [page * PAGE + 5000 for page in pages]


def inner_pages(source: random.Random, damaged: Damaged) -> list[int]:
    """In the pages by which LMDB finds the chunks."""
    return [page * PAGE + source.randrange(PAGE) for page in source.choices(damaged.inner, k=20)]


def inner_heads(source: random.Random, damaged: Damaged) -> list[int]:
    """In the head and the list of nodes of one such page."""
    page = source.choice(damaged.inner)
    return [page * PAGE + source.randrange(64) for _ in range(3)]


def evicted_heads(damaged: Damaged, source: random.Random, out: report.Report, rounds: int) -> None:
    """LMDB's head of whole chunks is damaged, which no checksum tells, and then they are evicted, which frees by it."""
    server = damaged.server
    others = [content.write(server.root / f"other {n:02}.bin", 4 * MIB) for n in range(24)]
    tally = report.Tally()
    wrong = deaths = 0
    for number in range(rounds):
        damaged.restore()
        for page in source.sample(list(damaged.pages), 20):
            _overwrite(damaged.data, page * PAGE + 12, struct.pack("<I", 81))  # pages, of which there are 65
        server.start()
        seen = cache_probe.read_all(server, damaged.files)
        for first in range(0, len(others), 4):
            # The last ones are hot: they must not be touched by what the evictions free.
            seen.add(cache_probe.read_all(server, others[max(first - 4, 0):first + 4] + damaged.files[-5:]))
        died = ended(server, 0.2)
        tally.expect(not died and not (seen.wrong or seen.faults or seen.broken), f"round {number}: {seen}")
        wrong += seen.wrong
        deaths += died
        if not died:
            damaged.stop()
    tally.into(out, "pages counted wrongly in LMDB's head of 20 chunks that are then evicted: right bytes",
               f"{wrong} wrong bytes, the process died {deaths} times")


def whole_files(damaged: Damaged, out: report.Report) -> None:
    """The file as a whole is something else."""
    size = damaged.size
    one, quiet = range(1, 2), range(2)
    for what, damage, warnings in (
        ("cut to nothing", lambda: _cut(damaged.data, 0), quiet),
        ("cut to one page", lambda: _cut(damaged.data, PAGE), one),
        ("cut to two pages", lambda: _cut(damaged.data, 2 * PAGE), one),
        ("cut to a third", lambda: _cut(damaged.data, size // 3), one),
        ("cut in the middle of a page", lambda: _cut(damaged.data, size // 2 + 1), one),
        ("a text", lambda: damaged.data.write_text("This is not a database.\n" * 1000), one),
        ("zeros", lambda: damaged.data.write_bytes(bytes(size)), one),
        ("a directory", lambda: _directory(damaged.data), one),
        ("a link to nowhere", lambda: _link(damaged.data, damaged.place / "nowhere"), quiet),
        ("the first meta page zeroed", lambda: _overwrite(damaged.data, 0, bytes(PAGE)), one),
        ("the second meta page zeroed", lambda: _overwrite(damaged.data, PAGE, bytes(PAGE)), one),
        ("both meta pages random", lambda: _overwrite(damaged.data, 0, random.Random(1).randbytes(2 * PAGE)), one),
        ("the chunks are another file's", lambda: _overwrite(
            damaged.data, 2 * PAGE, random.Random(2).randbytes(size - 2 * PAGE)), range(1, 1000)),
        ("data.mdb.bad is in the way, and a directory", lambda: _in_the_way(damaged), one),
        ("lock.mdb is a text", lambda: (damaged.place / "lock.mdb").write_text("no lock\n" * 2000), quiet),
    ):
        with out.guarded(f"data.mdb: {what}"):
            damaged.restore()
            damage()
            began = time.monotonic()
            outcome = Outcome(damaged)
            faults = outcome.faults(warnings)
            out.check(not faults and not outcome.deaths,
                      f"data.mdb: {what}: starts, serves right bytes, hits afterwards",
                      f"{len(outcome.log)} warnings, {'' if outcome.set_aside else 'not '}set aside, died "
                      f"{outcome.deaths} times, {time.monotonic() - began:.1f} s" + "".join(f"; {f}" for f in faults))


def meta_fields(damaged: Damaged, source: random.Random, out: report.Report, rounds: int) -> None:
    """One field of a meta page is another number."""
    tally = report.Tally()
    set_aside = deaths = 0
    fields = [(page, offset) for page in (0, PAGE) for offset in range(0, 152, 8)]
    for page, offset in source.sample(fields, min(rounds, len(fields))):
        damaged.restore()
        _overwrite(damaged.data, page + offset, source.randbytes(source.choice((1, 2, 8))))
        outcome = Outcome(damaged)
        what = f"page {page // PAGE}, {offset}"
        tally.expect(not (faults := outcome.faults(range(1000))), f"{what}: {faults}")
        tally.expect(not outcome.deaths, f"{what}: died {outcome.deaths} times")
        set_aside += outcome.set_aside
        deaths += outcome.deaths
    tally.into(out, "a field of a meta page is another number: right bytes, and hits afterwards",
               f"{set_aside} set aside, the process died {deaths} times")


def _cut(file: Path, size: int) -> None:
    with open(file, "r+b") as data:
        data.truncate(size)


def _overwrite(file: Path, position: int, data: bytes) -> None:
    with open(file, "r+b") as target:
        target.seek(position)
        target.write(data)


def _directory(file: Path) -> None:
    file.unlink()
    file.mkdir()
    (file / "something").write_text("in it")


def _link(file: Path, target: Path) -> None:
    file.unlink()
    file.symlink_to(target)


def _in_the_way(damaged: Damaged) -> None:
    _cut(damaged.data, PAGE)
    bad = damaged.place / "data.mdb.bad"
    bad.mkdir()
    (bad / "something").write_text("in it")


def main(out: report.Report, quick: bool) -> None:
    seed = cache_probe.seed()
    print(f"      cache_damage: seed {seed}", flush=True)
    source = random.Random(seed)
    with gateway.folder() as root, gateway.folder("kept.") as kept:
        # What is damaged is to be found by those who read it.
        server = cache_probe.server(root, chunk=f"{CHUNK}B", more='policy = "lru"\nscrub_rate = "0"')
        try:
            damaged = Damaged(server, root, kept / "cache")
            out.check(len(damaged.pages) == damaged.chunks, "every chunk is found in the file",
                      f"{len(damaged.pages)} of {damaged.chunks}, {FILES} files, seed {seed}")
            with out.guarded("flips in chunks"):
                flips(damaged, source, out, 2 if quick else 20)
            for what, choose, rounds in (
                (f"{FLIPS} bytes flipped behind the meta pages", behind_meta, 2 if quick else 20),
                (f"{FLIPS} bytes flipped anywhere", everywhere, 2 if quick else 20),
                ("a byte flipped in LMDB's head of each of 10 corrupt chunks", chunk_heads, 3 if quick else 40),
                ("20 bytes flipped in inner pages", inner_pages, 3 if quick else 40),
                ("3 bytes flipped in the head of an inner page", inner_heads, 3 if quick else 40),
            ):
                with out.guarded(what):
                    anywhere(damaged, source, out, rounds, what, choose)
            with out.guarded("heads of evicted chunks"):
                evicted_heads(damaged, source, out, 2 if quick else 10)
            with out.guarded("meta fields"):
                meta_fields(damaged, source, out, 6 if quick else 38)
            whole_files(damaged, out)
        finally:
            server.__exit__()


if __name__ == "__main__":
    report.run(main, 1800)
