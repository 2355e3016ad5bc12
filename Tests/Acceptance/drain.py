"""SIGTERM: streams that move complete, those that stall are cut at the deadline, a second signal hurries."""

from __future__ import annotations

import signal
import socket
import threading
import time

import content
import gateway
import report
from content import KIB, MIB
from wire import Connection, fetch, request

STREAMS, IDLE, STALLED = 20, 50, 50


class PacedStream(threading.Thread):
    """Reads a whole file over ``seconds``."""

    def __init__(self, server: gateway.Server, name: str, size: int, seconds: float) -> None:
        super().__init__(daemon=True)
        self.size, self.seconds = size, seconds
        self.received = bytearray()
        self.connection = Connection(server.address, timeout=20, receive_buffer=64 * KIB)
        self.connection.send(request(server.path(name)))
        self.connection.head_only()

    def run(self) -> None:
        began = time.monotonic()
        with self.connection:
            while len(self.received) < self.size:
                ahead = len(self.received) / self.size * self.seconds - (time.monotonic() - began)
                if ahead > 0:
                    time.sleep(ahead)
                try:
                    part = self.connection.read_some(min(128 * KIB, self.size - len(self.received)))
                except OSError:
                    return
                if not part:
                    return
                self.received += part


def stalled_reader(server: gateway.Server, name: str, offset: int = 0) -> Connection:
    """Asks for a file and reads the head alone."""
    connection = Connection(server.address, receive_buffer=4 * KIB)
    connection.send(request(server.path(name), fields=[("Range", f"bytes={offset}-")]))
    connection.head_only()
    return connection


def idle_connection(server: gateway.Server, name: str) -> Connection:
    connection = Connection(server.address)
    connection.get(server.path(name), "HEAD")
    return connection


def exit_of(server: gateway.Server, began: float, patience: float) -> tuple[int | None, float]:
    """The exit code, ``None`` if it still runs, and the seconds since ``began``."""
    try:
        code = server.process.wait(patience)
    except Exception:  # TimeoutExpired: told by the code
        code = None
    return code, time.monotonic() - began


def refuses_new(server: gateway.Server, within: float) -> float | None:
    """Seconds until a new connection is refused or ended unanswered, ``None`` if it never is."""
    began = time.monotonic()
    while time.monotonic() - began < within:
        try:
            with socket.create_connection(server.address, 0.5) as probe:
                probe.sendall(request("/ping"))
                if probe.recv(1) == b"":
                    return time.monotonic() - began
        except OSError:
            return time.monotonic() - began
        time.sleep(0.01)
    return None


def drains(root, out: report.Report) -> None:
    size, seconds = 24 * MIB, 5.0
    expected = content.write(root / "stream.bin", size).read_bytes()
    with gateway.server(root, drain="20s") as server:
        idle = [idle_connection(server, "stream.bin") for _ in range(IDLE)]
        streams = [PacedStream(server, "stream.bin", size, seconds) for _ in range(STREAMS)]
        for stream in streams:
            stream.start()
        time.sleep(0.5)
        began = time.monotonic()
        server.terminate()
        refused = refuses_new(server, 2)
        idle_ended = sum(connection.leftover(1) == b"" for connection in idle)
        code, took = exit_of(server, began, 25)
        for stream in streams:
            stream.join(25)
        complete = sum(bytes(stream.received) == expected for stream in streams)
        for connection in idle:
            connection.close()
    out.check(complete == STREAMS, f"SIGTERM: {STREAMS} streams of {seconds:.0f} s complete", f"{complete} byte-exact")
    out.check(code == 0 and took < seconds + 1.5 + report.spare(3), "SIGTERM: exit 0 once they have",
              f"code {code} after {took:.1f} s")
    out.check(refused is not None and refused < 0.1 + report.spare(1), "SIGTERM: new connections are refused within 100 ms",
              "never" if refused is None else f"{refused * 1000:.0f} ms")
    out.check(idle_ended == IDLE, f"SIGTERM: {IDLE} idle connections end", f"{idle_ended} ended")


def has_an_end(root, out: report.Report) -> None:
    content.write(root / "large.bin", 64 * MIB)
    limit = 3
    with gateway.server(root, drain=f"{limit}s") as server:
        readers = [stalled_reader(server, "large.bin", n * MIB) for n in range(STALLED)]
        began = time.monotonic()
        server.terminate()
        code, took = exit_of(server, began, limit + 15)
        for reader in readers:
            reader.close()
    out.check(code == 0 and limit - 0.5 < took <= limit + 1 + report.spare(3),
              f"SIGTERM with {STALLED} stalled readers: exit 0 at the drain deadline of {limit} s + 1 s at most",
              f"code {code} after {took:.2f} s")


def hurries(root, out: report.Report) -> None:
    content.write(root / "large.bin", 64 * MIB)
    for first, second in ((signal.SIGTERM, signal.SIGTERM), (signal.SIGTERM, signal.SIGINT),
                          (signal.SIGINT, signal.SIGINT)):
        what = f"{first.name}, then {second.name}: exit within 1 s"
        with out.guarded(what), gateway.server(root, drain="30s") as server:
            readers = [stalled_reader(server, "large.bin", n * MIB) for n in range(5)]
            server.process.send_signal(first)
            time.sleep(0.5)
            waits = server.process.poll() is None
            began = time.monotonic()
            server.process.send_signal(second)
            code, took = exit_of(server, began, 10)
            for reader in readers:
                reader.close()
            out.check(waits and code is not None and took < 1 + report.spare(3), what,
                      f"code {code} after {took:.2f} s, {'draining' if waits else 'gone'} before")


def starts_again(root, out: report.Report) -> None:
    """The same port at once, while connections of the last run are in TIME_WAIT."""
    file = content.write(root / "again.bin", MIB)
    tally = report.Tally()
    with gateway.server(root, drain="1s") as server:
        for _ in range(5):
            with stalled_reader(server, "again.bin"):
                server.restart()
            tally.expect(fetch(server.address, server.path("again.bin")).body == file.read_bytes(), "bytes")
    tally.into(out, "restarts on the same port at once")


def main(out: report.Report, quick: bool) -> None:
    with gateway.folder() as root:
        for check in (drains, has_an_end, hurries, starts_again):
            with out.guarded(check.__name__):
                check(root, out)


if __name__ == "__main__":
    report.run(main)
