"""Clients that want more than their share of the gateway's memory: by sending and not reading, by sending in halves."""

from __future__ import annotations

import socket
import threading
import time

import content
import gateway
import report
from content import MIB
from wire import Connection

ALLOWED_GROWTH = 24 * MIB


def resident(pid: int, field: str = "VmRSS") -> int:
    with open(f"/proc/{pid}/status") as status:
        for line in status:
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    return 0


def send_without_reading(address: tuple[str, int], request: bytes, amount: int) -> int:
    """Sends requests until ``amount`` bytes are gone or the gateway takes no more for a second; never reads."""
    with socket.create_connection(address, 5) as connection:
        connection.settimeout(1)
        block = request * max(1, 65536 // len(request))
        sent = 0
        try:
            while sent < amount:
                sent += connection.send(block[sent % len(request):])
        except (TimeoutError, OSError):
            pass
        return sent


def send_in_halves(address: tuple[str, int], path: str, amount: int) -> int:
    """Every send ends in the middle of the next request's head, and every answer is read."""
    request = f"GET {path} HTTP/1.1\r\nHost: a\r\n".encode() + b"X: " + b"y" * 7000 + b"\r\n" * 2
    half = len(request) // 2
    with Connection(address) as connection:
        connection.send(request[:half])
        sent = half
        while sent < amount:
            connection.send(request[half:] + request[:half])
            sent += len(request)
            connection.reply()
        return sent


def growth(server: gateway.Server, attack) -> tuple[int, int]:
    before = resident(server.pid)
    peak = before
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.005):
            peak = max(peak, resident(server.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        sent = attack()
    finally:
        done.set()
        watcher.join()
    return max(peak, resident(server.pid)) - before, sent


def main(out: report.Report, quick: bool) -> None:
    amount = (50 if quick else 300) * MIB
    with gateway.folder() as root:
        content.write(root / "small.bin", 10)
        with gateway.server(root) as server:
            ping = b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n"
            for what, attack in (
                ("pings sent, no answer read", lambda: send_without_reading(server.address, ping, amount)),
                ("a media request after another sent, no answer read", lambda: send_without_reading(
                    server.address, f"HEAD {server.path('small.bin')} HTTP/1.1\r\nHost: a\r\n\r\n".encode(), amount)),
                ("heads in halves", lambda: send_in_halves(server.address, server.path("small.bin"), amount // 2)),
            ):
                with out.guarded(what):
                    grown, sent = growth(server, attack)
                    out.check(grown < ALLOWED_GROWTH, f"{what}: memory grows by less than 24 MiB",
                              f"{grown / MIB:.1f} MiB at {sent / MIB:.0f} MiB sent")


if __name__ == "__main__":
    report.run(main)
