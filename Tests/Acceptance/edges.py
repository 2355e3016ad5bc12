"""Two edges behind HAProxy as docs/edge.md has it: one is killed under 50 streams, and all end with right bytes."""

from __future__ import annotations

import re
import shutil
import threading
import time
from pathlib import Path

import content
import gateway
import report
from content import MIB
from http_origin import MOUNT, OriginGateway, base_of
from wire import Connection, WireError, fetch


class HAProxy(gateway.NginxServer):
    """HAProxy with the configuration of the documentation, its addresses replaced."""

    kind = "haproxy"

    def __init__(self, root: Path, edges: list[gateway.Server]) -> None:
        super().__init__(root)
        self.edges = edges

    def _command(self) -> list[str]:
        page = (gateway.REPOSITORY / "docs" / "edge.md").read_text()
        config = re.search(r"```haproxy\n(.*?)```", page, re.DOTALL)[1]
        self.port = self.port or gateway.free_port()
        for written, address in (("127.0.0.1:8000", f"127.0.0.1:{self.port}"),
                                 ("127.0.0.1:8081", f"127.0.0.1:{self.edges[0].port}"),
                                 ("127.0.0.1:8082", f"127.0.0.1:{self.edges[1].port}")):
            assert written in config, written
            config = config.replace(written, address)
        (self.home / "haproxy.cfg").write_text(config)
        return [_found(), "-db", "-f", str(self.home / "haproxy.cfg")]


def _found() -> str | None:
    return shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")


class Stream:
    """A player that reads an object whole, and asks for the rest where it was cut."""

    def __init__(self, address: tuple[str, int], path: str, size: int) -> None:
        self.address, self.path, self.size = address, path, size
        self.body = bytearray()
        self.cuts = 0
        self.fault = ""

    def run(self) -> None:
        until = time.monotonic() + 60
        while len(self.body) < self.size and time.monotonic() < until and not self.fault:
            try:
                self._read()
            except (OSError, WireError):
                self.cuts += 1
                time.sleep(0.2)

    def _read(self) -> None:
        with Connection(self.address, 10, receive_buffer=64 << 10) as client:
            client.send(f"GET {self.path} HTTP/1.1\r\nHost: h\r\nRange: bytes={len(self.body)}-\r\n\r\n".encode())
            head = client.head_only()
            if head.status >= 500:
                raise WireError(f"{head.status}")
            if head.header("content-range") != f"bytes {len(self.body)}-{self.size - 1}/{self.size}":
                self.fault = f"{head.status} {head.header('content-range')}"
                return
            while len(self.body) < self.size:
                part = client.read_some(256 << 10)
                if not part:
                    raise WireError("cut")
                self.body += part
                time.sleep(0.01)


def main(out: report.Report, quick: bool) -> None:
    if not _found():
        out.skip("HAProxy in front of two edges", "haproxy is not installed")
        return
    files, size = (8, 12 * MIB + 5) if quick else (16, 40 * MIB + 5)
    with gateway.folder("edges.") as root:
        written = [content.write(root / f"film-{number}", size, number) for number in range(files)]
        bodies = [file.read_bytes() for file in written]
        with gateway.NginxServer(root) as origin, OriginGateway(root, base_of(origin)) as shield:
            base = shield.url_of(MOUNT)
            with (OriginGateway(root, base, profile="proxy") as one, OriginGateway(root, base, profile="proxy") as two,
                  HAProxy(root, [one, two]) as balancer):
                _await_up(balancer)
                streams = [Stream(balancer.address, one.at_origin(written[number % files].name), size)
                           for number in range(50)]
                threads = [threading.Thread(target=stream.run) for stream in streams]
                for thread in threads:
                    thread.start()
                while any(len(stream.body) < size // 10 for stream in streams) and any(t.is_alive() for t in threads):
                    time.sleep(0.02)
                two.process.kill()
                for thread in threads:
                    thread.join()
    wrong = [stream.fault or f"{len(stream.body)} bytes" for number, stream in enumerate(streams)
             if stream.body != bodies[number % files]]
    cut = sum(stream.cuts > 0 for stream in streams)
    out.check(not wrong and 0 < cut < 50, "edges: one is killed under 50 streams, all end with right bytes",
              f"{cut} were cut and went on, {len(wrong)} wrong {wrong[:3]}")


def _await_up(balancer: HAProxy) -> None:
    until = time.monotonic() + 10
    while fetch(balancer.address, "/ping").status != 200 and time.monotonic() < until:
        time.sleep(0.05)
