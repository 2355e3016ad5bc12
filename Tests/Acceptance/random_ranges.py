"""Random ranges over many files from several clients at once: every byte compared with the file.

``ACCEPTANCE_SEED`` repeats a run.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import time
from pathlib import Path

import content
import gateway
import report
from content import KIB, MIB
from wire import Connection, WireError

CLIENTS = 8


def random_range(source: random.Random, size: int) -> tuple[str, int, int]:
    """A specifier, and the half-open range it asks for; lengths from one byte to 2 MiB, evenly by magnitude."""
    length = min(int(2 ** source.uniform(0, 21)), size)
    first = source.randrange(size - length + 1)
    if source.random() < 0.2:  # at a border of a chunk or a piece, give or take a byte
        border = source.choice((256 * KIB, MIB)) * source.randrange(9) + source.randint(-1, 1)
        first = min(max(border, 0), size - length)
    form = source.random()
    if form < 0.1:
        return f"bytes=-{length}", size - length, size
    if form < 0.2 and size - first <= 2 * MIB:
        return f"bytes={first}-", first, size
    return f"bytes={first}-{first + length - 1}", first, first + length


def client(address: tuple[str, int], paths: list[tuple[str, str]], seed: str, count: int, results) -> None:
    """Asks ``count`` times, and puts (answers, cut short by us, bytes compared, bytes wrong, faults)."""
    source = random.Random(seed)
    files = [(path, os.open(file, os.O_RDONLY)) for path, file in paths]
    done = cut = compared = wrong = 0
    faults: list[str] = []
    connection: Connection | None = None
    for _ in range(count):
        path, file = source.choice(files)
        value, first, end = random_range(source, os.fstat(file).st_size)
        leave = source.random() < 0.05  # as a player does that seeks
        try:
            connection = connection or Connection(address)
            connection.send(f"GET {path} HTTP/1.1\r\nHost: a\r\nRange: {value}\r\n\r\n".encode())
            if leave:
                reply = connection.head_only()
                body = connection.read_some(1 + source.randrange(64 * KIB))[:end - first]
                end = first + len(body)
                connection.reset()
                connection = None
                cut += 1
            else:
                reply = connection.reply()
                body = reply.body
        except (WireError, OSError) as error:
            faults.append(f"{path} {value}: {error}")
            connection = None
            continue
        if reply.status != 206 or len(body) != end - first:
            faults.append(f"{path} {value}: {reply.status}, {len(body)} bytes")
            continue
        expected = os.pread(file, end - first, first)
        if body != expected:
            wrong += sum(a != b for a, b in zip(body, expected))
            faults.append(f"{path} {value}: wrong bytes")
        compared += len(body)
        done += 1
    results.put((done, cut, compared, wrong, faults))


def main(out: report.Report, quick: bool) -> None:
    count = 4_000 if quick else 20_000
    seed = os.environ.get("ACCEPTANCE_SEED") or str(random.SystemRandom().randrange(10**9))
    print(f"      random ranges: seed {seed}", flush=True)
    source = random.Random(seed)
    with gateway.folder() as root:
        sizes = [1, 2, MIB, MIB + 1, 8 * MIB - 1] + [int(2 ** source.uniform(8, 23.3)) for _ in range(45)]
        files = [content.write(root / f"{n:02} {size}.bin", size, f"{seed} {n}") for n, size in enumerate(sizes)]
        with gateway.server(root) as server:
            began = time.monotonic()
            done, cut, compared, wrong, faults = _clients(server, files, seed, count)
            took = time.monotonic() - began
            alive = server.process.poll() is None
    figures = (f"{done} ranges, {cut} left midway, {len(files)} files, {CLIENTS} clients, "
               f"{compared / MIB:.0f} MiB compared, {wrong} wrong bytes, {took:.0f} s, seed {seed}")
    if faults:
        figures += f", {len(faults)} faults: " + "; ".join(faults[:3])
    out.check(done == count and wrong == 0 and not faults and alive, "random ranges", figures)


def _clients(server: gateway.Server, files: list[Path], seed: str, count: int):
    results = multiprocessing.Queue()
    paths = [(server.path(file.name), str(file)) for file in files]
    workers = []
    for number in range(CLIENTS):
        share = count // CLIENTS + (1 if number < count % CLIENTS else 0)
        arguments = (server.address, paths, f"{seed} client {number}", share, results)
        workers.append(multiprocessing.Process(target=client, args=arguments, daemon=True))
    for worker in workers:
        worker.start()
    gathered = [results.get(timeout=600) for _ in workers]
    for worker in workers:
        worker.join(10)
    return tuple(sum((entry[n] for entry in gathered), [] if n == 4 else 0) for n in range(5))


if __name__ == "__main__":
    report.run(main)
