"""Requests changed at random: no crash, no hang, no answer that is no HTTP, no status that says the gateway failed.

``ACCEPTANCE_SEED`` repeats a run.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import socket
import time

import content
import gateway
import report

CLIENTS = 8
PATIENCE = 5
SEEDS = [
    b"GET /media/film.bin HTTP/1.1\r\nHost: a\r\nRange: bytes=0-99\r\n\r\n",
    b"HEAD /media/film.bin HTTP/1.0\r\nIf-None-Match: \"x\", W/\"y\"\r\n\r\n",
    b"GET /media/film.bin?download HTTP/1.1\r\nHost: [::1]:80\r\nIf-Range: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: a\r\nOrigin: http://b\r\nAccess-Control-Request-Method: GET\r\n\r\n",
    b"POST /media/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nT: u\r\n\r\n",
    b"GET http://a:1/media/?format=m3u HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, TE\r\nExpect: 100-continue\r\n\r\n",
    b"GET /media/%66ilm.bin HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET /ping HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /media/film.vtt HTTP/1.1\r\nHost: a\r\nAccept: text/html;q=0.5, */*;q=\r\nIf-Match: *\r\n\r\n",
]
PIECES = [b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b"%", b"%00", b"%2f", b"..", b"/", b"//", b"?", b"#", b"\xff",
          b"bytes=", b"-", b"99999999999999999999", b"chunked", b"Content-Length: 1\r\n", b"Host: b\r\n", b"HTTP/1.1",
          b"HTTP/9.9", b"A" * 9000, b"X: y\r\n" * 120, b"Upgrade: h2c\r\nConnection: upgrade\r\n"]


def changed(source: random.Random) -> bytes:
    request = bytearray(source.choice(SEEDS))
    for _ in range(source.randint(0, 4)):
        place = source.randrange(len(request) + 1)
        how = source.random()
        if how < 0.3 and request:
            request[min(place, len(request) - 1)] = source.randrange(256)
        elif how < 0.5:
            del request[place:place + source.randint(1, 20)]
        elif how < 0.8:
            request[place:place] = source.choice(PIECES)
        else:
            other = source.choice(SEEDS)
            request[place:] = other[source.randrange(len(other)):]
    return bytes(request)


def exchange(address: tuple[str, int], request: bytes) -> bytes:
    """Everything that comes back; our side is closed after the request, so the gateway must end it."""
    with socket.create_connection(address, PATIENCE) as connection:
        connection.settimeout(PATIENCE)
        received = bytearray()
        try:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(1 << 16):
                received += part
        except (ConnectionResetError, BrokenPipeError):
            pass
        return bytes(received)


def client(address: tuple[str, int], seed: str, count: int, results) -> None:
    source = random.Random(seed)
    hung = odd = failed = 0
    example = ""
    for _ in range(count):
        request = changed(source)
        try:
            answer = exchange(address, request)
        except (TimeoutError, socket.timeout):
            hung += 1
            example = example or f"hangs: {request[:300]!r}"
            continue
        if not answer:
            continue
        if not answer.startswith(b"HTTP/1.1 "):
            odd += 1
            example = example or f"{answer[:40]!r} to {request[:300]!r}"
        elif answer[9:10] == b"5" and answer[9:12] not in (b"501", b"505"):
            failed += 1
            example = example or f"{answer[9:12]!r} to {request[:300]!r}"
    results.put((hung, odd, failed, example))


def main(out: report.Report, quick: bool) -> None:
    count = 8_000 if quick else 100_000
    seed = os.environ.get("ACCEPTANCE_SEED", "1")
    with gateway.folder() as root:
        content.write(root / "film.bin", 1000)
        (root / "film.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nHello\n")
        with gateway.server(root) as server:
            results: multiprocessing.Queue = multiprocessing.Queue()
            began = time.monotonic()
            clients = [
                multiprocessing.Process(
                    target=client, args=(server.address, f"{seed}/{number}", count // CLIENTS, results), daemon=True)
                for number in range(CLIENTS)
            ]
            for process in clients:
                process.start()
            told = [results.get(timeout=900) for _ in clients]
            for process in clients:
                process.join()
            hung, odd, failed = (sum(part[index] for part in told) for index in range(3))
            example = next((part[3] for part in told if part[3]), "")
            alive = server.process.poll() is None and exchange(
                server.address, b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n").endswith(b"pong")
            out.check(
                alive and not hung and not odd and not failed,
                f"{count} requests changed at random at {CLIENTS} clients",
                f"seed {seed}, {hung} hung, {odd} odd answers, {failed} failures of the gateway, "
                f"{'alive' if alive else 'DEAD'}, {time.monotonic() - began:.0f} s" + (f", {example}" if example else ""))


if __name__ == "__main__":
    report.run(main)
