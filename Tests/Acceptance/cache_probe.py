"""What the cache checks look at: the metrics page, the admin's list of chunks, the database file; and their readers."""

from __future__ import annotations

import functools
import json
import multiprocessing
import os
import random
import re
import struct
import time
from pathlib import Path

import gateway
from content import KIB, MIB
from wire import Connection, ShortBody, WireError, fetch

PAGE = 4 * KIB


def server(root: Path, size: str = "64MiB", chunk: str = "256KiB", more: str = "", **options) -> gateway.Server:
    """A gateway with a cache; ``more`` are further lines of ``[cache]``."""
    return gateway.Server(root, config=f'[cache]\nsize = "{size}"\nchunk_size = "{chunk}"\n{more}\n', **options)


def directory(server: gateway.Server) -> Path:
    return server.home / "var" / "cache"


@functools.cache
def seed() -> str:
    """``ACCEPTANCE_SEED``, or a new one; the same throughout a run."""
    return os.environ.get("ACCEPTANCE_SEED") or str(random.SystemRandom().randrange(10**9))


# Metrics


class Metrics:
    """One page of ``/metrics``."""

    def __init__(self, page: str) -> None:
        self._series = [
            (name, labels or "", float(value))
            for name, labels, value in re.findall(
                r"^media_gateway_((?:cache|source|log_messages|event_loop|torrent|http_(?:connections|origin))\w*)(?:\{(.*)\})? (\S+)$", page, re.MULTILINE)
        ]

    def __call__(self, name: str, **labels: str) -> float:
        """The sum of the series of ``media_gateway_NAME`` that bear these labels, of which there must be one."""
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        found = [value for series, borne, value in self._series
                 if series == name and all(label in borne.split(",") for label in wanted)]
        if not found:
            raise LookupError(f"no metric {name} {labels or ''}")
        return sum(found)

    @property
    def stored(self) -> float:
        """Chunks that were written and not removed since the start."""
        return self("cache_insertions_total") - self("cache_evictions_total")

    @property
    def evicted(self) -> float:
        """Chunks that went to make room."""
        return self("cache_evictions_total", reason="space")

    @property
    def corrupt(self) -> float:
        return self("cache_corrupt_total")

    @property
    def source_bytes(self) -> float:
        return self("source_read_bytes_total", source="media")

    @property
    def source_requests(self) -> float:
        return self("source_requests_total", source="media")

    @property
    def lookups(self) -> dict[str, float]:
        results = ("hit", "miss", "collapsed", "bypass")
        return {result: self("cache_requests_total", result=result) for result in results}


def metrics(server: gateway.Server, connection: Connection | None = None) -> Metrics:
    reply = connection.get("/metrics") if connection else fetch(admin(server), "/metrics")
    if reply.status != 200:
        raise WireError(f"/metrics answered {reply}")
    return Metrics(reply.body.decode())


def admin(server: gateway.Server) -> tuple[str, int]:
    return ("127.0.0.1", server.admin_port)


def settled(server: gateway.Server, patience: float = 20) -> Metrics:
    """The metrics once nothing is fetched or written any more."""
    until = time.monotonic() + patience
    last = metrics(server)
    while True:
        time.sleep(0.02)
        now = metrics(server)
        still = now.stored == last.stored and now.source_bytes == last.source_bytes
        if still and now("cache_write_queue_bytes") == 0 and now("cache_fill_bytes") == 0:
            return now
        if time.monotonic() > until:
            raise TimeoutError(f"{now('cache_write_queue_bytes'):.0f} bytes wait to be written and "
                               f"{now('cache_fill_bytes'):.0f} to be fetched after {patience} s")
        last = now


def await_chunks(server: gateway.Server, count: float, patience: float = 5) -> Metrics:
    """The metrics once the cache knows of ``count`` chunks, or after ``patience`` seconds."""
    until = time.monotonic() + patience
    while True:
        now = metrics(server)
        if now("cache_chunks") >= count or time.monotonic() > until:
            return now
        time.sleep(0.01)


def emptied(server: gateway.Server, patience: float = 20) -> None:
    """Has the cache forget everything, and waits until it has. The file stays, as it would not if all of it were purged
    at once: what comes next goes to pages that were used before."""
    for source in json.loads(fetch(admin(server), "/admin/v1/cache").body)["sources"]:
        fetch(admin(server), f"/admin/v1/cache/purge?scope=source&source={source['name']}", "POST")
    until = time.monotonic() + patience
    while (left := settled(server)("cache_chunks")) > 0:
        if time.monotonic() > until:
            raise TimeoutError(f"{left:.0f} chunks are there {patience} s after a purge")


def filled(server: gateway.Server, read, count: int, tries: int = 20) -> None:
    """Calls ``read`` until the cache has ``count`` chunks: what comes too fast is not stored the first time."""
    for _ in range(tries):
        read()
        held = settled(server)("cache_chunks")
        if held == count:
            return
    raise RuntimeError(f"{held:.0f} of {count} chunks are stored after {tries} reads")


# What is stored


def stored_ranges(server: gateway.Server) -> list[tuple[str, int, int]]:
    """Every run of stored chunks: the object's path, and a half-open range of its bytes."""
    ranges = []
    for item in _document(server, "/admin/v1/cache/items?sort=name&limit=10000")["items"]:
        detail = _document(server, f"/admin/v1/cache/items/{item['number']}")
        chunk = detail["chunk_size"]
        for run in detail["stored"]:
            first = run["first"] * chunk
            ranges.append((item["path"], first, min(first + run["count"] * chunk, item["size"])))
    return sorted(ranges)


def _document(server: gateway.Server, target: str):
    reply = fetch(admin(server), target)
    if reply.status != 200:
        raise WireError(f"{target} answered {reply}: {reply.body[:200]!r}")
    return json.loads(reply.body)


# The log


def lines(server: gateway.Server) -> list[str]:
    """Warnings and errors in the log, but for those of requests that took long."""
    levels = ('"level":"warning"', '"level":"error"', '"level":"critical"')
    return [line.strip() for line in list(server.output)
            if any(level in line for level in levels) and '"message":"slow request"' not in line]


# The database file


def used_bytes(file: Path) -> int:
    """How far pages of the file were ever used, by the newer of its two meta pages."""
    with open(file, "rb") as data:
        pages = data.read(2 * PAGE)
    newest = max((struct.unpack_from("<QQ", pages, page + 136)[::-1] for page in (0, PAGE)
                  if len(pages) >= page + 152), default=(0, 0))
    return (newest[1] + 1) * PAGE


def drop_from_memory(file: Path) -> None:
    """Has the kernel keep nothing of a file in memory that nobody has open."""
    descriptor = os.open(file, os.O_RDWR)
    try:
        # What is not written yet cannot be dropped.
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


def chunk_pages(file: Path) -> dict[int, int]:
    """Where chunks begin in a file that never had one removed, by page, and the bytes of each with its header."""
    data = file.read_bytes()
    found = {}
    page = 2
    while (page + 1) * PAGE <= len(data):
        start = page * PAGE
        number, _, flags, count = struct.unpack_from("<QHHI", data, start)
        if number == page and flags == 4 and data[start + 16:start + 20] == b"MGCH":
            found[page] = 16 + struct.unpack_from("<I", data, start + 20)[0]
            page += count
        else:
            page += 1
    return found


# Readers


class Random:
    """What a reader asks for: a file by its weight, and a range of it."""

    def __init__(self, files: list[Path], weights: list[float], chunk: int, longest: int = MIB) -> None:
        self.files = files
        self.weights = weights
        self.chunk = chunk
        self.longest = longest

    def choose(self, source: random.Random, sizes: list[int]) -> tuple[int, int, int]:
        """The number of the file and a half-open range; half of them cross a border of chunks, if one is there."""
        number = source.choices(range(len(sizes)), self.weights)[0]
        size = sizes[number]
        length = min(int(self.longest ** source.random()), size)
        first = source.randrange(size - length + 1)
        if source.random() < 0.5 and size > self.chunk and length > 1:
            border = self.chunk * source.randrange(1, (size - 1) // self.chunk + 1)
            first = min(max(border - source.randrange(1, length), 0), size - length)
        return number, first, first + length


class Readers:
    """Processes that ask for random ranges and compare each byte that comes, until they are stopped or have done."""

    def __init__(self, server: gateway.Server, plan: Random, seed: str, clients: int, count: int | None = None,
                 pause: float = 0) -> None:
        """``count``: answers for all of them together; ``pause``: seconds between two requests of one, on average."""
        self._stop = multiprocessing.Event()
        self._results = multiprocessing.Queue()
        self._processes = [
            multiprocessing.Process(target=_read, daemon=True, args=(
                server.address, [server.path(file.name) for file in plan.files], plan, f"{seed} reader {number}",
                None if count is None else count // clients + (number < count % clients), pause, self._stop,
                self._results))
            for number in range(clients)
        ]

    def __enter__(self) -> "Readers":
        for process in self._processes:
            process.start()
        return self

    def __exit__(self, *_) -> None:
        self._stop.set()
        for process in self._processes:
            process.join(5)
            if process.is_alive():
                process.kill()

    @property
    def running(self) -> bool:
        """Whether one of them has not told its result."""
        return self._results.qsize() < len(self._processes)

    def stop(self, patience: float = 30) -> "Result":
        self._stop.set()
        return self.wait(patience)

    def wait(self, patience: float = 600) -> "Result":
        whole = Result()
        for _ in self._processes:
            whole.add(self._results.get(timeout=patience))
        return whole


class Result:
    """What readers saw."""

    def __init__(self) -> None:
        self.answers = 0
        self.compared = 0
        self.wrong = 0
        # Connections that ended before the answer did, or were refused.
        self.broken = 0
        # Ranges with bytes in more than one chunk.
        self.crossing = 0
        self.faults: list[str] = []

    def add(self, other: "Result") -> None:
        self.answers += other.answers
        self.compared += other.compared
        self.wrong += other.wrong
        self.broken += other.broken
        self.crossing += other.crossing
        self.faults += other.faults

    def note(self, body: bytes, expected: bytes, where: str) -> None:
        """Compares as much as came."""
        self.compared += len(body)
        if body != expected[:len(body)]:
            wrong = sum(a != b for a, b in zip(body, expected)) + max(len(body) - len(expected), 0)
            self.wrong += wrong
            self.faults.append(f"{where}: {wrong} wrong bytes")

    def __str__(self) -> str:
        text = f"{self.answers} answers, {self.compared / MIB:.0f} MiB compared, {self.wrong} wrong bytes"
        if self.broken:
            text += f", {self.broken} cut off"
        if self.faults:
            text += f", {len(self.faults)} faults: " + "; ".join(self.faults[:3])
        return text


def _read(address, paths: list[str], plan: Random, seed: str, count: int | None, pause: float, stop,
          results) -> None:
    source = random.Random(seed)
    files = [os.open(file, os.O_RDONLY) for file in plan.files]
    sizes = [os.fstat(file).st_size for file in files]
    seen = Result()
    connection: Connection | None = None
    while not stop.is_set() and (count is None or seen.answers + len(seen.faults) + seen.broken < count):
        number, first, end = plan.choose(source, sizes)
        where = f"{paths[number]} {first}-{end - 1}"
        expected = os.pread(files[number], end - first, first)
        try:
            connection = connection or Connection(address)
            reply = connection.get(paths[number], fields=[("Range", f"bytes={first}-{end - 1}")])
            if reply.status != 206 or len(reply.body) != end - first:
                seen.faults.append(f"{where}: {reply}")
            else:
                seen.note(reply.body, expected, where)
                seen.answers += 1
                seen.crossing += first // plan.chunk != (end - 1) // plan.chunk
        except ShortBody as error:
            seen.note(error.reply.body, expected, where)
            seen.broken += 1
            connection = None
        except TimeoutError:
            seen.faults.append(f"{where}: no byte for 20 s")
            connection = None
        except (WireError, OSError):
            seen.broken += 1
            connection = None
            time.sleep(0.01)
        if pause:
            stop.wait(2 * pause * source.random())
    results.put(seen)


def read_all(server: gateway.Server, files: list[Path]) -> Result:
    """Each file whole, in turn."""
    seen = Result()
    connection = None
    for file in files:
        expected = file.read_bytes()
        try:
            connection = connection or Connection(server.address, timeout=30)
            reply = connection.get(server.path(file.name))
            if reply.status != 200 or len(reply.body) != len(expected):
                seen.faults.append(f"{file.name}: {reply}")
            seen.note(reply.body, expected, file.name)
            seen.answers += 1
        except ShortBody as error:
            seen.note(error.reply.body, expected, file.name)
            seen.broken += 1
            connection = None
        except (WireError, OSError) as error:
            seen.faults.append(f"{file.name}: {type(error).__name__} {error}")
            connection = None
    return seen


def read_ranges(server: gateway.Server, root: Path, ranges: list[tuple[str, int, int]]) -> Result:
    """Ranges as ``stored_ranges`` gives them."""
    seen = Result()
    with Connection(server.address, timeout=30) as connection:
        for name, first, end in ranges:
            with open(root / name, "rb") as file:
                expected = os.pread(file.fileno(), end - first, first)
            reply = connection.get(server.path(name), fields=[("Range", f"bytes={first}-{end - 1}")])
            if reply.status != 206 or len(reply.body) != len(expected):
                seen.faults.append(f"{name} {first}-{end - 1}: {reply}")
            seen.note(reply.body, expected, f"{name} {first}-{end - 1}")
            seen.answers += 1
    return seen


def hits_again(server: gateway.Server, files: list[Path], patience: float = 0) -> tuple[Result, float, float]:
    """Reads files until all of them hit: a second time, and then again for ``patience`` seconds.

    What was seen the last time, what that read of the source, and the seconds it took to get there.
    """
    began = time.monotonic()
    read_all(server, files)
    while True:
        before = settled(server)
        seen = read_all(server, files)
        after = settled(server)
        left = after.source_bytes - before.source_bytes
        took = time.monotonic() - began
        if (left == 0 and after.lookups["bypass"] == before.lookups["bypass"]) or took > patience or seen.faults:
            return seen, left, took
        time.sleep(0.1)
