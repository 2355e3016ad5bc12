"""What the cache saves: a second request reads nothing of the source, many at once read it once; heads are equal."""

from __future__ import annotations

import threading
from pathlib import Path

import cache_probe
import content
import gateway
import report
from content import KIB, MIB
from wire import Connection, Reply, fetch

CLIENTS = 50
CHUNK = 256 * KIB
DIFFERENT = ("date", "server-timing", "x-request-id", "cache-status")

# Of an object of three chunks and a bit: the range, and the chunks it touches.
SIZE = 3 * CHUNK + 1000
RANGES = (
    (None, 4),
    ("bytes=0-", 4),
    ("bytes=0-0", 1),
    ("bytes=1000-2000", 1),
    (f"bytes={CHUNK - 1}-{CHUNK}", 2),
    (f"bytes={CHUNK}-{2 * CHUNK - 1}", 1),
    ("bytes=-1", 1),
    ("bytes=-2000", 2),
)


def second_is_a_hit(server: gateway.Server, root: Path, tally: report.Tally) -> None:
    for number, (value, chunks) in enumerate(RANGES):
        file = content.write(root / f"twice {number}.bin", SIZE)
        fields = [("Range", value)] if value else []
        cold = fetch(server.address, server.path(file.name), fields=fields)
        before = cache_probe.settled(server)
        hot = fetch(server.address, server.path(file.name), fields=fields)
        after = cache_probe.settled(server)
        what = value or "whole"
        hits = after.lookups["hit"] - before.lookups["hit"]
        tally.expect("fwd=miss" in (cold.header("cache-status") or ""), f"{what}: cold {cold.header('cache-status')}")
        tally.expect((hot.header("cache-status") or "").endswith("; hit"), f"{what}: hot {hot.header('cache-status')}")
        tally.expect(hits == chunks, f"{what}: {hits:.0f} hits, not {chunks}")
        tally.expect(after.source_bytes == before.source_bytes, f"{what}: read of the source")
        tally.expect(after.source_requests == before.source_requests, f"{what}: the source was asked")
        tally.expect(bool(hot.body) and hot.body == cold.body == _part(file, value), f"{what}: bytes")


def hits_after_restart(server: gateway.Server, files: list[Path], out: report.Report) -> None:
    """What an earlier process left is hit, and counted like any hit."""
    cache_probe.read_all(server, files)
    held = cache_probe.settled(server)("cache_chunks")
    chunks = sum((file.stat().st_size + CHUNK - 1) // CHUNK for file in files)
    server.restart()
    before = cache_probe.await_chunks(server, held)
    seen = cache_probe.read_all(server, files)
    after = cache_probe.settled(server)
    read = after.source_bytes - before.source_bytes
    out.check(read == 0 and not seen.faults and after.source_requests == before.source_requests,
              "after a restart everything hits, and nothing is read of the source", f"{read:.0f} bytes read, {seen}")
    hits = after.lookups["hit"] - before.lookups["hit"]
    out.check(hits == chunks, "after a restart each chunk that hits is counted once", f"{hits:.0f} of {chunks}")


def _part(file: Path, value: str | None) -> bytes:
    data = file.read_bytes()
    if value is None:
        return data
    first, _, last = value.removeprefix("bytes=").partition("-")
    if not first:
        return data[-int(last):]
    return data[int(first):int(last) + 1 if last else None]


def heads_stay(server: gateway.Server, root: Path, tally: report.Tally) -> None:
    file = content.write(root / "validated.mkv", SIZE)
    etag = fetch(server.address, server.path(file.name), "HEAD").header("etag") or ""
    requests: list[tuple[str, str, list[tuple[str, str]]]] = [
        ("GET", "", [("Range", value)] if value else []) for value, _ in RANGES]
    requests += [
        ("HEAD", "", []),
        ("HEAD", "", [("Range", "bytes=5-9")]),
        ("GET", "?download", []),
        ("GET", "", [("Range", f"bytes={SIZE}-")]),
        ("GET", "", [("Range", "bytes=9-5")]),
        ("GET", "", [("Range", "bytes=0-1,5-6")]),
        ("GET", "", [("If-None-Match", "SAME")]),
        ("GET", "", [("If-Match", '"another"')]),
        ("GET", "", [("Range", "bytes=5-9"), ("If-Range", "SAME")]),
        ("GET", "", [("Range", "bytes=5-9"), ("If-Range", '"another"')]),
        ("GET", "", [("Origin", "http://a.example"), ("Range", "bytes=5-9")]),
    ]
    tally.expect(etag.startswith('"'), f"etag {etag}")
    for number, (method, query, fields) in enumerate(requests):
        # Each is cold once.
        asked = content.write(root / f"head {number}.mkv", SIZE, "head")
        fields = [(name, _etag(server, asked) if value == "SAME" else value) for name, value in fields]
        cold = fetch(server.address, server.path(asked.name) + query, method, fields)
        fetch(server.address, server.path(asked.name))
        cache_probe.settled(server)
        hot = fetch(server.address, server.path(asked.name) + query, method, fields)
        what = f"{method} {query} {fields}"
        tally.expect(cold.status == hot.status, f"{what}: {cold.status}, then {hot.status}")
        tally.expect(_comparable(cold) == _comparable(hot),
                     f"{what}: {sorted(set(_comparable(cold)) ^ set(_comparable(hot)))}")
        tally.expect(cold.body == hot.body, f"{what}: bodies")


def _etag(server: gateway.Server, file: Path) -> str:
    return fetch(server.address, server.path(file.name), "HEAD").header("etag") or ""


def _comparable(reply: Reply) -> list[tuple[str, str]]:
    return sorted(field for field in reply.fields if field[0] not in DIFFERENT)


def many_at_once(server: gateway.Server, file: Path) -> cache_probe.Result:
    """Fifty clients that send in the same moment."""
    expected = memoryview(file.read_bytes())
    barrier = threading.Barrier(CLIENTS)
    lock = threading.Lock()
    whole = cache_probe.Result()

    def client(number: int) -> None:
        seen = cache_probe.Result()
        try:
            with Connection(server.address, timeout=60) as connection:
                barrier.wait(30)
                connection.send(f"GET {server.path(file.name)} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
                length = int(connection.head_only().header("content-length") or -1)
                position = 0
                while position < length:
                    part = connection.read_some(min(MIB, length - position))
                    if not part:
                        break
                    seen.note(part, expected[position:position + len(part)], f"client {number} at {position}")
                    position += len(part)
            if position == len(expected) == length:
                seen.answers = 1
            else:
                seen.faults.append(f"client {number}: {position} of {length} bytes")
        except Exception as error:  # told as this client's fault
            seen.faults.append(f"client {number}: {type(error).__name__} {error}")
        with lock:
            whole.add(seen)

    clients = [threading.Thread(target=client, args=(number,), daemon=True) for number in range(CLIENTS)]
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join(120)
    return whole


def main(out: report.Report, quick: bool) -> None:
    size = (10 if quick else 40) * MIB
    with gateway.folder() as root:
        with cache_probe.server(root) as server:
            tally = report.Tally()
            second_is_a_hit(server, root, tally)
            tally.into(out, "a second request is a hit, by its field, by /metrics, and by what is read of the source",
                       f"{len(RANGES)} ranges")
            tally = report.Tally()
            heads_stay(server, root, tally)
            tally.into(out, "answers are the same cold and hot but for Date, Server-Timing, X-Request-Id, Cache-Status")
            files = [content.write(root / f"left {n}.bin", 8 * CHUNK - n) for n in range(10)]
            hits_after_restart(server, files, out)
        with cache_probe.server(root, chunk="1MiB") as server:
            file = content.write(root / "film.bin", size)
            before = cache_probe.settled(server)
            seen = many_at_once(server, file)
            after = cache_probe.settled(server)
            read = after.source_bytes - before.source_bytes
            out.check(seen.answers == CLIENTS and not seen.faults and read == size,
                      f"{CLIENTS} clients at once on a cold object read it of the source once",
                      f"{read / MIB:.2f} of {size / MIB:.0f} MiB in "
                      f"{after.source_requests - before.source_requests:.0f} reads, {seen}")


if __name__ == "__main__":
    report.run(main)
