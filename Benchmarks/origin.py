#!/usr/bin/env python3
"""Measures the http source beside nginx with ``slice`` and ``proxy_cache``, on the same origin in the same run.

    python3 Benchmarks/origin.py [--quick] [NAME ...]

Names choose:

    fill  all of an object that no cache has, from an nginx on this machine: 0.9 x the throughput of nginx slice
    seek  32 bytes at 5 GiB + 700 KiB of an object that no cache has, from an origin that sends 2 MB/s 20 ms away, which
          has been asked for something else before: at most one chunk is fetched, and the first byte comes within 1.3 x
          the time of a direct request

Both profiles are measured, in turn with the others. Needs nginx (Debian: nginx-light). Exits with 1 if a limit is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import measure
from peers import NginxSliceServer

import gateway
import report
from content import GIB, MIB, sparse, write
from gateway import MOUNT, NginxServer
from http_origin import OriginGateway
from wire import Connection

RATE, RTT = 2_000_000, 20
PLACE = 5 * GIB + 700 * 1024


class ProfileGateway(OriginGateway):
    """The gateway with an http source at the mount of the others."""

    def __init__(self, root: Path, origin: str, profile: str, **options) -> None:
        super().__init__(root, origin, profile=profile, mount="/cached", **options)
        self.kind = profile

    def path(self, name: str) -> str:
        return f"/cached/{name}"


@dataclass
class Fill:
    rate: float
    cpu: float


def read(server: gateway.Server, name: str, size: int) -> Fill:
    """Reads an object whole, as fast as it comes."""
    part = bytearray(256 << 10)
    cpu, began = measure.cpu_seconds(server.pid), time.monotonic()
    with Connection(server.address, 60) as client:
        client.send(f"GET {server.path(name)} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
        head = client.head_only()
        count = len(client.pending)
        if head.status != 200 or head.header("content-length") != str(size):
            raise RuntimeError(f"{server.kind}: {head.status}, {head.header('content-length')} bytes announced")
        while count < size:
            got = client.socket.recv_into(part)
            if not got:
                raise RuntimeError(f"{server.kind}: the body ended at {count} of {size} bytes")
            count += got
    seconds = time.monotonic() - began
    return Fill(size / seconds / 1e6, (measure.cpu_seconds(server.pid) - cpu) / (size / GIB))


def fill(root: Path, rounds: int, size: int, out: report.Report) -> None:
    os.sched_setaffinity(0, {measure.CLIENT_CORE})
    pin = measure.ON_SERVER_CORE
    with NginxServer(root, prefix=measure.ON_CLIENT_CORE) as origin:
        base = f"{origin.origin}{MOUNT}/"
        with (ProfileGateway(root, base, "media", prefix=pin) as media,
              ProfileGateway(root, base, "proxy", prefix=pin) as proxy, NginxSliceServer(root, prefix=pin) as slices):
            servers = [media, proxy, slices]
            runs: dict[str, list[Fill]] = {server.kind: [] for server in servers}
            for number in range(rounds + 1):
                write(root / f"film-{number}", size, number)
                for server in measure.in_turn(servers, number):
                    run = read(server, f"film-{number}", size)
                    if number:
                        runs[server.kind].append(run)
                    time.sleep(0.5)  # what is being written to the disk is written
                (root / f"film-{number}").unlink()
    print("| cold fill | MB/s | spread | CPU s/GiB |\n|---|---|---|---|")
    for kind, of in runs.items():
        rates = [run.rate for run in of]
        print(f"| {kind} | {statistics.median(rates):.0f} | {min(rates):.0f}–{max(rates):.0f} "
              f"| {statistics.median(run.cpu for run in of):.2f} |")
    for kind in ("media", "proxy"):
        ratio = statistics.median(own.rate / peer.rate for own, peer in zip(runs[kind], runs[slices.kind]))
        out.check(ratio >= 0.9, f"cold fill, profile {kind}: at least 0.9 x nginx slice", f"{ratio:.2f} x")


class SlowOrigin:
    """nginx behind a link of its own."""

    def __init__(self, origin: NginxServer) -> None:
        self.process = gateway.child(
            [sys.executable, str(measure.HERE / "relay.py"), "--rtt", str(RTT), "--rate", str(RATE),
             f"127.0.0.1:{origin.port}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = json.loads(self.process.stdout.readline())["ports"][0]

    def __enter__(self) -> "SlowOrigin":
        return self

    def __exit__(self, *_) -> None:
        self.process.stdin.close()
        gateway.end(self.process)

    def sent(self) -> int:
        """Bytes since the last time."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())["wire"]


def first_byte(address: tuple[str, int], path: str, expected: bytes) -> float:
    began = time.monotonic()
    with Connection(address, 60) as client:
        client.send(f"GET {path} HTTP/1.1\r\nHost: h\r\nRange: bytes={PLACE}-{PLACE + 31}\r\n\r\n".encode())
        head = client.head_only()
        first = client.read_some(1)
        seconds = time.monotonic() - began
        body = first
        while len(body) < 32:
            body += client.read_some(32 - len(body))
    if head.status != 206 or body != expected:
        raise RuntimeError(f"{path}: {head.status}, wrong bytes")
    return seconds


def seek(root: Path, rounds: int, out: report.Report) -> None:
    times: dict[str, list[float]] = {"direct": [], "media": [], "proxy": []}
    fetched: dict[str, list[int]] = {"direct": [], "media": [], "proxy": []}
    write(root / "warm", 1000, 1)
    with NginxServer(root) as origin, SlowOrigin(origin) as slow:
        for number in range(rounds):
            name = f"huge-{number}"
            file = sparse(root / name, 6 * GIB, [PLACE])
            with file.open("rb") as handle:
                handle.seek(PLACE)
                expected = handle.read(32)
            base = f"http://127.0.0.1:{slow.port}{MOUNT}/"
            with ProfileGateway(root, base, "media") as media, ProfileGateway(root, base, "proxy") as proxy:
                for kind, address, path in (("direct", ("127.0.0.1", slow.port), f"{MOUNT}/{name}"),
                                            ("media", media.address, media.path(name)),
                                            ("proxy", proxy.address, proxy.path(name))):
                    with Connection(address, 60) as client:
                        client.get(path.replace(name, "warm"))
                    slow.sent()
                    times[kind].append(first_byte(address, path, expected))
                    count = slow.sent()
                    while more := (time.sleep(0.3) or slow.sent()):
                        count += more
                    fetched[kind].append(count)
            file.unlink()
    print("| seek | first byte ms | from the origin KiB |\n|---|---|---|")
    for kind, of in times.items():
        print(f"| {kind} | {statistics.median(of) * 1000:.0f} | {max(fetched[kind]) / 1024:.0f} |")
    for kind in ("media", "proxy"):
        ratio = statistics.median(own / direct for own, direct in zip(times[kind], times["direct"]))
        out.check(ratio <= 1.3, f"seek, profile {kind}: first byte within 1.3 x a direct request", f"{ratio:.2f} x")
        # Heads count as well.
        out.check(max(fetched[kind]) <= MIB + 8192, f"seek, profile {kind}: at most one chunk is fetched",
                  f"{max(fetched[kind]) / 1024:.0f} KiB")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="3 rounds of 64 MiB")
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[[], "fill", "seek"], help="what is measured")
    chosen = parser.parse_args()
    out = measure.begin({"nginx": "nginx-light", "taskset": "util-linux"}, 1200)
    if out is None:
        return 1
    rounds, size = (3, 64 * MIB) if chosen.quick else (7, 256 * MIB)
    with gateway.folder("bench.") as root:
        if "seek" in (chosen.names or ["seek"]):
            with out.guarded("seek"):
                seek(root, rounds, out)
        if "fill" in (chosen.names or ["fill"]):
            with out.guarded("fill"):
                fill(root, rounds, size, out)
    return out.finish()


if __name__ == "__main__":
    sys.exit(main())
