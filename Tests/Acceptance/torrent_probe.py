"""A gateway with a torrent source on loopback, the swarms it finds there, and what can be seen of its torrents."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import random
import re
import socket
import subprocess
import threading
import time
from pathlib import Path
from urllib.parse import quote

import cache_probe
import content
import gateway
from content import KIB, MIB
from wire import Connection, Reply, WireError, fetch, request

MOUNT = "/torrent"
# The one that has the binding of libtorrent.
PYTHON = "/usr/bin/python3"


def missing() -> str | None:
    done = subprocess.run([PYTHON, "-c", "import libtorrent"], capture_output=True) if Path(PYTHON).exists() else None
    return None if done is not None and done.returncode == 0 else "python3-libtorrent is not installed"


# Swarms


class Torrent:
    """A torrent that somebody seeds: what it is called, and its bytes."""

    def __init__(self, said: dict) -> None:
        self.hash: str = said["info_hash_v1"]
        self.magnet: str = said["magnet"]
        self.pieces: int = said["pieces"]
        self.piece_length: int = said["piece_length"]
        self.port: int = said["port"]
        self.file: str | None = said["torrent"]
        self.files = [(entry["path"], entry["size"]) for entry in said["files"] if not entry["is_pad"]]
        self.directory = said["directory"]

    def path(self, index: int = 0) -> str:
        """Where a file is on the data listener."""
        return f"{MOUNT}/{self.hash}/{quote(self.files[index][0])}"

    def size(self, index: int = 0) -> int:
        return self.files[index][1]

    def content(self, index: int = 0) -> bytes:
        """As it is on the seeder's disk."""
        return (Path(self.directory) / self.files[index][0]).read_bytes()

    @property
    def query(self) -> str:
        return self.magnet.removeprefix("magnet:?")


class Seeder:
    """A process that seeds, until it is killed."""

    def __init__(self, program: Path, arguments: list[str]) -> None:
        self.process = gateway.child([PYTHON, str(program), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                     env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"a seeder did not start: {arguments}")
        said = json.loads(line)
        self.torrents = [Torrent(entry) for entry in (said if isinstance(said, list) else [said])]

    @property
    def torrent(self) -> Torrent:
        return self.torrents[0]

    def __enter__(self) -> "Seeder":
        return self

    def __exit__(self, *_) -> None:
        self.kill()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)


def seed(folder: Path, *files: str, piece: int = 256 * KIB, **options) -> Seeder:
    """Made-up bytes: ``PATH:BYTES`` each, of one torrent in ``folder``. ``options`` as the program has them."""
    arguments = [f"--file={file}" for file in files] + [f"--piece-size={piece}", f"--directory={folder}"]
    for name, value in options.items():
        arguments.append(f"--{name.replace('_', '-')}={value}")
    return Seeder(gateway.REPOSITORY / "Tests" / "Support" / "seeder.py", arguments)


def seed_files(paths: list[Path], **options) -> Seeder:
    """Each file or folder a torrent of its own."""
    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    return Seeder(Path(__file__).parent / "torrent_seed.py", arguments + [str(path) for path in paths])


class Tracker:
    """Tells everybody who asks of the same peers: an HTTP tracker (BEP 3, BEP 23)."""

    def __init__(self, ports: list[int], address: str = "127.0.0.1") -> None:
        peers = b"".join(socket.inet_aton(address) + port.to_bytes(2, "big") for port in ports)
        self.answer = b"d8:intervali5e12:min intervali1e5:peers%d:%se" % (len(peers), peers)
        self.asked = 0

    def __enter__(self) -> "Tracker":
        tracker = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                tracker.asked += 1
                self.send_response(200)
                self.send_header("Content-Length", str(len(tracker.answer)))
                self.end_headers()
                self.wfile.write(tracker.answer)

            def log_message(self, *_) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self.server.shutdown()
        self.server.server_close()

    @property
    def link(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/announce"


@contextlib.contextmanager
def swarm(*sizes: int, piece: int = 256 * KIB, rate: int = 0, tracked: bool = True):
    """Made-up files, each a torrent; the seeder of all. Their links name it, and a tracker that knows it."""
    with gateway.folder("seed.") as folder:
        files = [content.write(folder / f"film {number:02}.mkv", size) for number, size in enumerate(sizes)]
        with seed_files(files, piece_size=piece, rate=rate) as seeder, Tracker([seeder.torrent.port]) as tracker:
            for torrent in seeder.torrents if tracked else []:
                torrent.magnet += "&tr=" + quote(tracker.link, safe="")
            yield seeder


# The gateway


class TorrentServer(gateway.Server):
    """A gateway whose torrents find peers on this machine alone. ``torrent`` are lines of the source's options."""

    def __init__(self, torrent: str = "", *, torrents_cached: bool = True, first_byte: str = "60s",
                 resolve: str = "off", chunk: str = "256KiB", state: Path | None = None, compat: bool = True,
                 add: str = "local") -> None:
        cache = f'[cache]\nsize = "512MiB"\nchunk_size = "{chunk}"\nmin_free_disk = "0B"\n'
        super().__init__("/", cached=False, config=cache + f"[compat]\nenabled = {str(compat).lower()}\n")
        self.root = self.home / "media"
        self.root.mkdir()
        self.state = state or self.home / "state"
        self.torrent = torrent
        self.torrents_cached = torrents_cached
        self.first_byte = first_byte
        self.resolve = resolve
        self.add_policy = add

    def _command(self) -> list[str]:
        command = super()._command()
        (self.home / "plugins.d" / "torrent.toml").write_text(
            f'kind = "torrent"\nmount = "{MOUNT}"\ncache = {str(self.torrents_cached).lower()}\n'
            f'first_byte_deadline = "{self.first_byte}"\n\n[options]\nadd = "{self.add_policy}"\n'
            f'state_dir = "{self.state}"\npeer_listen = ["127.0.0.1:0"]\ndht = false\n'
            f'allow_private_addresses = true\n{self.torrent}\n')
        return command + ["--set", f"limits.resolve_per_ip={self.resolve}"]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    # Asking

    def get(self, path: str, fields: list[tuple[str, str]] | None = None, method: str = "GET",
            timeout: float = 30) -> Reply:
        return fetch(self.address, path, method, fields, timeout)

    def post(self, path: str, body: bytes, content_type: str | None = "text/plain",
             fields: list[tuple[str, str]] | None = None, timeout: float = 40) -> Reply:
        typed = [("Content-Type", content_type)] if content_type else []
        with Connection(self.address, timeout) as connection:
            connection.send(request(path, "POST", typed + (fields or []), body))
            return connection.reply("POST")

    def bring_in(self, torrent: Torrent) -> dict:
        """Adds it by its magnet link; the item."""
        reply = self.post(f"{MOUNT}/", torrent.magnet.encode())
        if reply.status not in (200, 201):
            raise WireError(f"adding answered {reply}: {reply.body[:300]!r}")
        return json.loads(reply.body)

    def ask_admin(self, path: str, method: str = "GET") -> Reply:
        return fetch(cache_probe.admin(self), path, method)

    # What is to be seen

    def status(self, torrent: Torrent | str) -> dict | None:
        """As the admin listener gives it; ``None`` if it is not known."""
        name = torrent if isinstance(torrent, str) else torrent.hash
        reply = self.ask_admin(f"/admin/v1/torrents/{name}")
        return json.loads(reply.body) if reply.status == 200 else None

    def statuses(self) -> list[dict]:
        return json.loads(self.ask_admin("/admin/v1/torrents").body)["torrents"]

    def told(self, torrent: Torrent) -> str:
        """For a fault: its state, and which pieces are there."""
        status = self.status(torrent) or {}
        runs = self.ask_admin(f"/admin/v1/torrents/{torrent.hash}/pieces").body.decode(errors="replace")
        return f"{status.get('state', 'unknown')}, {status.get('peers')} peers, {runs}"

    def is_loaded(self, torrent: Torrent) -> bool:
        status = self.status(torrent)
        return status is not None and status["state"] != "stored"

    def readers(self) -> int:
        return sum(status["readers"] for status in self.statuses())

    def memory(self, kind: str = "RssAnon") -> int:
        """Bytes of the process."""
        return int(re.search(rf"{kind}:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text())[1]) * KIB

    def read_of_torrents(self) -> float:
        """Bytes that the source has given since the start."""
        return cache_probe.metrics(self)("source_read_bytes_total", source="torrent")

    def on_disk(self) -> int:
        """Bytes that files of torrents take."""
        total = 0
        for folder, names, files in os.walk(self.state):
            if folder == str(self.state) and "records" in names:
                names.remove("records")
            for file in files:
                try:
                    total += os.lstat(os.path.join(folder, file)).st_blocks * 512
                except FileNotFoundError:
                    continue
        return total


def await_true(condition, seconds: float, every: float = 0.05) -> float | None:
    """The seconds until ``condition()`` held; ``None`` if it did not in time."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > seconds:
            return None
        time.sleep(every)
    return time.monotonic() - began


def await_text(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:.1f} s"


class Paused:
    """A player that has begun to read a file and takes no more."""

    def __init__(self, server: TorrentServer, path: str, first: int = 0, taken: int = 64 * KIB) -> None:
        self.connection = Connection(server.address, 30, receive_buffer=32 * KIB)
        self.connection.send(request(path, fields=[("Range", f"bytes={first}-")]))
        self.reply = self.connection.head_only()
        self.first = first
        self.body = bytearray()
        if self.reply.status in (200, 206):
            while len(self.body) < taken and (part := self.connection.read_some(taken - len(self.body))):
                self.body += part

    def __enter__(self) -> "Paused":
        return self

    def __exit__(self, *_) -> None:
        self.connection.close()

    def rest(self) -> bytes:
        """All that comes until the announced end, or until the connection ends."""
        length = int(self.reply.header("content-length") or 0)
        while len(self.body) < length and (part := self.connection.read_some(min(MIB, length - len(self.body)))):
            self.body += part
        return bytes(self.body)


class Players:
    """Readers that ask for random ranges of some files, hang up on most, and compare each byte that came."""

    def __init__(self, server: TorrentServer, torrents: list[Torrent], seed: str) -> None:
        self.server = server
        self.files = [(torrent.path(), torrent.content()) for torrent in torrents]
        self.seed = seed
        self.done = self.hung_up = self.compared = self.wrong = 0
        self.faults: list[str] = []
        self.lock = threading.Lock()

    def run(self, players: int, count: int) -> None:
        """So many seeks more, shared by so many players."""
        shares = [count // players + (n < count % players) for n in range(players)]
        before = self.done
        threads = [threading.Thread(target=self._player, args=(f"{self.seed} after {before} player {n}", share))
                   for n, share in enumerate(shares)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _player(self, seed: str, share: int) -> None:
        source = random.Random(seed)
        for _ in range(share):
            path, content = source.choice(self.files)
            first = source.randrange(len(content))
            taken = min(int(2 ** source.uniform(10, 22)), len(content) - first)
            try:
                self._seek(path, content, first, taken)
            except (WireError, OSError) as error:
                with self.lock:
                    self.faults.append(f"{path} at {first}: {type(error).__name__} {error}")
            with self.lock:
                self.done += 1

    def _seek(self, path: str, content: bytes, first: int, taken: int) -> None:
        with Connection(self.server.address, 60) as connection:
            connection.send(request(path, fields=[("Range", f"bytes={first}-")]))
            reply = connection.head_only()
            if reply.status != 206 or reply.header("content-length") != str(len(content) - first):
                raise WireError(f"{reply.status} with length {reply.header('content-length')}")
            got = bytearray()
            while len(got) < taken and (part := connection.read_some(taken - len(got))):
                got += part
            if first + taken < len(content):
                connection.reset()
        wrong = 0 if content[first:first + len(got)] == got else sum(
            a != b for a, b in zip(got, content[first:first + len(got)]))
        with self.lock:
            self.compared += len(got)
            self.wrong += wrong
            self.hung_up += first + taken < len(content)
            if len(got) < taken or wrong:
                self.faults.append(f"{path} at {first}: {len(got)} of {taken} bytes, {wrong} wrong")
