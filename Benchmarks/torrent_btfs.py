"""btfs, which mounts a torrent as a file system, beside the gateway on the same file from the same seeder.

btfs takes no peers from a magnet link and listens on every address. So all of this runs in a network of its own, as a
program below ``unshare``, and btfs has its peers from a tracker that is part of it.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import measure as measuring
from torrent_swarm import FILM, Player, Seeder, TorrentGateway

import gateway
from content import MIB

PATIENCE = 15


def missing() -> str:
    """Why it cannot run here, empty if it can."""
    lacking = measuring.missing({"btfs": "btfs", "fusermount": "fuse3", "unshare": "util-linux", "ip": "iproute2"})
    if lacking:
        return lacking
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "no /dev/fuse"
    alone = subprocess.run(["unshare", "--net", "true"], capture_output=True, text=True)
    return alone.stderr.strip()


class NothingReadError(Exception):
    """btfs runs, and gives no byte."""


def measure(size: int, seeks: int, rounds: int) -> dict[str, dict[str, list[float]]]:
    """For the gateway and for btfs: ``first`` byte from the start of either, ``speed`` of the whole, and ``seek``s."""
    script = "import json, sys, torrent_btfs; print(json.dumps(torrent_btfs.compare(*map(int, sys.argv[1:]))))"
    done = subprocess.run(["unshare", "--net", sys.executable, "-c", script, str(size), str(seeks), str(rounds)],
                          cwd=measuring.HERE, stdout=subprocess.PIPE, text=True, check=True, timeout=1200,
                          env=os.environ | {"TMPDIR": tempfile.gettempdir()}, preexec_fn=gateway.die_with_parent)
    found = json.loads(done.stdout.splitlines()[-1])
    if not found:
        raise NothingReadError(f"btfs gave no byte in {PATIENCE} s")
    return found


# In the network of its own


class Tracker(ThreadingHTTPServer):
    """Knows one peer."""

    def __init__(self) -> None:
        self.peer = b""
        tracker = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = b"d8:intervali60e5:peers6:" + tracker.peer + b"e"
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/announce"


class FileSystem:
    """A torrent, mounted."""

    def __init__(self, torrent: Path, home: Path) -> None:
        self.place = home / "mounted"
        self.place.mkdir()
        self.process = gateway.child([measuring.found("btfs"), "-f", f"--data-directory={home}", str(torrent),
                                      str(self.place)], stdout=subprocess.DEVNULL, env=os.environ | {"HOME": str(home)})

    def __enter__(self) -> "FileSystem":
        return self

    def __exit__(self, *_) -> None:
        # A read that waits ends with the process.
        self.process.kill()
        subprocess.run([measuring.found("fusermount"), "-u", "-z", str(self.place)], capture_output=True)
        gateway.end(self.process)

    def open(self) -> int:
        """Waits for the first byte, in a process of its own: such a read cannot be given up."""
        until = time.monotonic() + PATIENCE
        while not (self.place / FILM).exists():
            if time.monotonic() > until or self.process.poll() is not None:
                raise NothingReadError
            time.sleep(0.002)
        reading = gateway.child(["head", "-c", "1", str(self.place / FILM)], stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)
        try:
            reading.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise NothingReadError from None
        return os.open(self.place / FILM, os.O_RDONLY)


def compare(size: int, seeks: int, rounds: int) -> dict[str, dict[str, list[float]]]:
    """The figures; none if btfs reads nothing."""
    subprocess.run([measuring.found("ip"), "link", "set", "lo", "up"], check=True)
    found = {who: {"first": [], "speed": [], "seek": []} for who in ("gateway", "btfs")}
    tracker = Tracker()
    with gateway.folder("btfs.") as home:
        torrent = home / "film.torrent"
        with Seeder(size, MIB, 600, "--save-torrent", str(torrent), "--tracker", tracker.url) as seeder:
            tracker.peer = bytes([127, 0, 0, 1]) + seeder.port.to_bytes(2, "big")
            spots = [(number * 37 + 20) % (size // MIB) * MIB for number in range(1, seeks + 1)]
            for number in range(rounds):
                for one in (of_btfs, of_gateway)[:: -1 if number % 2 else 1]:
                    try:
                        for name, values in one(torrent, spots, size, home):
                            found[one.__name__.removeprefix("of_")][name] += values
                    except NothingReadError:
                        return {}
    return found


def of_gateway(torrent: Path, spots: list[int], size: int, home: Path) -> Iterator[tuple[str, list[float]]]:
    for places in (spots, None):
        with TorrentGateway(home) as server:
            began = time.monotonic()
            path = server.add_file(torrent.read_bytes())
            with Player(server, path) as player:
                yield "first", [time.monotonic() - began]
                if places is None:
                    player.finish()
                    yield "speed", [size / (time.monotonic() - began)]
            for place in places or []:
                with Player(server, path, place) as player:
                    yield "seek", [player.first]


def of_btfs(torrent: Path, spots: list[int], size: int, home: Path) -> Iterator[tuple[str, list[float]]]:
    for places in (spots, None):
        folder = Path(tempfile.mkdtemp(prefix="btfs.", dir=home))
        began = time.monotonic()
        with FileSystem(torrent, folder) as mounted:
            file = mounted.open()
            with contextlib.closing(os.fdopen(file, "rb", buffering=0)) as film:
                film.read(1)
                yield "first", [time.monotonic() - began]
                while places is None and film.read(MIB):
                    pass
                if places is None:
                    yield "speed", [size / (time.monotonic() - began)]
                for place in places or []:
                    start = time.monotonic()
                    os.pread(film.fileno(), 1, place)
                    yield "seek", [time.monotonic() - start]
        shutil.rmtree(folder, ignore_errors=True)
