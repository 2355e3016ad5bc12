"""Two requests on one connection after every kind of failure: never one byte of one in the other.

Each first request is followed by a second for bytes that only its file has, once after the first answer and once sent
with it. After the first answer the connection gives exactly the second's bytes, or it ends.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import content
import gateway
import report
from content import KIB, MIB
from wire import Connection, Ended, WireError, fetch, request

SMUGGLED = b"GET /media/smuggled.bin HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


class Kind:
    """A first request: what may answer it, and whether the connection must end after it."""

    def __init__(self, name: str, raw: bytes, statuses: set[int], method: str = "GET", ends: bool = False) -> None:
        self.name = name
        self.raw = raw
        self.statuses = statuses
        self.method = method
        self.ends = ends


def kinds(server: gateway.Server, etag: str) -> list[Kind]:
    film, gone = server.path("film.bin"), server.path("gone.bin")
    fields = lambda *pairs: list(pairs)  # noqa: E731
    large = ("Content-Length", str(10 << 30))
    table = [
        Kind("200", request(film), {200}),
        Kind("206", request(film, fields=fields(("Range", "bytes=5-99"))), {206}),
        Kind("200 of nothing", request(server.path("empty.bin")), {200}),
        Kind("404", request(gone), {404}),
        Kind("404 elsewhere", request("/nothing/here"), {404}),
        Kind("404 with a range", request(gone, fields=fields(("Range", "bytes=0-9"))), {404}),
        Kind("400 bad path", request("/media/%2e%2e/x"), {400, 404}),
        Kind("400 bad escape", request("/media/%zz"), {400, 404}),
        Kind("416", request(film, fields=fields(("Range", "bytes=99999999-"))), {416}),
        Kind("412", request(film, fields=fields(("If-Match", '"other"'))), {412}),
        Kind("304", request(film, fields=fields(("If-None-Match", etag))), {304}),
        Kind("304 with a range", request(film, fields=fields(("If-None-Match", etag), ("Range", "bytes=0-9"))), {304}),
        Kind("HEAD", request(film, "HEAD"), {200}, "HEAD"),
        Kind("HEAD of 404", request(gone, "HEAD"), {404}, "HEAD"),
        Kind("HEAD of 400", request("/media/%2e%2e/x", "HEAD"), {400, 404}, "HEAD"),
        Kind("HEAD of 304", request(film, "HEAD", fields(("If-None-Match", etag))), {304}, "HEAD"),
        Kind("HEAD of 412", request(film, "HEAD", fields(("If-Match", '"other"'))), {412}, "HEAD"),
        Kind("HEAD unsatisfiable", request(film, "HEAD", fields(("Range", "bytes=99999999-"))), {200}, "HEAD"),
        Kind("HEAD of a listing", request("/media/", "HEAD"), {200}, "HEAD"),
        Kind("a listing", request("/media/"), {200}),
        Kind("landing page", request("/"), {200}),
        Kind("ping", request("/ping"), {200}),
        Kind("HEAD of ping", request("/ping", "HEAD"), {200, 404, 405}, "HEAD"),
        Kind("folder without slash", request("/media/folder"), {301, 302, 303, 307, 308, 404, 200}),
        Kind("405 DELETE", request(film, "DELETE"), {405}),
        Kind("405 PUT with a body", request(film, "PUT", body=SMUGGLED), {405, 413}),
        Kind("405 POST with a body", request(film, "POST", body=b"x" * 100_000), {405, 413}),
        Kind("405 of 404", request(gone, "DELETE"), {404, 405}),
        Kind("TRACE", request(film, "TRACE"), {405, 501, 400}),
        Kind("unknown method", request(film, "FROB"), {400, 405, 501}),
        Kind("lower case method", request(film, "get"), {400, 405, 501}),
        Kind("OPTIONS", request(film, "OPTIONS"), {200, 204, 405}),
        Kind("GET with a body", request(film, body=SMUGGLED), {200, 400, 413}),
        Kind("HEAD with a body", request(film, "HEAD", body=SMUGGLED), {200, 400, 413}, "HEAD"),
        Kind("404 with a body", request(gone, body=SMUGGLED), {404, 400, 413}),
        Kind("416 with a body", request(film, "GET", fields(("Range", "bytes=99999999-")), SMUGGLED), {416, 400, 413}),
        Kind("chunked GET", request(film, fields=fields(("Transfer-Encoding", "chunked")))
             + b"%x\r\n%s\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED), {200, 400, 411, 413}),
        Kind("417", request(film, fields=fields(("Expect", "tea"))), {417}),
        Kind("417 with a body", request(film, "POST", fields(("Expect", "tea")), SMUGGLED), {405, 417}),
        Kind("100-continue", request(film, "POST", fields(("Expect", "100-continue")), SMUGGLED), {405, 413, 417}),
        Kind("413", request(film, "POST", fields(large)), {405, 413}, ends=True),
        Kind("413 chunked", request(film, "POST", fields(("Transfer-Encoding", "chunked"))) + b"7fffffff\r\n",
             {405, 413, 400}, ends=True),
        Kind("HTTP/1.0", request(film).replace(b"HTTP/1.1", b"HTTP/1.0"), {200}, ends=True),
        Kind("Connection: close", request(film, fields=fields(("Connection", "close"))), {200}, ends=True),
        Kind("Connection: Close, TE", request(film, fields=fields(("Connection", "Close, TE"))), {200}, ends=True),
        Kind("404 and close", request(gone, fields=fields(("Connection", "close"))), {404}, ends=True),
        Kind("416 and close", request(film, fields=fields(("Range", "bytes=99999999-"), ("Connection", "close"))),
             {416}, ends=True),
    ]
    return table + [Kind(f"bad: {name}", raw, statuses, ends=True) for name, raw, statuses in broken(film)]


def broken(film: str) -> list[tuple[str, bytes, set[int]]]:
    """Requests after which nothing on the connection can be trusted."""
    get = f"GET {film} HTTP/1.1\r\n".encode()
    host = b"Host: 127.0.0.1\r\n"
    bad = {400}
    return [
        ("no Host", get + b"\r\n", bad), ("two Hosts", get + host + host + b"\r\n", bad),
        ("Host with a path", get + b"Host: a/b?c@d\r\n\r\n", bad),
        ("Host list", get + b"Host: a, b\r\n\r\n", bad),
        ("blank before colon", get + host + b"Range : bytes=0-1\r\n\r\n", bad),
        ("folded field", get + host + b"X: a\r\n b\r\n\r\n", bad),
        ("NUL in a field", get + host + b"X: a\0b\r\n\r\n", bad),
        ("bare CR", get + host + b"X: a\rb\r\n\r\n", bad),
        ("field without a name", get + host + b": a\r\n\r\n", bad),
        ("field without a colon", get + host + b"nothing\r\n\r\n", bad),
        ("length and chunked", get + host + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", bad),
        ("two lengths", get + host + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n", bad),
        ("negative length", get + host + b"Content-Length: -1\r\n\r\n", bad),
        ("signed length", get + host + b"Content-Length: +5\r\n\r\n", bad),
        ("length list", get + host + b"Content-Length: 3, 4\r\n\r\n", bad),
        ("huge length", get + host + b"Content-Length: 99999999999999999999\r\n\r\n", bad | {413}),
        ("unknown coding", get + host + b"Transfer-Encoding: xchunked\r\n\r\n", bad | {501}),
        ("chunked not last", get + host + b"Transfer-Encoding: chunked, identity\r\n\r\n", bad | {501}),
        ("blank in the target", f"GET {film} x HTTP/1.1\r\n".encode() + host + b"\r\n", bad),
        ("no version", f"GET {film} HTTP/x\r\n".encode() + host + b"\r\n", bad | {505}),
        ("version 2.0", f"GET {film} HTTP/2.0\r\n".encode() + host + b"\r\n", bad | {505}),
        ("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", bad | {505}),
        ("TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(32)) + b"\r\n\r\n", bad),
        ("long target", b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n" + host + b"\r\n", {400, 414, 431}),
        ("long field", get + host + b"X: " + b"a" * 100_000 + b"\r\n\r\n", {400, 431}),
        ("many fields", get + host + b"".join(b"X-%d: a\r\n" % n for n in range(5_000)) + b"\r\n", {400, 431}),
    ]


class Second:
    """The request that follows, and the only answer that is right."""

    def __init__(self, server: gateway.Server, file: Path) -> None:
        self.raw = request(server.path(file.name), fields=[("Range", "bytes=1000-4999")])
        self.body = file.read_bytes()[1000:5000]

    def fault(self, connection: Connection, ends: bool) -> str | None:
        """Reads what comes after the first answer."""
        try:
            reply = connection.reply()
        except TimeoutError:
            return "silence after the first answer"
        except Ended:
            return None
        except WireError as error:
            return f"after the first answer: {error}"
        if ends:
            return f"a second answer ({reply}) where the connection must end"
        if reply.status != 206 or reply.body != self.body:
            return f"the second answer is {reply}, its bytes {'right' if reply.body == self.body else 'wrong'}"
        rest = connection.leftover(0.02)
        return f"{len(rest)} bytes after the second answer" if rest else None


def pair(server: gateway.Server, kind: Kind, second: Second, pipelined: bool) -> str | None:
    """The fault of one pair, if it has one."""
    with Connection(server.address, timeout=4) as connection:
        try:
            connection.send(kind.raw + second.raw if pipelined else kind.raw)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused while we were still sending; what was answered can be read below
        try:
            reply = connection.reply(kind.method)
        except Ended as error:
            # A reset overtakes the answer when unread bytes are left on the server's side.
            return None if kind.ends and len(kind.raw) > 60_000 else f"first: {error}"
        if reply.status not in kind.statuses:
            return f"{reply.status}, not {sorted(kind.statuses)}"
        if b"smuggled" in reply.body and reply.status == 200 and kind.method == "GET" and "listing" not in kind.name:
            return "the body of the request was answered"
        if not pipelined:
            try:
                connection.send(second.raw)
            except OSError:
                return None  # it ended, as it may
        return second.fault(connection, kind.ends)


def mixed_pipeline(server: gateway.Server, table: list[Kind], second: Second) -> str | None:
    """All that leave the connection open, ten times over, sent at once; the answers in order."""
    open_ended = [kind for kind in table if kind.name in
                  ("200 of nothing", "404", "416", "412", "304", "HEAD", "HEAD of 404", "HEAD of 304", "206")]
    requests = [kind for _ in range(10) for kind in open_ended]
    with Connection(server.address) as connection:
        connection.send(b"".join(kind.raw + second.raw for kind in requests))
        for number, kind in enumerate(requests):
            reply = connection.reply(kind.method)
            if reply.status not in kind.statuses:
                return f"answer {2 * number} ({kind.name}) is {reply}"
            reply = connection.reply()
            if reply.status != 206 or reply.body != second.body:
                return f"answer {2 * number + 1} after {kind.name} is {reply}"
        rest = connection.leftover(0.2)
        return f"{len(rest)} bytes too many" if rest else None


def changed_midway(server: gateway.Server, root: Path, how: str, second: Second) -> str | None:
    """A file that shrinks, vanishes or becomes another while it is sent, with a second request waiting behind it."""
    file = content.write(root / f"changing {how}.bin", 48 * MIB)
    before = file.read_bytes()
    with Connection(server.address, timeout=15, receive_buffer=64 * KIB) as connection:
        connection.send(request(server.path(file.name)) + second.raw)
        reply = connection.head_only()
        length = int(reply.header("content-length") or -1)
        body = bytearray(connection.read_some(64 * KIB))
        _change(file, how)
        while len(body) < length:
            part = connection.read_some(min(MIB, length - len(body)))
            if not part:
                break
            body += part
        if length != len(before) or reply.status != 200:
            return f"{reply.status} with length {length}"
        if bytes(body) != before[:len(body)]:
            first = next(n for n, (a, b) in enumerate(zip(body, before)) if a != b)
            return f"a byte that is not the file's at {first} of {len(body)}"
        if len(body) < length:
            return None  # cut: the connection is gone, and nothing of the second was in it
        return second.fault(connection, False)


def _change(file: Path, how: str) -> None:
    if how == "truncated":
        os.truncate(file, 100)
    elif how == "emptied":
        os.truncate(file, 0)
    elif how == "deleted":
        file.unlink()
    elif how == "replaced":
        content.write(file.with_suffix(".new"), 48 * MIB, "another").replace(file)
    elif how == "grown":
        with open(file, "ab") as end:
            end.write(b"more" * MIB)


def main(out: report.Report, quick: bool) -> None:
    rounds = 1 if quick else 5
    with gateway.folder() as root:
        content.write(root / "film.bin", 300 * KIB)
        content.write(root / "empty.bin", 0)
        content.write(root / "smuggled.bin", 5 * KIB)
        (root / "folder").mkdir()
        marker = content.write(root / "second.bin", 8 * KIB)
        with gateway.server(root) as server:
            second = Second(server, marker)
            etag = fetch(server.address, server.path("film.bin"), "HEAD").header("etag") or '"none"'
            table = kinds(server, etag)
            for pipelined in (False, True):
                tally = report.Tally()
                for kind in table * rounds:
                    fault = _attempt(lambda: pair(server, kind, second, pipelined))
                    tally.expect(fault is None, f"{kind.name}: {fault}")
                tally.into(out, f"two requests on one connection, {'pipelined' if pipelined else 'in turn'}",
                           f"{len(table)} kinds")
            fault = _attempt(lambda: mixed_pipeline(server, table, second))
            out.check(fault is None, "180 pipelined requests, good and failing, answered in order", fault or "")
            for how in ("truncated", "emptied", "replaced", "deleted", "grown"):
                tally = report.Tally()
                for _ in range(rounds):
                    fault = _attempt(lambda: changed_midway(server, root, how, second))
                    tally.expect(fault is None, str(fault))
                tally.into(out, f"file {how} in mid-body, a second request behind it")
            time.sleep(0.1)
            out.check(server.process.poll() is None, "the server is alive after all of it")


def _attempt(action) -> str | None:
    try:
        return action()
    except (OSError, WireError) as error:
        return f"{type(error).__name__} {error}"


if __name__ == "__main__":
    report.run(main)
