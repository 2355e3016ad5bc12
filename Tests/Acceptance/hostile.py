"""Hostile and odd torrents and magnet links through HTTP: each is answered as it should be, and nothing else happens.

    python3 Tests/Acceptance/hostile.py [--quick] [--list FILE]

The set is that of hostile_torrents.py. What is accepted is loaded as well, so that libtorrent meets its names, trackers
and peers. The gateway runs in a network of its own in which every address leads back to the machine or to nowhere, and
every packet is seen; a name server there says of every name that it is an address inside. It runs below strace, which
tells what it makes and where. Without the right to such a network, or without strace, the lines that need them are
skipped.
"""

from __future__ import annotations

import contextlib
import ctypes
import ipaddress
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_to_bytes

import gateway
import report
from wire import Connection, WireError, fetch, request

MIB = 1 << 20
SECONDS, MEMORY = 1.0, 50 * MIB
# How long a magnet link may look for peers here; there are none.
PATIENCE = 1.0
ALLOWED = ("9.9.9.9", 6881)  # a peer of some of the links, which has to be tried

SOURCE = f"""
[sources.torrent]
kind = "torrent"
mount = "/torrent"
first_byte_deadline = "1s"
[sources.torrent.options]
peer_listen = ["0.0.0.0:0", "[::]:0"]
dht = false
protocol_v2 = true
max_active = 10000
metadata_timeout = "{PATIENCE:.0f}s"
allow_private_addresses = false
"""


@dataclass
class Answer:
    what: str
    expected: str
    status: int
    seconds: float
    growth: int
    detail: str = ""

    @property
    def line(self) -> str:
        return f"| {self.what} | {self.expected} | {self.status} {self.detail} | {self.seconds * 1e3:.0f} ms " \
               f"| {self.growth / MIB:.1f} MiB |"


# A network of its own


def enter_own_network() -> str:
    """Puts this thread, and what it starts, into a network that leads nowhere else; if it cannot, why not."""
    if not shutil.which("ip", path=os.environ["PATH"] + ":/usr/sbin"):
        return "no ip: apt-get install iproute2"
    new_network = 0x40000000
    if ctypes.CDLL(None, use_errno=True).unshare(new_network) != 0:
        return f"a network of its own: {os.strerror(ctypes.get_errno())}"
    # With a way out that ends nowhere, or libtorrent would look for nobody out there.
    for command in ("ip link set lo up", "ip route add local 0.0.0.0/0 dev lo", "ip -6 route add local ::/0 dev lo",
                    "ip link add out type veth peer name far", "ip addr add 8.8.4.4/24 dev out",
                    "ip link set far up", "ip link set out up arp off", "ip route add default dev out"):
        done = subprocess.run(command.split(), capture_output=True, text=True,
                              env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
        if done.returncode != 0 and "-6" not in command:
            return f"{command}: {done.stderr.strip()}"
    return ""


class Watch:
    """Sees every attempt to reach somebody: TCP connections begun and UDP packets, by address and port."""

    def __init__(self) -> None:
        self.tried: dict[tuple[str, str, int], int] = {}
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))  # ETH_P_ALL
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        outgoing = 4
        while True:
            packet, (_, _, kind, *_) = self.socket.recvfrom(256)
            if kind == outgoing:
                with contextlib.suppress(struct.error, ValueError):
                    self._note(packet[14:])

    def _note(self, packet: bytes) -> None:
        if packet[0] >> 4 == 4:
            protocol, address, rest = packet[9], packet[16:20], packet[(packet[0] & 15) * 4:]
        else:
            protocol, address, rest = packet[6], packet[24:40], packet[40:]
        _, port = struct.unpack_from(">HH", rest)
        if protocol == socket.IPPROTO_TCP and rest[13] & 0x12 == 0x02:  # SYN without ACK
            self._count("tcp", address, port)
        elif protocol == socket.IPPROTO_UDP:
            self._count("udp", address, port)

    def _count(self, protocol: str, address: bytes, port: int) -> None:
        key = (protocol, str(ipaddress.ip_address(address)), port)
        self.tried[key] = self.tried.get(key, 0) + 1


class LyingNames:
    """A name server at the address the system asks; every name is an address that must not be reached."""

    def __init__(self) -> None:
        servers = re.findall(r"^nameserver\s+(\S+)", Path("/etc/resolv.conf").read_text(), re.MULTILINE)
        self.addresses = {server.split("%")[0] for server in servers} or {"127.0.0.1"}
        self.asked = 0
        self.ports: set[int] = set()
        for address in self.addresses:
            server = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
            server.bind((address, 53))
            threading.Thread(target=self._answer, args=(server,), daemon=True).start()

    def _answer(self, server: socket.socket) -> None:
        while True:
            query, client = server.recvfrom(2048)
            self.asked += 1
            self.ports.add(client[1])
            end = query.index(b"\0", 12) + 5
            wanted = struct.unpack(">H", query[end - 4:end - 2])[0]
            inside = {1: bytes([10, 9, 8, 7]), 28: ipaddress.ip_address("fd00::1").packed}.get(wanted)
            head = query[:2] + struct.pack(">HHHHH", 0x8180, 1, 1 if inside else 0, 0, 0)
            record = b"\xc0\x0c" + struct.pack(">HHIH", wanted, 1, 1, len(inside)) + inside if inside else b""
            server.sendto(head + query[12:end] + record, client)


# One at a time


class Target:
    """The gateway, and what an answer costs it."""

    def __init__(self, server: gateway.Server) -> None:
        self.server = server

    def post(self, body: bytes, kind: str) -> tuple[int, bytes, float, int]:
        """Status, body, seconds, and how far the resident memory went up."""
        before = self.mark()
        with Connection(self.server.address, 30) as connection:
            began = time.monotonic()
            sent = request("/torrent/", "POST", [("Content-Type", kind), ("Content-Length", str(len(body)))]) + body
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.send(sent)  # one that is too long is answered before it is all there
            try:
                reply = connection.reply()
                status, answer = reply.status, reply.body
            except WireError as error:
                status, answer = 0, str(error).encode()
            seconds = time.monotonic() - began
        return status, answer, seconds, self.peak() - before

    def mark(self) -> int:
        """From now on the peak is that of what follows; what it is now."""
        Path(f"/proc/{self.server.pid}/clear_refs").write_text("5")
        return self.peak()

    def peak(self) -> int:
        """Bytes of resident memory, at most since the mark."""
        status = Path(f"/proc/{self.server.pid}/status").read_text()
        found = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
        if not found:
            raise ProcessLookupError("the gateway has ended")
        return int(found[1]) << 10


def torrents(target: Target, directory: Path, manifest: list[dict]) -> tuple[list[Answer], list[str]]:
    """The answers, and the paths of URLs of what was accepted."""
    answers, urls = [], []
    for expected in manifest:
        body = (directory / expected["file"]).read_bytes()
        status, answer, seconds, growth = target.post(body, "application/x-bittorrent")
        found = Answer(expected["file"].removesuffix(".torrent"), expected["expect"], status, seconds, growth)
        if status in (200, 201):
            document = json.loads(answer)
            found.detail = fault_of(document, expected) if expected["expect"] == "accept" else "accepted"
            urls += [file["url"] for file in document["files"][:1] + document["files"][-1:] if file["length"]]
        elif 400 <= status < 500:
            found.detail = json.loads(answer).get("detail", "")[:110]
        answers.append(found)
    return answers, urls


def fault_of(document: dict, expected: dict) -> str:
    """Where the files that are shown differ from those there are; empty if nowhere."""
    wanted = {file["index"]: file for file in expected["files"] if not file["pad"] and not file["link"]}
    shown = {file["index"]: file for file in document["files"]}
    if wanted.keys() != shown.keys():
        return f"files {sorted(shown)[:9]} are shown, not {sorted(wanted)[:9]}"
    if document["hash"] not in (expected["v1"], expected["v2"]):
        return f"the hash is {document['hash']}"
    for index, file in wanted.items():
        parts = shown[index]["url"].split("/")
        path = [unquote_to_bytes(part) for part in parts[3:]]
        exact = [unquote_to_bytes(part) for part in file["path"].split("/")]
        if shown[index]["length"] != file["size"]:
            return f"file {index} has {shown[index]['length']} bytes"
        if path != [b"~%d" % index] and path != exact:
            return f"file {index} is {path}, not {exact}"
        name = b"/".join(exact[1:] or exact).decode(errors="replace")
        if path == [b"~%d" % index] and shown[index]["path"] not in (name, b"/".join(exact).decode(errors="replace")):
            return f"file {index} is shown as {shown[index]['path']!r}"
    return ""


def magnets(target: Target, manifest: list[dict]) -> list[Answer]:
    answers = []
    for number, expected in enumerate(manifest):
        status, answer, seconds, growth = target.post(expected["link"].encode(), "text/plain")
        name = f"magnet {number:02} `{expected['link'][:60]!a}`".replace("|", "\\|")
        detail = ""
        with contextlib.suppress(ValueError):
            detail = json.loads(answer).get("detail", "")[:110]
        # Nobody has it: the time is that of the search, which is not the link's.
        if expected["expect"] == "accept" and status == 504:
            seconds = max(seconds - PATIENCE, 0)
        answers.append(Answer(name, expected["expect"], status, seconds, growth, detail))
    return answers


def asked_for_a_byte(server: gateway.Server, url: str) -> int:
    """The status; it loads the torrent. Nobody has it, so the wait ends at its deadline, or with the torrent."""
    try:
        with Connection(server.address, 30) as connection:
            return connection.get(url, fields=[("Range", "bytes=0-0")]).status
    except (WireError, OSError):
        return 0


def load(server: gateway.Server, urls: list[str]) -> list[int]:
    # In threads of this thread, and so in its network.
    with ThreadPoolExecutor(32) as pool:
        return list(pool.map(lambda url: asked_for_a_byte(server, url), urls))


def meet_addresses(target: Target, directory: Path, manifest: list[dict]) -> int:
    """Loads those that differ only in where they lead to, one after the other: they have the same hash.

    How many there are.
    """
    count = 0
    admin = ("127.0.0.1", target.server.admin_port)
    with ThreadPoolExecutor(32) as pool:
        for expected in manifest:
            if expected["category"] != "url" or expected["expect"] != "accept":
                continue
            fetch(admin, f"/admin/v1/torrents/{expected['v1']}?force=1", "DELETE")
            status, answer, *_ = target.post((directory / expected["file"]).read_bytes(), "application/x-bittorrent")
            if status != 201:
                raise RuntimeError(f"{expected['file']} is answered {status} after its removal")
            pool.submit(asked_for_a_byte, target.server, json.loads(answer)["files"][0]["url"])
            time.sleep(0.15)  # trackers are asked at once
            count += 1
    return count


# What it did besides


def judge_network(watch: Watch, names: LyingNames, server: gateway.Server, out: report.Report) -> None:
    own = {("tcp", "127.0.0.1", server.port), ("tcp", "127.0.0.1", server.admin_port)}
    asking = {("udp", address, 53) for address in names.addresses}
    refused = []
    for key in sorted(set(watch.tried) - own - asking):
        _, address, port = key
        answer_of_name_server = key[0] == "udp" and port in names.ports
        if not ipaddress.ip_address(address).is_global and not answer_of_name_server:
            refused.append(key)
    out.check(not refused, "0 connections to refused addresses",
              f"{len(watch.tried)} destinations seen, {names.asked} names asked for, all of them lies"
              + "".join(f"; {' '.join(map(str, key))}" for key in refused[:5]))
    out.check(("tcp", *ALLOWED) in watch.tried and names.asked > 0, "and the allowed peer and names were tried",
              ":".join(map(str, ALLOWED)))


def written_set(directory: Path) -> dict:
    """Has the set written; its manifest."""
    subprocess.run([sys.executable, str(Path(__file__).with_name("hostile_torrents.py")), str(directory)],
                   check=True, stdout=subprocess.DEVNULL)
    return json.loads((directory / "manifest.json").read_text())


def traced(trace: Path) -> list[str]:
    """What is put before a command so that its calls are written down; nothing if that cannot be."""
    strace = shutil.which("strace")
    options = ["-D", "-f", "-y", "--seccomp-bpf", "-s", "8192", "-e", f"trace={CALLS}", "-o", str(trace)]
    return [strace, *options] if strace else []


CALLS = "openat,open,creat,mkdir,mkdirat,symlink,symlinkat,link,linkat,rename,renameat,renameat2,connect"
PATH = r'(?:AT_FDCWD<((?:[^>\\]|\\.)*)>|\d+<((?:[^>\\]|\\.)*)>), "((?:[^"\\]|\\.)*)"|\("((?:[^"\\]|\\.)*)"'


def made_paths(trace: Path) -> tuple[list[str], list[str]]:
    """Paths that were made or opened for writing, and what links lead to."""
    paths, links = [], []
    for line in trace.read_text(errors="replace").splitlines():
        call = re.match(r"\d+\s+(\w+)\(", line)
        if not call or call[1] == "connect":
            continue
        target = re.match(r'\d+\s+symlink(?:at)?\("((?:[^"\\]|\\.)*)"', line)
        if target:
            links.append(target[1])
            line = line.replace(f'"{target[1]}", ', "", 1)
        if call[1].startswith("open") and not re.search(r"O_(CREAT|WRONLY|RDWR|TRUNC)", line):
            continue
        for at, beneath, name, absolute in re.findall(PATH, line):
            paths.append(os.path.normpath(os.path.join(at or beneath or "/", name or absolute)))
    return paths, links


def judge_links(home: Path, out: report.Report) -> None:
    # Folders may go meanwhile.
    inside = [Path(folder, name) for folder, folders, files in os.walk(home) for name in folders + files
              if Path(folder, name).is_symlink()]
    leading = [path for path in inside if path.parent.resolve() not in path.resolve().parents]
    out.check(not leading, "no link in its folders leads out of where it is",
              f"{len(inside)} links" + "".join(f"; {path} → {os.readlink(path)}" for path in leading[:3]))


def judge_files(trace: Path, home: Path, out: report.Report) -> None:
    if not trace.exists():
        out.skip("nothing is made or written outside the folders of the gateway", "apt-get install strace")
        return
    paths, links = made_paths(trace)
    outside = [path for path in paths if not path.startswith((f"{home}/", "/dev/", "/proc/self/"))]
    out.check(len(paths) > 20 and not outside, "nothing is made or written outside the folders of the gateway",
              f"{len(paths)} calls" + "".join(f"; {path}" for path in outside[:3]))
    leading = [link for link in links if link.startswith("/") or ".." in link.split("/")]
    out.check(not leading, "no link is made that leads out of its folder",
              f"{len(links)} made" + "".join(f"; {link}" for link in leading[:3]))


def judge_answers(answers: list[Answer], manifest: list[dict], what: str, out: report.Report) -> None:
    right, quick, small = report.Tally(), report.Tally(), report.Tally()
    for answer, expected in zip(answers, manifest):
        if expected["expect"] == "reject":
            is_right = 400 <= answer.status < 500
        elif what == "torrents":
            is_right = answer.status in (200, 201) and not answer.detail
        else:
            is_right = answer.status == 504
        right.expect(is_right, f"{answer.what}: {answer.expected}, but {answer.status} {answer.detail}")
        quick.expect(answer.seconds < SECONDS, f"{answer.what}: {answer.seconds:.2f} s")
        small.expect(answer.growth < MEMORY, f"{answer.what}: {answer.growth / MIB:.0f} MiB")
    right.into(out, f"hostile {what} are answered as they should be, those accepted with exact names"
               if what == "torrents" else f"hostile {what} are answered as they should be")
    quick.into(out, f"each of the {what} in under 1 s", f"longest {max(a.seconds for a in answers) * 1e3:.0f} ms")
    small.into(out, f"each of the {what} with under 50 MB more memory",
               f"most {max(a.growth for a in answers) / MIB:.1f} MiB")


def run(out: report.Report, listing: Path | None) -> None:
    lacks_network = enter_own_network()
    with gateway.folder("hostile.") as root, tempfile.TemporaryDirectory(prefix="hostile.") as other:
        directory, trace = Path(other) / "set", Path(other) / "trace"
        manifest = written_set(directory)
        watch, names = (None, None) if lacks_network else (Watch(), LyingNames())
        options = 'resolve_per_ip = "off"\n'
        with LimitedServer(root, config=SOURCE, prefix=traced(trace), limits=options) as server:
            target = Target(server)
            answers, urls = torrents(target, directory, manifest["torrents"])
            judge_answers(answers, manifest["torrents"], "torrents", out)
            statuses = load(server, urls)
            counts = ", ".join(f"{status} {statuses.count(status)} x" for status in sorted(set(statuses)))
            out.check(statuses.count(504) == len(urls), "what is accepted is loaded, and its files are waited for",
                      f"{len(urls)} files, answered {counts}")
            met = meet_addresses(target, directory, manifest["torrents"])
            out.check(met > 50, "those of one hash with other addresses are loaded one after the other",
                      f"{met} of them")
            asked = magnets(target, manifest["magnets"])
            judge_answers(asked, manifest["magnets"], "magnet links", out)
            alive = server.process.poll() is None and fetch(server.address, "/ping").status == 200
            out.check(alive, "the gateway is there all the same", "" if alive else "".join(server.output[-2:]))
            if lacks_network:
                out.skip("0 connections to refused addresses", lacks_network)
            else:
                judge_network(watch, names, server, out)
            judge_links(server.home, out)
            home = server.home
        judge_files(trace, home, out)
        write_listing(listing, answers + asked)


def write_listing(listing: Path | None, answers: list[Answer]) -> None:
    if listing:
        lines = ["| what | expected | answer | time | memory |", "|---|---|---|---|---|"]
        listing.write_text("\n".join(lines + [answer.line for answer in answers]) + "\n")


class LimitedServer(gateway.Server):
    """A server with lines of its own in ``[limits]``."""

    def __init__(self, root: Path, limits: str, **options) -> None:
        super().__init__(root, **options)
        self.limits = limits

    def _command(self) -> list[str]:
        command = super()._command()
        config = self.home / "config.toml"
        config.write_text(config.read_text().replace("[limits]\n", f"[limits]\n{self.limits}"))
        return command


def apart(out: report.Report, what: str, check) -> None:
    """In a thread: a network that it enters is its own, and that of what it starts."""

    def guarded() -> None:
        with out.guarded(what):
            check()

    thread = threading.Thread(target=guarded)
    thread.start()
    thread.join()


def main(out: report.Report, quick: bool) -> None:
    """The set is small enough to be always whole."""
    apart(out, "hostile", lambda: run(out, listing))


listing: Path | None = None

if __name__ == "__main__":
    listing = report.file_option("--list")
    report.run(main)
