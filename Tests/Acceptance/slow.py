"""Slow heads, slow readers and idle connections: what they cost the others.

Rounds without and with the load alternate; the figure is the median of the rounds' 99th percentiles, and the load is
in place, and still, when a round is measured.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import statistics
import subprocess
import threading
import time

import content
import gateway
import report
from content import KIB, MIB
from wire import Connection, WireError, request

LIMIT = 1.5


def latencies(server: gateway.Server, count: int) -> list[float]:
    """Seconds for each of ``count`` requests of 64 KiB on a kept connection, a new one every fiftieth."""
    raw = request(server.path("film.bin"), fields=[("Range", "bytes=65536-131071")])
    taken = []
    connection = None
    for number in range(count):
        began = time.perf_counter()
        if number % 50 == 0:
            if connection:
                connection.close()
            connection = Connection(server.address)
        connection.send(raw)
        reply = connection.reply()
        taken.append(time.perf_counter() - began)
        if reply.status != 206 or len(reply.body) != 64 * KIB:
            raise WireError(f"{reply} under load")
    connection.close()
    return taken


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def compare(server: gateway.Server, rounds: int, count: int, load) -> tuple[float, float, str]:
    """The medians of p99 without and with the load, and how they look. ``load()`` is a context manager."""
    latencies(server, count)
    calm, loaded = [], []
    for _ in range(rounds):
        calm.append(percentile(latencies(server, count), 0.99))
        with load():
            loaded.append(percentile(latencies(server, count), 0.99))
    base, under = statistics.median(calm), statistics.median(loaded)
    spread = "/".join(f"{value * 1000:.2f}" for value in sorted(loaded))
    return base, under, f"p99 {under * 1000:.2f} ms [{spread}] against {base * 1000:.2f} ms, {under / base:.2f}x"


def limit(base: float) -> float:
    """Whoever is held up by a slow client waits longer than what is spared."""
    return LIMIT * base + report.spare(0.02)


class IdleConnections:
    """Connections that asked once and then keep still."""

    def __init__(self, server: gateway.Server, count: int) -> None:
        self.server, self.count = server, count
        self.open: list[Connection] = []
        self.held: list[int] = []

    def __call__(self) -> "IdleConnections":
        return self

    def __enter__(self) -> None:
        raw = request(self.server.path("film.bin"), "HEAD")
        for first in range(0, self.count, 100):
            batch = [Connection(self.server.address) for _ in range(min(100, self.count - first))]
            for connection in batch:
                connection.send(raw)
            for connection in batch:
                connection.reply("HEAD")
            self.open += batch
        time.sleep(0.5)

    @property
    def now(self) -> int:
        """How many are there."""
        return sum(_silent(connection) for connection in self.open)

    def __exit__(self, *_) -> None:
        self.held.append(self.now)
        for connection in self.open:
            connection.close()
        self.open.clear()
        time.sleep(1)


def _silent(connection: Connection) -> bool:
    """Whether a connection is open and nothing has come."""
    connection.socket.setblocking(False)
    try:
        connection.socket.recv(1)
        return False
    except BlockingIOError:
        return True
    except OSError:
        return False


class SlowClients:
    """slowhttptest, in place while the ``with`` block runs.

    ``held`` has how many were there, each time, when the block ended.
    """

    def __init__(self, server: gateway.Server, count: int, *options: str) -> None:
        self.server, self.count, self.options = server, count, options
        self.held: list[int] = []

    def __call__(self) -> "SlowClients":
        return self

    def __enter__(self) -> None:
        self.process = gateway.child(
            ["slowhttptest", "-c", str(self.count), "-r", "150", "-l", "120", *self.options,
             "-u", f"{self.server.origin}{self.server.path('film.bin')}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 15
        while self.now < self.count and time.monotonic() < until:
            time.sleep(0.1)

    def __exit__(self, *_) -> None:
        self.held.append(self.now)
        gateway.end(self.process)
        time.sleep(0.5)

    @property
    def now(self) -> int:
        """How many are there."""
        return established(self.server.port)


class SlowHeaders(SlowClients):
    """They send a line of their head every three seconds."""

    def __init__(self, server: gateway.Server, count: int) -> None:
        super().__init__(server, count, "-H", "-i", "3")


class SlowReaders(SlowClients):
    """They take 32 bytes every second, through a window of at most 20."""

    def __init__(self, server: gateway.Server, count: int) -> None:
        super().__init__(server, count, "-X", "-w", "10", "-y", "20", "-n", "1", "-z", "32")

    @property
    def now(self) -> int:
        """Those for whom bytes wait on the server's side."""
        return established(self.server.port, unsent=True)


class Trickle:
    """Slow clients of our own on connections that are looked after once a second, while the ``with`` block runs.

    ``held`` has how many were there, each time, when the block ended.
    """

    def __init__(self, server: gateway.Server, count: int) -> None:
        self.server, self.count = server, count
        self.open: list[socket.socket] = []
        self.held: list[int] = []

    def __call__(self) -> "Trickle":
        return self

    def __enter__(self) -> None:
        for number in range(self.count):
            client = socket.socket()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * KIB)
            client.connect(self.server.address)
            client.setblocking(False)
            self.open.append(client)
            self._begin(client, number)
        self.is_over = threading.Event()
        self.feeder = threading.Thread(target=self._feed, daemon=True)
        self.feeder.start()
        until = time.monotonic() + 15
        while self.now < self.count and time.monotonic() < until:
            time.sleep(0.1)

    def __exit__(self, *_) -> None:
        self.held.append(self.now)
        self.is_over.set()
        self.feeder.join()
        for client in self.open:
            client.close()
        self.open.clear()
        time.sleep(0.5)

    def _feed(self) -> None:
        while not self.is_over.wait(1):
            for client in self.open:
                with contextlib.suppress(OSError):
                    self._go_on(client)

    @property
    def now(self) -> int:
        """How many are there."""
        return established(self.server.port)

    def _begin(self, client: socket.socket, number: int) -> None:
        raise NotImplementedError

    def _go_on(self, client: socket.socket) -> None:
        raise NotImplementedError


class TrickledHeads(Trickle):
    """They send a byte of their head every second."""

    def _begin(self, client: socket.socket, number: int) -> None:
        client.send(f"GET {self.server.path('film.bin')} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ".encode())

    def _go_on(self, client: socket.socket) -> None:
        client.send(b"x")


class TrickledReaders(Trickle):
    """Each asks for the file from an offset of its own on, and takes a KiB every second.

    The file is longer than what the kernel queues for them.
    """

    @property
    def now(self) -> int:
        """Those for whom bytes wait on the server's side."""
        return established(self.server.port, unsent=True)

    def _begin(self, client: socket.socket, number: int) -> None:
        client.send(request(self.server.path("film.bin"), fields=[("Range", f"bytes={number * 4099}-")]))

    def _go_on(self, client: socket.socket) -> None:
        client.recv(KIB)


def established(port: int, unsent: bool = False) -> int:
    """Connections of the server's port that are open on the server's side; with ``unsent`` those with bytes to send."""
    queued = "(?!0{8}:)" if unsent else ""
    with open("/proc/net/tcp") as table:
        return sum(bool(re.match(rf" *\d+: \w+:{port:04X} \w+:\w+ 01 {queued}", line)) for line in table)


def slow_headers(server: gateway.Server, quick: bool, out: report.Report) -> None:
    what = "300 slow headers (slowhttptest): other requests"
    if not shutil.which("slowhttptest"):
        out.skip(what, "slowhttptest is not installed")
        return
    load = SlowHeaders(server, 300)
    base, under, figures = compare(server, 3 if quick else 5, 2000, load)
    out.check(under <= limit(base) and min(load.held) >= 250, f"{what} p99 at most {LIMIT}x",
              f"{figures}, {min(load.held)} held")


def slow_headers_end(server: gateway.Server, out: report.Report) -> None:
    """Left alone, they are closed by the server while slowhttptest still feeds them."""
    if not shutil.which("slowhttptest"):
        return
    load = SlowHeaders(server, 300)
    began = time.monotonic()
    with load:
        while established(server.port) > 0 and time.monotonic() - began < 30:
            time.sleep(0.25)
        left, took = established(server.port), time.monotonic() - began
    out.check(left == 0, "300 slow headers are all ended by the server within 30 s",
              f"{left} left after {took:.0f} s")


def idle(server: gateway.Server, count: int, quick: bool, out: report.Report) -> None:
    load = IdleConnections(server, count)
    base, under, figures = compare(server, 3 if quick else 5, 2000, load)
    kept = min(load.held)
    out.check(under <= limit(base) and kept >= 0.99 * count,
              f"{count:,} idle connections: other requests p99 at most {LIMIT}x", f"{figures}, {kept:,} stayed open")


def room_for(root, wanted: int, out: report.Report, **options) -> tuple[gateway.Server, int]:
    """A server with room for ``wanted`` idle connections, or for as many as this machine's descriptors allow it.

    Idle ones may take nine tenths of ``limits.connections``: beyond, they are let go sooner.
    """
    limit = gateway.descriptor_limit(2 * wanted + 5_000)
    try:
        with gateway.server(root, connections=wanted * 10 // 8):
            pass
        return gateway.server(root, connections=wanted * 10 // 8, **options), wanted
    except RuntimeError as refused:
        allowed = (limit - 200) // 2
        out.skip(f"{wanted:,} idle connections", f"the server does not start: {str(refused).splitlines()[-1]}")
        return gateway.server(root, connections=allowed, **options), allowed * 8 // 10


def main(out: report.Report, quick: bool) -> None:
    with gateway.folder() as root:
        content.write(root / "film.bin", MIB)
        roomy, count = room_for(root, 2_000 if quick else 10_000, out)
        with roomy as server:
            with out.guarded("idle connections"):
                idle(server, count, quick, out)
            with out.guarded("slow headers"):
                slow_headers(server, quick, out)
                if not quick:
                    slow_headers_end(server, out)
            out.check(server.process.poll() is None, "the server is alive after all of it")


if __name__ == "__main__":
    report.run(main)
