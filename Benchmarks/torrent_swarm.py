"""A swarm on loopback, and who reads from it: seeders, relays, gateways, and the bare libtorrent program."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import measure

import gateway
from wire import Connection, WireError, fetch, request

PYTHON = "/usr/bin/python3"  # Debian's, which has python3-libtorrent
SEEDER = gateway.REPOSITORY / "Tests" / "Support" / "seeder.py"
FILM = "film.mkv"
MOUNT = "/torrent"


def missing() -> str:
    """What this machine lacks, as an advice, empty if nothing."""
    has = subprocess.run([PYTHON, "-c", "import libtorrent"], capture_output=True).returncode == 0
    return "" if has else "no libtorrent for Debian's python3: apt-get install python3-libtorrent"


class Program:
    """A child that answers each line with a line of JSON."""

    def __init__(self, *command: str) -> None:
        self.process = gateway.child(list(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                     env={"TMPDIR": tempfile.gettempdir(), "PATH": "/usr/bin:/bin"})

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self.end()

    def end(self) -> None:
        """Most clean up at the end of their input."""
        if self.process.poll() is None:
            self.process.stdin.close()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                pass
        gateway.end(self.process)

    def answer(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args[1]} ended")
        return json.loads(line)

    def ask(self, line: str) -> dict:
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.answer()


class Seeder(Program):
    """One of a torrent of one file, or of several, that is complete and sends as fast as it is asked."""

    def __init__(self, size: int, piece: int, seed: int = 1, *options: str) -> None:
        super().__init__(PYTHON, str(SEEDER), "--file", f"{FILM}:{size}", "--piece-size", str(piece), "--seed",
                         str(seed), *options)
        told = self.answer()
        self.port, self.magnet, self.hash = told["port"], told["magnet"], told["info_hash_v1"]
        self.file = Path(told["directory"]) / FILM
        self.size = size


class Relay(Program):
    """Stands before seeders; see relay.py."""

    def __init__(self, seeders: list[Seeder], rate: float, rtt: float = 60) -> None:
        super().__init__(PYTHON, str(measure.HERE / "relay.py"), "--rtt", str(rtt), "--rate", str(rate),
                         *(f"127.0.0.1:{seeder.port}" for seeder in seeders))
        self.rate = rate * len(seeders)
        peers = "".join(f"&x.pe=127.0.0.1:{port}" for port in self.answer()["ports"])
        self.magnet = re.sub("&x.pe=.*", "", seeders[0].magnet) + peers

    def counts(self) -> dict:
        """What was sent since the last time."""
        return self.ask("")


class Bare(Program):
    """torrent_bare.py, in a folder of its own."""

    kind = "bare"

    def __init__(self, *, has_own_disk: bool = False) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="bare.")
        super().__init__(PYTHON, str(measure.HERE / "torrent_bare.py"))
        self.command("start", has_own_disk=has_own_disk)

    def __exit__(self, *_) -> None:
        super().__exit__()
        self.folder.cleanup()

    def command(self, do: str, **arguments) -> dict:
        return self.ask(json.dumps({"do": do, **arguments}))

    def add(self, magnet: str) -> dict:
        return self.command("add", magnet=magnet, directory=self.folder.name)

    def download(self, magnet: str) -> dict:
        return self.command("download", magnet=magnet, directory=self.folder.name)

    def read(self, magnet: str) -> dict:
        return self.command("read", magnet=magnet, directory=self.folder.name)


class TorrentGateway(gateway.Server):
    """A gateway with a torrent source at ``/torrent`` that talks to this machine only."""

    def __init__(self, root: Path, *, limits: str = 'resolve_per_ip = "off"', prefix: list[str] | None = None,
                 config: str = '[cache]\nmin_free_disk = "0B"\n', **options) -> None:
        """``options`` are those of the torrent source, e.g. ``idle_after="1s"``; ``config`` are lines before it."""
        options = {"peer_listen": ["127.0.0.1:0"], "dht": False, "allow_private_addresses": True} | options
        lines = [f"{name} = {json.dumps(value)}" for name, value in options.items()]
        super().__init__(root, config="\n".join(
            [config, "[sources.torrent]", 'kind = "torrent"', f'mount = "{MOUNT}"', "",
             "[sources.torrent.options]", *lines, ""]), prefix=prefix)
        self.limits = limits

    def _command(self) -> list[str]:
        command = super()._command()
        config = self.home / "config.toml"
        config.write_text(config.read_text().replace("[limits]\n", f"[limits]\n{self.limits}\n"))
        return command

    def add(self, magnet: str) -> tuple[float, str]:
        """Brings a torrent in: the seconds until its files are known, and the path of the first one."""
        began = time.monotonic()
        path = self._post(magnet.encode(), "text/plain")
        return time.monotonic() - began, path

    def add_file(self, torrent: bytes) -> str:
        """The same with a .torrent; the path of its first file."""
        return self._post(torrent, "application/x-bittorrent")

    def _post(self, body: bytes, kind: str) -> str:
        with Connection(self.address, 60) as connection:
            connection.send(request(f"{MOUNT}/", "POST", [("Content-Type", kind)], body))
            reply = connection.reply()
        if reply.status not in (200, 201):
            raise RuntimeError(f"a torrent is answered {reply.status}: {reply.body[:200]!r}")
        return json.loads(reply.body)["files"][0]["url"]

    def torrent(self, hash: str) -> dict:
        """What the admin listener says of it; figures are up to a second old."""
        return json.loads(fetch(("127.0.0.1", self.admin_port), f"/admin/v1/torrents/{hash}").body)


class Player:
    """One open range of an object, from an offset on."""

    def __init__(self, server: gateway.Server, path: str, offset: int = 0) -> None:
        self.connection = Connection(server.address, 60, receive_buffer=256 << 10)
        self.began = time.monotonic()
        self.connection.send(request(path, fields=[("Range", f"bytes={offset}-")]))
        head = self.connection.head_only()
        if head.status != 206:
            raise RuntimeError(f"{path} from {offset} is answered {head.status}")
        self.size = int(head.header("content-length"))
        self.head = self.connection.read_some(1 << 16)
        self.received = len(self.head)
        self.first = time.monotonic() - self.began

    def __enter__(self) -> "Player":
        return self

    def __exit__(self, *_) -> None:
        self.connection.close()

    def parts(self) -> Iterator[bytes]:
        """All of it, as it comes."""
        yield self.head
        while self.received < self.size:
            part = self.connection.read_some(1 << 20)
            if not part:
                raise WireError(f"the body ended at {self.received} of {self.size} bytes")
            self.received += len(part)
            yield part

    def play(self, seconds: float, rate: float | None) -> None:
        """Reads for a while, at most ``rate`` bytes a second."""
        began, before = time.monotonic(), self.received
        for _ in self.parts():
            now = time.monotonic()
            if now > began + seconds:
                break
            if rate:
                time.sleep(min(max((self.received - before) / rate - (now - began), 0), seconds))

    def finish(self) -> float:
        """The seconds from the request to the last byte."""
        for _ in self.parts():
            pass
        return time.monotonic() - self.began
