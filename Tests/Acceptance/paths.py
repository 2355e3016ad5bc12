"""Hostile and odd paths, links, special files and files that change: reliability's tables X1 to X6.

The root stands beside a canary. No answer may hold a byte of it, and under strace the server opens nothing outside.
"""

from __future__ import annotations

import html
import os
import re
import socket
import stat
import threading
import time
from pathlib import Path
from urllib.parse import quote, urljoin

import content
import gateway
import report
from content import KIB, MIB
from opens import OpenWatch
from wire import Connection, WireError, fetch, request

CANARY = b"CANARY-outside-the-root-"
REFUSED = {400, 404}


def hostile_targets() -> list[str]:
    """At least 200 spellings of a way out, as they go on the wire."""
    dots = ["..", "%2e%2e", "%2E%2e", ".%2e", "%2e.", "%252e%252e", "..;", "..%00", "..%01", "%c0%ae%c0%ae",
            "%e0%80%ae%e0%80%ae", "%f0%80%80%ae", "%ef%bc%8e%ef%bc%8e", "...", "..%20", "%u002e%u002e", "..%0d%0a",
            "..?", "..%23", ".%00."]
    slashes = ["/", "%2f", "%2F", "\\", "%5c", "%252f", "%c0%af", "//", "/./", "%00/"]
    targets = [f"/media/{dot}{slash}canary.txt" for dot in dots for slash in slashes]
    targets += [f"/media/folder/{dot}/{dot}/canary.txt" for dot in dots]
    targets += [f"/media{'/..' * depth}/etc/passwd" for depth in range(1, 12)]
    targets += [f"/media/folder{'/%2e%2e' * depth}/etc/passwd" for depth in range(1, 12)]
    targets += ["//etc/passwd", "/media//etc/passwd", "/media///etc/passwd", "/media/%2fetc%2fpasswd", "/etc/passwd",
                "/media/%2fetc/passwd", "/media/./canary.txt", "/media/././../canary.txt", "/media/file:///etc/passwd",
                "/media/C:/canary.txt", "/media/~root/canary.txt", "/media/~/canary.txt", "/media/$HOME/canary.txt",
                "/media/%2e", "/media/%2e%2e", "/media/..", "/media/.", "/media/../", "/media../canary.txt",
                "/media..%2fcanary.txt", "/media%2f..%2fcanary.txt", "/media/proc/self/root/etc/passwd",
                "/media/folder/../film.bin", "/media/folder/./film.bin", "/media//film.bin", "/media/film.bin/",
                "/media/film.bin/.", "/media/film.bin/..", "/media/film.bin/../film.bin", "/media/film.bin/x",
                "/media/film.bin%00.txt", "/media/film.bin%00", "/media/%00", "/media/film.bin%", "/media/film.bin%2",
                "/media/film.bin%zz", "/media/" + "a" * 300, "/media/" + "a/" * 2000, "/media/" + "../" * 1000,
                "/media/%ff%fe", "/media/film%0abin", "/media/film.bin#x", "/media/\u00e9", "/media/film.bin\t"]
    return targets


def check_hostile(server: gateway.Server, out: report.Report) -> None:
    tally = report.Tally()
    for target in hostile_targets():
        for method in ("GET", "HEAD"):
            raw = f"{method} {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode("latin-1")
            try:
                with Connection(server.address, timeout=5) as connection:
                    connection.send(raw)
                    reply = connection.reply(method)
            except (WireError, OSError) as error:
                tally.expect(False, f"{target[:60]}: {type(error).__name__} {error}")
                continue
            good = reply.status in REFUSED | {414, 431} and CANARY not in reply.body and b"root:" not in reply.body
            tally.expect(good, f"{method} {target[:60]}: {reply.status}")
    tally.into(out, "X1, X2 hostile paths: 400 or 404", f"{len(hostile_targets())} forms, GET and HEAD")


ODD_NAMES = [
    b"a..b.txt", b"a..", b"trailing..", b"a...b", b"100%.bin", b"%2e%2e", b"%00", b"a#b", b"a?b=c&d", b"blank name",
    b" leading", b"trailing ", "film \U0001f3ac.mkv".encode(), "Cafe\u0301 (NFD)".encode(), "Caf\u00e9 (NFC)".encode(),
    b"line\nbreak", b"tab\there", b"return\rhere", b"quote\"s'", b"<b>&amp;", b"back\\slash", b"not utf-8 \xff\xfe",
    b"\xc0\xae\xc0\xae", b"semi;colon", b"a+b=c", b"a,b", b"~1", b"~INDEX", b"-rf", b"*", b"$(id)", b"`id`", b"@", b":",
    b"C:", b"\x01\x7f", b"a" * 255, "\u65e5\u672c\u8a9e".encode(), b"play", b"favicon.ico", b"index.html",
]


#: A disk source knows no name that starts with a dot.
HIDDEN_NAMES = [b".hidden", b"..hidden", b"...", b".git"]


def check_odd_names(server: gateway.Server, root: Path, out: report.Report) -> None:
    folder = root / "odd"
    folder.mkdir()
    for name in ODD_NAMES + HIDDEN_NAMES:
        (Path(os.fsdecode(os.path.join(os.fsencode(folder), name)))).write_bytes(b"I am " + name)
    tally = report.Tally()
    for name in ODD_NAMES:
        reply = fetch(server.address, "/media/odd/" + quote(name, safe=""))
        tally.expect(reply.status == 200 and reply.body == b"I am " + name, f"{name!r}: {reply}")
    tally.into(out, "X3 legitimate odd names are served by their encoded URL")
    tally = report.Tally()
    for name in HIDDEN_NAMES:
        tally.expect(fetch(server.address, "/media/odd/" + quote(name, safe="")).status == 404, f"{name!r}")
    tally.into(out, "X3 names that start with a dot are 404")
    listing = fetch(server.address, "/media/odd/", fields=[("Accept", "text/html")])
    page = listing.body.decode("utf-8", "replace")
    served = set()
    for link in re.findall(r"""href=["']?([^"'> ]+)""", page):
        path = urljoin("/media/odd/", html.unescape(link))
        if path.startswith("/media/odd/") and path != "/media/odd/":
            served.add(fetch(server.address, path).body)
    missing = [name for name in ODD_NAMES if b"I am " + name not in served]
    out.check(not missing, "X3 every odd name is reached by a link of the listing",
              f"{len(ODD_NAMES) - len(missing)} of {len(ODD_NAMES)}" + (f", not {missing[:4]}" if missing else ""))
    out.check("<b>" not in page and "line\nbreak" not in page, "X3 names are escaped in the listing")


def make_links(root: Path) -> None:
    inside = root / "links"
    inside.mkdir()
    outside = root.parent
    (inside / "passwd").symlink_to("/etc/passwd")
    (inside / "canary").symlink_to(outside / "canary.txt")
    (inside / "relative").symlink_to("../../canary.txt")
    (inside / "folder").symlink_to(outside / "secrets")
    (inside / "chain").symlink_to("chain2")
    (inside / "chain2").symlink_to("canary")
    (inside / "loop").symlink_to("loop2")
    (inside / "loop2").symlink_to("loop")
    (inside / "proc").symlink_to("/proc/self/root")
    (inside / "within").symlink_to("../film.bin")
    (inside / "within folder").symlink_to("../folder")


LINKS = ["passwd", "canary", "relative", "folder", "folder/", "folder/canary.txt", "chain", "chain2", "loop", "loop2",
         "proc", "proc/etc/passwd"]


def check_links(server: gateway.Server, out: report.Report) -> None:
    tally = report.Tally()
    for name in LINKS + ["within", "within folder/", "within folder/deep.bin"]:
        reply = fetch(server.address, server.path(f"links/{name}"))
        allowed = REFUSED if name.endswith("/") else {404}
        tally.expect(reply.status in allowed and CANARY not in reply.body, f"{name}: {reply}")
    tally.into(out, "X4 links are 404 by default")


def check_followed_links(root: Path, out: report.Report) -> None:
    tally = report.Tally()
    with gateway.server(root, options="follow_symlinks = true") as server:
        for name in LINKS:
            reply = fetch(server.address, server.path(f"links/{name}"))
            tally.expect(reply.status in REFUSED and CANARY not in reply.body, f"{name}: {reply}")
        for name in ("within", "within folder/deep.bin"):
            reply = fetch(server.address, server.path(f"links/{name}"))
            tally.expect(reply.status == 200, f"{name}: {reply}")
    tally.into(out, "X4 with follow_symlinks: links inside the root work, those out of it are 404")


def check_race(server: gateway.Server, root: Path, seconds: float, out: report.Report) -> None:
    """A file and a folder that are swapped with links out of the root, as fast as can be, while they are asked for."""
    race = root / "race"
    (race / "real").mkdir(parents=True)
    (race / "real" / "canary.txt").write_bytes(b"harmless")
    (race / "file").write_bytes(b"harmless")
    stop = threading.Event()
    swaps = [0]

    def swap() -> None:
        while not stop.is_set():
            (race / "link").symlink_to("../../canary.txt")
            (race / "link").rename(race / "file")
            os.rename(race / "real", race / "aside")
            (race / "real").symlink_to("../../secrets")
            (race / "plain").write_bytes(b"harmless")
            (race / "plain").rename(race / "file")
            (race / "real").unlink()
            os.rename(race / "aside", race / "real")
            swaps[0] += 1

    swapper = threading.Thread(target=swap)
    swapper.start()
    asked = leaked = served = 0
    try:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with Connection(server.address, timeout=5) as connection:
                for _ in range(50):
                    for name in ("race/file", "race/real/canary.txt"):
                        reply = connection.get(server.path(name))
                        asked += 1
                        leaked += CANARY in reply.body
                        served += reply.body == b"harmless"
    finally:
        stop.set()
        swapper.join(5)
    out.check(leaked == 0 and served > 0, "X4 a link swapped in during the request never leaks",
              f"{asked} requests, {swaps[0]} swaps, {served} served, {leaked} leaked, {seconds:.0f} s")


def check_special(server: gateway.Server, root: Path, out: report.Report) -> None:
    special = root / "special"
    special.mkdir()
    os.mkfifo(special / "fifo")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(special / "socket"))
    names = ["fifo", "socket", "folder", "folder/x", "fifo/x"]
    (special / "folder").mkdir()
    try:
        os.mknod(special / "zero", 0o666 | stat.S_IFCHR, os.makedev(1, 5))
        names.append("zero")
    except OSError:
        out.skip("X5 a device", "may not make one here")
    tally, slowest = report.Tally(), 0.0
    for name in names:
        began = time.monotonic()
        reply = fetch(server.address, server.path(f"special/{name}"), timeout=3)
        took = time.monotonic() - began
        slowest = max(slowest, took)
        allowed = {403, 404} | ({200, 301, 302, 303, 307, 308} if name == "folder" else set())
        tally.expect(reply.status in allowed and took < 0.1 + report.spare(1), f"{name}: {reply} in {took * 1000:.0f} ms")
    listener.close()
    tally.into(out, "X5 special files: 403 or 404 within 100 ms", f"slowest {slowest * 1000:.1f} ms")

    waiting = [Connection(server.address, timeout=3) for _ in range(64)]
    for connection in waiting:
        connection.send(request(server.path("special/fifo")))
    began = time.monotonic()
    reply = fetch(server.address, server.path("film.bin"))
    took = time.monotonic() - began
    for connection in waiting:
        connection.close()
    out.check(reply.status == 200 and took < 0.1 + report.spare(1), "X5 64 requests for a FIFO block no one else",
              f"{took * 1000:.1f} ms")

    size = 1 << 40
    sparse = content.sparse(special / "sparse.bin", size, [0, size // 2, size])
    tally = report.Tally()
    tally.expect(fetch(server.address, server.path("special/sparse.bin"), "HEAD").header("content-length") == str(size),
                 "length")
    with open(sparse, "rb") as file:
        for first in (0, size // 2 - 1000, size - 4000, 7 * size // 8):
            reply = fetch(server.address, server.path("special/sparse.bin"),
                          fields=[("Range", f"bytes={first}-{first + 3999}")])
            file.seek(first)
            tally.expect(reply.status == 206 and reply.body == file.read(4000), f"at {first}: {reply}")
    tally.into(out, "X5 a sparse file of 1 TiB")


def check_unreadable(root: Path, out: report.Report) -> None:
    """As a user for whom a file's mode counts."""
    closed = root / "closed.bin"
    closed.write_bytes(CANARY)
    closed.chmod(0)
    user = "nobody" if os.geteuid() == 0 else None
    try:
        with gateway.server(root, user=user) as server:
            reply, other = fetch(server.address, server.path("closed.bin")), fetch(server.address,
                                                                                   server.path("film.bin"))
    finally:
        closed.unlink()
    out.check(reply.status in (403, 404) and CANARY not in reply.body and other.status == 200,
              "X5 an unreadable file is 403 or 404", f"{reply.status}")


class Reader(threading.Thread):
    """Reads a file at a player's pace and keeps what came."""

    def __init__(self, server: gateway.Server, path: str) -> None:
        super().__init__(daemon=True)
        self.connection = Connection(server.address, timeout=20, receive_buffer=64 * KIB)
        self.connection.send(request(path))
        self.head = self.connection.head_only()
        self.length = int(self.head.header("content-length") or -1)
        self.body = bytearray(self.connection.read_some(32 * KIB))

    def run(self) -> None:
        with self.connection:
            while len(self.body) < self.length:
                try:
                    part = self.connection.read_some(min(256 * KIB, self.length - len(self.body)))
                except OSError:
                    return
                if not part:
                    return
                self.body += part
                time.sleep(0.005)


def check_changing(server: gateway.Server, root: Path, out: report.Report) -> None:
    size = 24 * MIB
    for how in ("truncated", "grown", "replaced", "deleted", "rewritten in place", "rewritten slowly"):
        file = content.write(root / "changing" / f"{how}.bin", size)
        before = file.read_bytes()
        other = content.write(root.parent / "other.bin", size, "another")
        after = other.read_bytes()
        path = server.path(f"changing/{how}.bin")
        readers = [Reader(server, path) for _ in range(10)]
        old = readers[0].head.header("etag")
        for reader in readers:
            reader.start()
        change(file, other, how)
        for reader in readers:
            reader.join(30)
        whole = sum(bytes(reader.body) == before for reader in readers)
        mixed = sum(bytes(reader.body) != before[:len(reader.body)] for reader in readers)
        later = fetch(server.address, path)
        if how == "deleted":
            fresh = later.status == 404
        else:
            now = {"truncated": before[:MIB], "grown": before + b"more" * 1000}.get(how, after)
            fresh = later.status == 200 and later.body == now and later.header("etag") != old
        out.check(mixed == 0 and fresh, f"X6 a file {how} under 10 readers",
                  f"{whole} got all of the old, {10 - whole - mixed} cut, {mixed} mixed; "
                  f"then {'404' if how == 'deleted' else 'the new with another ETag'}: {'yes' if fresh else 'NO'}")


def change(file: Path, other: Path, how: str) -> None:
    # Another time, as two files have; one of the same size and time has the same ETag, on every node.
    before = os.stat(file).st_mtime + 3600
    if how == "truncated":
        os.truncate(file, MIB)
    elif how == "grown":
        with open(file, "ab") as end:
            end.write(b"more" * 1000)
    elif how == "replaced":
        os.utime(other, (before, before))
        other.replace(file)
    elif how == "deleted":
        file.unlink()
    else:
        data = other.read_bytes()
        with open(file, "r+b", buffering=0) as target:
            for start in range(0, len(data), MIB):
                target.write(data[start:start + MIB])
                if how == "rewritten slowly":
                    time.sleep(0.01)
    # The source may take a file as unchanged for a second.
    time.sleep(1.2)


def main(out: report.Report, quick: bool) -> None:
    with gateway.folder() as base:
        root = base / "root"
        (base / "canary.txt").write_bytes(CANARY * 10)
        (base / "secrets").mkdir()
        (base / "secrets" / "canary.txt").write_bytes(CANARY)
        content.write(root / "film.bin", 200 * KIB)
        content.write(root / "folder" / "deep.bin", 1000)
        make_links(root)
        with gateway.server(root) as server:
            warm_up(server)
            if not OpenWatch.available():
                out.skip("X1 opens outside the root", "strace is not installed")
                walk(server, root, quick, out)
            else:
                with OpenWatch(server.pid, root) as watch:
                    walk(server, root, quick, out)
                outside = watch.outside()
                out.check(not outside and watch.count > 100, "X1, X4 opens outside the root",
                          f"{len(outside)} of {watch.count}" + "".join(f"; {line[:160]}" for line in outside[:3]))
            with out.guarded("X5 special files"):
                check_special(server, root, out)
            with out.guarded("X6 changing files"):
                check_changing(server, root, out)
            out.check(server.process.poll() is None, "the server is alive after all of it")
        with out.guarded("X4 with follow_symlinks"):
            check_followed_links(root, out)
        with out.guarded("X5 an unreadable file is 403 or 404"):
            check_unreadable(root, out)


def walk(server: gateway.Server, root: Path, quick: bool, out: report.Report) -> None:
    """What is watched with strace."""
    with out.guarded("X1, X2 hostile paths"):
        check_hostile(server, out)
    with out.guarded("X3 odd names"):
        check_odd_names(server, root, out)
    with out.guarded("X4 links"):
        check_links(server, out)
    with out.guarded("X4 race"):
        check_race(server, root, 3 if quick else 10, out)


def warm_up(server: gateway.Server) -> None:
    """Each kind of answer once, so that what a process opens only once (time zone, libraries) is open."""
    for path in ("/", "/media/", "/media/film.bin", "/media/gone", "/media/%2e%2e/x", "/media/links/within"):
        for fields in ([], [("Accept", "text/html")]):
            fetch(server.address, path, fields=fields)


if __name__ == "__main__":
    report.run(main)
