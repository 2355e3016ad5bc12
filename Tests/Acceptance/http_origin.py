"""HTTP origins: right bytes through the cache, each byte asked for once, an origin that dies, and one tier behind another."""

from __future__ import annotations

import random
import re
import threading
import time
from pathlib import Path
from urllib.parse import quote

import content
import gateway
import report
from content import MIB
from wire import Connection, WireError, fetch, until_hit

CHUNK = MIB
MOUNT = "/origin"
GIB = 1 << 30


class OriginGateway(gateway.Server):
    """A gateway with an http source at ``/origin``."""

    def __init__(self, root: Path, base: str, mount: str = MOUNT, prefix: list[str] | None = None,
                 **options: str) -> None:
        lines = [f'{name} = "{value}"' for name, value in {"base_url": base, **options}.items()]
        super().__init__(root, config="\n".join(
            ['[cache]', 'min_free_disk = "0B"', '[sources.origin]', 'kind = "http"', f'mount = "{mount}"',
             '[sources.origin.options]', *lines, ""]), prefix=prefix)

    @staticmethod
    def at_origin(name: str) -> str:
        return f"{MOUNT}/{quote(name)}"

    def url_of(self, mount: str) -> str:
        return f"{self.origin}{mount}/"


def base_of(nginx: gateway.Server) -> str:
    return f"{nginx.origin}{gateway.MOUNT}/"


def sent(nginx: gateway.Server) -> list[tuple[int, int]]:
    """Status and bytes of each answer of nginx so far."""
    time.sleep(0.2)  # nginx writes its log when an answer is over
    lines = (nginx.home / "access.log").read_text().splitlines()
    return [(int(status), int(count)) for status, count in re.findall(r'" (\d{3}) (\d+) ', "\n".join(lines))]


def ranges(root: Path, nginx: gateway.Server, out: report.Report, quick: bool) -> None:
    """Random ranges of files with odd sizes and names, cold and then warm."""
    generator = random.Random(7)
    files = [content.write(root / name, size, seed) for seed, (name, size) in enumerate((
        ("film.mkv", 5 * MIB + 17), ("one chunk.bin", CHUNK), ("ü 100%?#.mp4", 2 * MIB + 1), ("byte.bin", 1)))]
    count, wrong, compared = 300 if quick else 3000, [], 0
    with OriginGateway(root, base_of(nginx)) as server:
        for _ in range(count):
            file = generator.choice(files)
            size = file.stat().st_size
            first = generator.randrange(size)
            last = min(first + generator.choice((0, 1, 1000, CHUNK, 3 * CHUNK)), size - 1)
            reply = fetch(server.address, server.at_origin(file.name), fields=[("Range", f"bytes={first}-{last}")])
            with file.open("rb") as handle:
                handle.seek(first)
                expected = handle.read(last - first + 1)
            compared += len(expected)
            if reply.status != 206 or reply.body != expected:
                wrong.append(f"{file.name} {first}-{last}: {reply.status}, {len(reply.body)} bytes")
        out.check(not wrong, "http: random ranges through the cache",
                  f"{count} ranges, {compared // MIB} MiB compared, {len(wrong)} wrong {wrong[:3]}")
        for file in files:
            until_hit(lambda: fetch(server.address, server.at_origin(file.name)))
        before = sum(count for _, count in sent(nginx))
        again = [fetch(server.address, server.at_origin(file.name)) for file in files]
        over = sum(count for _, count in sent(nginx)) - before
        right = all(reply.body == file.read_bytes() for reply, file in zip(again, files))
        hits = sum("; hit" in (reply.header("cache-status") or "") for reply in again)
        out.check(right and hits == len(files) and over <= len(files), "http: all of each file again is a hit",
                  f"{hits} of {len(files)} hits, {over} bytes from the origin")


def collapsed(root: Path, nginx: gateway.Server, out: report.Report) -> None:
    file = content.write(root / "wanted.bin", 20 * MIB, 31)
    before = sum(count for _, count in sent(nginx))
    with OriginGateway(root, base_of(nginx)) as server:
        wrong = many(50, lambda _: fetch(server.address, server.at_origin(file.name)).body == file.read_bytes())
    over = sum(count for _, count in sent(nginx)) - before
    size = file.stat().st_size
    out.check(not wrong and over <= size + 50, "http: 50 clients on one cold object, each byte from the origin once",
              f"{over} bytes from the origin of {size}, {wrong} wrong")


def far_seek(root: Path, nginx: gateway.Server, out: report.Report) -> None:
    place = 5 * GIB + 700 * 1024
    file = content.sparse(root / "huge.bin", 6 * GIB, [place])
    with file.open("rb") as handle:
        handle.seek(place)
        expected = handle.read(32)
    before = sum(count for _, count in sent(nginx))
    with OriginGateway(root, base_of(nginx)) as server:
        reply = fetch(server.address, server.at_origin(file.name), fields=[("Range", f"bytes={place}-{place + 31}")])
    over = sum(count for _, count in sent(nginx)) - before
    out.check(reply.body == expected and over <= CHUNK + 1, "http: 32 bytes far inside cost at most one chunk",
              f"{over} bytes from the origin")


def outage(root: Path, nginx: gateway.Server, out: report.Report) -> None:
    held, other = content.write(root / "held.bin", 3 * MIB, 41), content.write(root / "other.bin", 3 * MIB, 42)
    longer = content.write(root / "longer.bin", 64 * MIB, 43)
    with OriginGateway(root, base_of(nginx)) as server:
        fetch(server.address, server.at_origin(held.name))
        with Connection(server.address, 30, receive_buffer=64 << 10) as reader:
            reader.send(f"GET {server.at_origin(longer.name)} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
            head = reader.head_only()
            reader.read_some(1000)
            gateway.end(nginx.process)
            # Believed for a second: what is asked for within it never needs the origin.
            kept = fetch(server.address, server.at_origin(held.name), fields=[("Range", "bytes=5-9")])
            began = time.monotonic()
            failed = [fetch(server.address, server.at_origin(other.name)).status for _ in range(8)]
            slowest = time.monotonic() - began
            whole = 0
            try:
                while part := reader.read_some(1 << 20):
                    whole += len(part)
            except WireError:
                pass
        nginx.start()
        began = time.monotonic()
        while (status := fetch(server.address, server.at_origin(other.name)).status) != 200:
            if time.monotonic() > began + 10:
                break
            time.sleep(0.1)
        back = time.monotonic() - began
        ping = fetch(server.address, "/ping").status
    out.check(kept.status == 206 and kept.body == held.read_bytes()[5:10], "origin killed: a cached object goes on")
    out.check(set(failed) <= {502, 503} and slowest < 8, "origin killed: others fail, each in under a second",
              f"{sorted(set(failed))}, {slowest / 8:.2f} s each")
    size = int(head.header("content-length") or 0)
    out.check(whole < size, "origin killed: a body under way is cut, and never looks whole", f"{whole} of {size} bytes")
    out.check(status == 200 and back < 5 and ping == 200, "origin back: served within 5 s, without a restart",
              f"{back:.1f} s")


def tiers(root: Path, nginx: gateway.Server, out: report.Report) -> None:
    """Two edges, a shield, an origin."""
    file = content.write(root / "tiers.bin", 9 * MIB + 5, 51)
    before = sum(count for _, count in sent(nginx))
    with OriginGateway(root, base_of(nginx)) as shield:
        base = shield.url_of(MOUNT)
        with OriginGateway(root, base) as one, OriginGateway(root, base) as two:
            edges, statuses = (one, two), []

            def right(number: int) -> bool:
                reply = fetch(edges[number % 2].address, one.at_origin(file.name))
                statuses.append(reply.header("cache-status") or "")
                return reply.body == file.read_bytes() and reply.header("age") is not None

            wrong = many(50, right)
            part = [("Range", "bytes=1000000-3000000")]
            reply = until_hit(lambda: fetch(one.address, one.at_origin(file.name), fields=part))
    over = sum(count for _, count in sent(nginx)) - before
    out.check(not wrong and over <= file.stat().st_size + 50,
              "two edges, a shield, 50 clients: each byte from the origin once", f"{over} bytes, {wrong} wrong")
    both = next((status for status in statuses if len(status.split(", ")) == 2), "")
    out.check(bool(both), "an edge's first answer tells of both tiers", both or f"{sorted(set(statuses))}")
    out.check(reply.body == file.read_bytes()[1000000:3000001] and "; hit" in (reply.header("cache-status") or ""),
              "an edge hits afterwards", reply.header("cache-status") or "")


def many(count: int, one) -> int:
    """How many of ``count`` at once were wrong."""
    wrong = []

    def run(number: int) -> None:
        try:
            right = one(number)
        except (OSError, WireError):
            right = False
        if not right:
            wrong.append(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(wrong)


def main(out: report.Report, quick: bool) -> None:
    with gateway.folder("origin.") as root, gateway.NginxServer(root) as nginx:
        for check in (lambda: ranges(root, nginx, out, quick), lambda: collapsed(root, nginx, out),
                      lambda: far_seek(root, nginx, out), lambda: tiers(root, nginx, out),
                      lambda: outage(root, nginx, out)):
            with out.guarded("http origin"):
                check()
