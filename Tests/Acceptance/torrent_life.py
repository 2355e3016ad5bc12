"""The life of torrents: what leaves and what stays, what a crash, a full disk or a bad peer does, and how waits end."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path
from urllib.parse import quote

import cache_probe
import content
import gateway
import report
import torrent_probe
from cache_disk import mounted, remount
from content import KIB, MIB
from torrent_probe import (MOUNT, Paused, Torrent, TorrentServer, Tracker, await_text, await_true, seed, seed_files,
                           swarm)
from wire import Connection, ShortBody, WireError, request, seconds

# What the replaced backend took for itself, without a film.
REPORTED = 12 * MIB
# Above the space that files may take: what is on its way in one round of looking after them.
SLACK = 64 * MIB
ABSENT = "0123456789abcdef0123456789abcdef01234567"


def plays(server: TorrentServer, torrent: Torrent, timeout: float = 60) -> str:
    """Reads a file whole; what is wrong with it, if anything is."""
    try:
        reply = server.get(torrent.path(), timeout=timeout)
    except ShortBody as error:
        same = torrent.content().startswith(error.reply.body)
        wrong = "" if same else ", wrong bytes"
        return f"cut at {len(error.reply.body)} of {torrent.size()} bytes{wrong}, {server.told(torrent)}"
    except (WireError, OSError) as error:
        return f"{type(error).__name__} {error}, {server.told(torrent)}"
    if reply.status != 200:
        return f"{reply.status} {reply.body[:200]!r}"
    return "" if reply.body == torrent.content() else f"wrong bytes in {len(reply.body)}"


def compared(server: TorrentServer, torrent: Torrent) -> str:
    """As ``plays``, of a file that is large: each part is compared as it comes."""
    path, name = torrent.path(), Path(torrent.directory) / torrent.files[0][0]
    with Connection(server.address, 60) as player, name.open("rb") as expected:
        player.send(request(path))
        reply = player.head_only()
        if reply.status != 200:
            return f"answered {reply.status}"
        length, received = int(reply.header("content-length")), 0
        while received < length and (part := player.read_some(min(MIB, length - received))):
            if part != expected.read(len(part)):
                return f"wrong bytes from {received} on"
            received += len(part)
    whole = received == length == torrent.size()
    return "" if whole else f"{received} bytes of {length}, {server.told(torrent)}"


# What leaves, and what stays


def idle(out: report.Report, quick: bool) -> None:
    after = 2
    with swarm(3 * MIB, 24 * MIB) as seeder:
        read, paused = seeder.torrents
        with TorrentServer(f'idle_after = "{after}s"') as server:
            for torrent in seeder.torrents:
                server.bring_in(torrent)
            wrong = plays(server, read)
            with Paused(server, paused.path()) as player:
                waited = await_true(lambda: not server.is_loaded(read), after + 4)
                known = server.status(read) is not None
                out.check(not wrong and waited is not None and waited > after - 0.5 and known,
                          f"idle removal: {after} s after the last byte a torrent is unloaded, and stays known",
                          f"{await_text(waited)}, {wrong or 'right bytes'}")
                time.sleep(after + 1.5)
                status = server.status(paused) or {}
                rest = player.rest()
                is_spared = status.get("state") != "stored" and status.get("readers", 0) > 0
                out.check(is_spared and rest == paused.content(),
                          "idle removal: a paused player is spared, and plays on to the end",
                          f"{status.get('state')}, {status.get('readers')} readers, "
                          f"{len(rest)} of {paused.size()} bytes")
            waited = await_true(lambda: not server.is_loaded(paused), after + 4)
            out.check(waited is not None, "idle removal: it goes when the player has gone", await_text(waited))
            wrong = plays(server, read)
            out.check(not wrong and not server.is_loaded(read), "idle removal: a cached file plays without its torrent",
                      wrong)


def comes_back(out: report.Report, quick: bool) -> None:
    """Nothing of it is in a cache, so its files and its peers have to be there again."""
    for tracked in (True, False):
        what = "comes back by itself, " + ("from its tracker" if tracked else "from the peers it had")
        with swarm(12 * MIB, tracked=tracked) as seeder, \
                TorrentServer('idle_after = "1s"', torrents_cached=False, first_byte="10s") as server:
            torrent = seeder.torrent
            server.bring_in(torrent)
            half = torrent.size() // 2
            server.get(torrent.path(), [("Range", f"bytes=0-{half - 1}")])
            gone = await_true(lambda: not server.is_loaded(torrent), 8)
            kept = server.on_disk()
            took, wrong = seconds(lambda: plays(server, torrent))
            await_true(lambda: (server.status(torrent) or {}).get("done_bytes", 0) == torrent.size(), 3)
            out.check(gone is not None and not wrong and took < 5, f"idle removal: a torrent {what}",
                      f"{wrong or 'right bytes'}, {took:.1f} s, {kept / MIB:.1f} MiB were kept")


def max_active(out: report.Report, quick: bool) -> None:
    patience = 3
    with swarm(*[12 * MIB] * 4, rate=20 * MIB) as seeder:
        first, second, third, fourth = seeder.torrents
        with TorrentServer(f'max_active = 2\nmetadata_timeout = "{patience}s"', torrents_cached=False) as server:
            for torrent in (first, second):
                server.bring_in(torrent)
                server.get(torrent.path(), [("Range", "bytes=0-99")])
            server.get(first.path(), [("Range", "bytes=0-99")])
            server.bring_in(third)
            loaded = [server.is_loaded(torrent) for torrent in (first, second, third)]
            out.check(loaded == [True, False, True], "max_active: the idlest leaves", f"loaded {loaded}")
            with Paused(server, first.path()) as one, Paused(server, third.path()):
                took, reply = seconds(lambda: server.get(second.path()))
                after = reply.header("retry-after") or ""
                out.check(reply.status == 503 and after.isdigit() and int(after) > 0
                          and patience - 0.5 < took < patience + 2,
                          "max_active: while all are in use a request is held, then 503 with Retry-After",
                          f"{reply.status} after {took:.1f} s, Retry-After: {after}")
                took, reply = seconds(lambda: server.post(f"{MOUNT}/", fourth.magnet.encode()))
                out.check(reply.status == 503 and took > patience - 0.5, "max_active: so is one that is new",
                          f"{reply.status} after {took:.1f} s")
                waiting = Waiting(server, second.path())
                # It is held by now, or the check that it took its time fails.
                time.sleep(1)
                held = not waiting.is_done
                one.connection.close()
                reply = waiting.result()
                out.check(held and reply.status == 200 and reply.body == second.content(),
                          "max_active: one that is held is served when a player leaves", f"{reply}")
                spared = server.is_loaded(third)
            out.check(spared, "max_active: a torrent with a reader never leaves")


class Waiting:
    """A request whose answer takes its time."""

    def __init__(self, server: TorrentServer, path: str, timeout: float = 40) -> None:
        self.value = None
        self.thread = threading.Thread(target=self._run, args=(server, path, timeout), daemon=True)
        self.thread.start()

    def _run(self, server: TorrentServer, path: str, timeout: float) -> None:
        try:
            self.value = server.get(path, timeout=timeout)
        except Exception as error:  # whatever it is, it is the result
            self.value = error

    @property
    def is_done(self) -> bool:
        return not self.thread.is_alive()

    def result(self):
        self.thread.join(60)
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


class Watch(threading.Thread):
    """The most bytes that files of torrents took."""

    def __init__(self, server: TorrentServer) -> None:
        super().__init__(daemon=True)
        self.server = server
        self.most = self.samples = 0
        self.stopped = threading.Event()
        self.start()

    def run(self) -> None:
        while not self.stopped.wait(0.02):
            self.most = max(self.most, self.server.on_disk())
            self.samples += 1

    def stop(self) -> int:
        self.stopped.set()
        self.join()
        return self.most


def space(out: report.Report, quick: bool) -> None:
    """Four times the space, at the rate of a very fast line, in pieces of usual length and in the longest."""
    limit = (64 if quick else 512) * MIB
    rate = (40 if quick else 60) * MIB
    for piece in [1 * MIB] if quick else [1 * MIB, 16 * MIB]:
        with swarm(4 * limit, piece=piece, rate=rate) as seeder:
            torrent = seeder.torrent
            with TorrentServer(f'space = "{limit}B"', torrents_cached=False) as server:
                server.bring_in(torrent)
                watch = Watch(server)
                took, wrong = seconds(lambda: compared(server, torrent))
                most = watch.stop()
                out.check(not wrong, f"space: a torrent of {4 * limit // MIB} MiB, in pieces of {piece // MIB}, plays to its"
                          f" end in {limit // MIB}",
                          f"{wrong or 'right bytes'}, {took:.0f} s at {rate // MIB} MiB/s")
                out.check(most <= limit + SLACK, f"space: its files never take more than {SLACK // MIB} MiB above that",
                          f"{most // MIB} MiB at most, {watch.samples} samples")
                begun = sum("begins anew" in line for line in server.output)
                left = await_true(lambda: server.on_disk() <= limit, 5)
                out.check(left is not None, "space: afterwards they are within it",
                          f"{server.on_disk() / MIB:.0f} MiB, begun anew {begun} times")


def space_of_others(out: report.Report, quick: bool) -> None:
    limit = 64 * MIB
    with swarm(*[30 * MIB] * 4) as seeder, TorrentServer(f'space = "{limit}B"', torrents_cached=False) as server:
        wrong = []
        for torrent in seeder.torrents:
            server.bring_in(torrent)
            wrong.append(plays(server, torrent))
        within = await_true(lambda: server.on_disk() <= limit, 5)
        out.check(not any(wrong) and within is not None, "space: files of torrents that nobody reads make room",
                  f"{server.on_disk() / MIB:.0f} of {limit / MIB:.0f} MiB" + "".join(wrong))
        known = len(server.statuses())
        again = plays(server, seeder.torrents[0])
        out.check(known == 4 and not again, "space: they stay known, and are fetched again when they are read", again)


# Ends and beginnings


def restart(out: report.Report, quick: bool) -> None:
    with swarm(6 * MIB, 6 * MIB) as seeder, TorrentServer() as server:
        played, added = seeder.torrents
        items = [server.bring_in(torrent) for torrent in (played, added)]
        wrong = plays(server, played)
        cache_probe.settled(server)
        seeder.kill()
        server.restart()
        tally = report.Tally()
        tally.expect(not wrong, wrong)
        for torrent, item in zip((played, added), items):
            took, reply = seconds(lambda: server.get(f"{MOUNT}/{torrent.hash}/"))
            now = json.loads(reply.body) if reply.status == 200 else {}
            keys = ("index", "path", "length", "url", "etag")
            same = [[file[key] for key in keys] for file in now.get("files", [])] == [
                [file[key] for key in keys] for file in item["files"]]
            tally.expect(same and took < 1, f"the item: {reply}, {took:.1f} s")
            took, reply = seconds(lambda: server.get(f"/metadata/{quote(torrent.magnet, safe='')}"))
            tally.expect(reply.status == 200 and took < 1, f"/metadata: {reply}, {took:.1f} s")
            tally.expect(not server.is_loaded(torrent), "it is loaded")
        tally.into(out, "restart: torrents are known without the swarm, with the same files and ETags")
        wrong = plays(server, played)
        given = server.read_of_torrents()
        out.check(not wrong and given == 0 and not server.is_loaded(played),
                  "restart: a cached file plays without the swarm and without its torrent",
                  wrong or f"{given:.0f} bytes of the torrent")


def kill(out: report.Report, quick: bool) -> None:
    size = (24 if quick else 96) * MIB
    for cached in (True, False):
        what = f"kill -9 in mid-download, {'with' if cached else 'without'} a cache"
        with swarm(size, rate=16 * MIB) as seeder, TorrentServer(torrents_cached=cached) as server:
            torrent = seeder.torrent
            item = server.bring_in(torrent)
            reading = Waiting(server, torrent.path())
            await_true(lambda: server.on_disk() > size // 2, 30, 0.02)
            done = server.on_disk()
            server.kill()
            with contextlib.suppress(WireError, OSError):
                reading.result()
            server.start()
            known = json.loads(server.get(f"{MOUNT}/{torrent.hash}/").body)
            wrong = plays(server, torrent)
            # libtorrent's own count comes once a second.
            time.sleep(1.5)
            fetched = (server.status(torrent) or {}).get("downloaded_bytes", 0)
            out.check(known["files"][0]["etag"] == item["files"][0]["etag"] and not wrong,
                      f"{what}: it is known again, and every byte is right", wrong)
            out.check(0 < fetched < 0.75 * size and done < size, f"{what}: not everything is fetched again",
                      f"{done / MIB:.0f} MiB were there, {fetched / MIB:.1f} of {size / MIB:.0f} fetched afterwards")


def disk_full(out: report.Report, quick: bool) -> None:
    what = "disk full"
    with mounted("size=20m,mode=755") as place:
        if place is None:
            out.skip(what, "mounting a tmpfs is not permitted")
            return
        with swarm(40 * MIB, 4 * MIB) as seeder:
            torrent, small = seeder.torrents
            with TorrentServer(torrents_cached=False, first_byte="8s", state=place / "state") as server:
                server.bring_in(torrent)
                took, seen = seconds(lambda: plays(server, torrent))
                out.check("wrong" not in seen and ("cut" in seen or seen.startswith(("50", "Ended"))) and took < 40,
                          f"{what}: the connection is cut, or the request refused, in bounded time",
                          f"{seen or 'it played'}, {took:.1f} s")
                said = [line for line in server.output if "full" in line or "No space" in line]
                status = server.status(torrent) or {}
                out.check(bool(status.get("failure") or status.get("state") == "failed" or said), f"{what}: it is said",
                          f"state {status.get('state')}, failure {status.get('failure')}, {len(said)} lines in the log")
                out.check(server.process.poll() is None and server.get("/ping").status == 200, f"{what}: it goes on")
                remount(place, "size=128m")
                wrong, took = "not tried", 0.0
                began = time.monotonic()
                while wrong and time.monotonic() - began < 30:
                    wrong = plays(server, torrent)
                took = time.monotonic() - began
                out.check(not wrong, f"{what}: with room again it plays to its end", f"{wrong} {took:.1f} s".strip())
                server.bring_in(small)
                wrong = plays(server, small)
                out.check(not wrong, f"{what}: and so do others", wrong)


def removal(out: report.Report, quick: bool) -> None:
    for cached in (True, False):
        what = f"removal while streaming, {'with' if cached else 'without'} a cache"
        with swarm(24 * MIB, rate=4 * MIB) as seeder:
            torrent = seeder.torrent
            with TorrentServer('metadata_timeout = "2s"', torrents_cached=cached) as server:
                server.bring_in(torrent)
                with Paused(server, torrent.path(), taken=MIB) as player:
                    path = f"/admin/v1/torrents/{torrent.hash}"
                    busy = server.ask_admin(path, "DELETE").status
                    old = server.get(f"/remove/{torrent.hash}", method="DELETE").status
                    out.check(busy == old == 409, f"{what}: it is refused with 409", f"{busy}, {old}")
                    removed = server.ask_admin(f"{path}?force=1", "DELETE").status
                    took, body = seconds(player.rest)
                    announced = int(player.reply.header("content-length") or 0)
                    # Nothing may follow that would look like another answer.
                    ended = player.connection.leftover(2) == b""
                    out.check(removed == 200 and len(body) < announced and ended and torrent.content().startswith(body)
                              and took < 10, f"{what}: by force it cuts the connection, before the announced end",
                              f"{removed}, {len(body)} of {announced} bytes, closed {ended}, {took:.1f} s")
                gone = [server.ask_admin(path).status, server.get(f"/details/{torrent.hash}").status,
                        server.ask_admin(path, "DELETE").status]
                left = await_true(lambda: server.on_disk() == 0, 3)
                out.check(gone == [404] * 3 and left is not None and server.readers() == 0,
                          f"{what}: then it is not known (404), and nothing is left of it",
                          f"{gone}, {server.on_disk()} bytes")
                if not cached:
                    continue
                found = server.get(f"{MOUNT}/play?{torrent.query}")
                wrong = plays(server, torrent)
                out.check(found.status == 303 and not wrong, "play of a hash after its removal brings it in again",
                          f"{found.status} {wrong}")


# Peers


def no_peers(out: report.Report, quick: bool) -> None:
    deadline, patience = 3, 2
    options = f'metadata_timeout = "{patience}s"'
    with swarm(6 * MIB) as seeder, TorrentServer(options, first_byte=f"{deadline}s") as server:
        torrent = seeder.torrent
        server.bring_in(torrent)
        seeder.kill()
        took, reply = seconds(lambda: server.get(torrent.path(), [("Range", "bytes=4000000-")]))
        kind = reply.header("content-type") or ""
        in_time = deadline - 0.3 < took < deadline + 1.5
        out.check(reply.status == 504 and in_time and kind == "application/problem+json",
                  f"no peers: 504 at the first-byte deadline of {deadline} s, before a body",
                  f"{reply.status} {kind} after {took:.1f} s")
        waited = await_true(lambda: server.readers() == 0, 3)
        out.check(waited is not None, "no peers: the reader has gone", f"{server.readers()} left")
        for way in (f"{MOUNT}/play?xt=urn:btih:{ABSENT}", f"/metadata/{ABSENT}", f"/streamfile/{ABSENT}/a.mkv"):
            took, reply = seconds(lambda: server.get(way))
            out.check(reply.status == 504 and patience - 0.3 < took < patience + 1.5,
                      f"no peers: 504 at metadata_timeout, {way.split(ABSENT)[0]}…",
                      f"{reply.status} after {took:.1f} s")
        known = [status["hash"] for status in server.statuses()]
        out.check(known == [torrent.hash], "no peers: what nobody knew is forgotten", f"{len(known)} known")


class SilentTracker:
    """Takes connections over TCP and datagrams over UDP at one port, and says nothing."""

    def __enter__(self) -> "SilentTracker":
        self.stream = socket.socket()
        self.stream.bind(("127.0.0.1", 0))
        self.stream.listen(64)
        self.port = self.stream.getsockname()[1]
        self.datagrams = socket.socket(type=socket.SOCK_DGRAM)
        self.datagrams.bind(("127.0.0.1", self.port))
        self.asked = 0
        self.held: list[socket.socket] = []
        for target in (self._accept, self._receive):
            threading.Thread(target=target, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        for held in (self.stream, self.datagrams, *self.held):
            held.close()

    @property
    def links(self) -> list[str]:
        return [f"http://127.0.0.1:{self.port}/announce", f"udp://127.0.0.1:{self.port}/announce"]

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self.held.append(self.stream.accept()[0])
                self.asked += 1

    def _receive(self) -> None:
        with contextlib.suppress(OSError):
            while self.datagrams.recvfrom(2048):
                self.asked += 1


def silent_tracker(out: report.Report, quick: bool) -> None:
    patience = 2
    with SilentTracker() as tracker, swarm(6 * MIB) as seeder:
        trackers = "".join("&tr=" + quote(link, safe="") for link in tracker.links)
        torrent = seeder.torrent
        with TorrentServer(f'metadata_timeout = "{patience}s"') as server:
            took, reply = seconds(lambda: server.get(f"{MOUNT}/play?xt=urn:btih:{ABSENT}{trackers}"))
            out.check(reply.status == 504 and patience - 0.3 < took < patience + 1.5 and tracker.asked > 0,
                      "silent tracker: 504 at metadata_timeout", f"{reply.status} after {took:.1f} s, "
                      f"{tracker.asked} announces")
            torrent.magnet += trackers
            found = server.get(f"{MOUNT}/play?{torrent.query}").status
            took, wrong = seconds(lambda: plays(server, torrent))
            out.check(found == 303 and not wrong and took < 10, "silent tracker: a peer in the link is enough",
                      wrong or f"{took:.1f} s")
            server.terminate()
            took, code = seconds(lambda: server.process.wait(30))
            out.check(took < 10 and code == 0, "silent tracker: it does not hold up the end",
                      f"exit {code} after {took:.1f} s")


def bad_blocks(out: report.Report, quick: bool) -> None:
    with gateway.folder("seed.") as good_folder, gateway.folder("seed.") as bad_folder:
        file = "film.mkv:12000000"
        with seed(good_folder, file, rate=8 * MIB) as good, \
                seed(bad_folder, file, bad_blocks="all", address="127.0.0.2") as bad:
            torrent = good.torrent
            torrent.magnet += f"&x.pe=127.0.0.2:{bad.torrent.port}"
            with TorrentServer() as server:
                server.bring_in(torrent)
                took, wrong = seconds(lambda: plays(server, torrent))
                time.sleep(1.2)
                fetched = (server.status(torrent) or {}).get("downloaded_bytes", 0)
                spoilt = (Path(bad.torrent.directory) / "film.mkv").read_bytes() != torrent.content()
                out.check(spoilt and not wrong, "bad blocks from one of two seeders: every byte is right",
                          wrong or f"{took:.1f} s")
                out.check(fetched > torrent.size(), "bad blocks: some were sent and thrown away",
                          f"{(fetched - torrent.size()) / MIB:.2f} MiB")


def many(out: report.Report, quick: bool) -> None:
    count = 20
    with swarm(*[2 * MIB] * count) as seeder, TorrentServer() as server:
        before = server.memory("VmRSS")
        with contextlib.ExitStack() as stack:
            faults, players = [], []
            for torrent in seeder.torrents:
                server.bring_in(torrent)
                player = stack.enter_context(Paused(server, torrent.path(), first=1, taken=1000))
                players.append(player)
                if player.reply.status != 206:
                    faults.append(f"{player.reply}")

            def active() -> int:
                return sum(status["state"] != "stored" and status["peers"] > 0 for status in server.statuses())

            # libtorrent's own counts come once a second.
            await_true(lambda: active() == count, 5)
            most = active()
            now, anonymous = server.memory("VmRSS"), server.memory()
            for torrent, player in zip(seeder.torrents, players):
                with contextlib.suppress(TimeoutError):
                    player.rest()
                if player.body != torrent.content()[1:]:
                    faults.append(f"{len(player.body)} of {torrent.size() - 1} bytes, {server.told(torrent)}")
        out.check(most == count and not faults, f"{count} active torrents play at once, every byte right",
                  f"{most} with peers" + "".join(f", {fault}" for fault in faults[:3]))
        out.check(anonymous < 20 * REPORTED, f"memory with {count} active torrents",
                  f"{now / MIB:.1f} MiB resident, {anonymous / MIB:.1f} of its own, {before / MIB:.1f} resident "
                  f"before; the replaced backend: about {REPORTED / MIB:.0f}, none streaming")


# Seeders of other makes


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def transmission(folder: Path, torrent: Path, port: int) -> list[str]:
    home = folder / "transmission"
    (home / "torrents").mkdir(parents=True)
    (home / "settings.json").write_text(json.dumps({
        "rpc-enabled": False, "dht-enabled": False, "lpd-enabled": False, "pex-enabled": False, "utp-enabled": False,
        "port-forwarding-enabled": False, "peer-port": port, "bind-address-ipv4": "127.0.0.1",
        "bind-address-ipv6": "::1", "download-dir": str(folder), "incomplete-dir-enabled": False,
        "start-added-torrents": True,
        "watch-dir": str(torrent.parent), "watch-dir-enabled": True, "trash-original-torrent-files": False,
        "ratio-limit-enabled": False, "idle-seeding-limit-enabled": False,
    }))
    return ["transmission-daemon", "--foreground", "--config-dir", str(home), "--log-info"]


def aria2(folder: Path, torrent: Path, port: int) -> list[str]:
    return ["aria2c", "--no-conf", "--enable-dht=false", "--enable-dht6=false", "--bt-enable-lpd=false",
            "--enable-peer-exchange=false", "--seed-ratio=0", "--check-integrity=true", f"--listen-port={port}",
            "--interface=127.0.0.1", f"--dir={folder}", "--console-log-level=warn", "--summary-interval=0",
            str(torrent)]


def other_makes(out: report.Report, quick: bool) -> None:
    for name, program, command in (("Transmission", "transmission-daemon", transmission), ("aria2", "aria2c", aria2)):
        what = f"a file from {name} plays whole"
        if not shutil.which(program):
            out.skip(what, f"{program} is not installed")
            continue
        with out.guarded(what), gateway.folder("seed.") as folder:
            (folder / "descriptions").mkdir()
            film = content.write(folder / "film.mkv", 6 * MIB)
            with seed_files([film], save=folder / "descriptions") as seeder:
                torrent = seeder.torrent
            port = free_port()
            described = folder / "descriptions" / f"{torrent.hash}.torrent"
            log = open(folder / "log", "wb")
            process = gateway.child(command(folder, described, port), stdout=log, stderr=subprocess.STDOUT, cwd=folder)
            try:
                if await_true(lambda: listens(port), 15) is None:
                    raise RuntimeError(f"{program} does not listen: {(folder / 'log').read_text()[-300:]}")
                with TorrentServer() as server:
                    link = f"magnet:?xt=urn:btih:{torrent.hash}&x.pe=127.0.0.1:{port}"
                    # It looks at its file first, and lets nobody in meanwhile.
                    found, began = 0, time.monotonic()
                    while found != 303 and time.monotonic() - began < 60:
                        found = server.get(f"{MOUNT}/play?{link.removeprefix('magnet:?')}", timeout=60).status
                    took, wrong = seconds(lambda: plays(server, torrent, timeout=60))
                    out.check(found == 303 and not wrong, what,
                              wrong or f"metadata in {time.monotonic() - began - took:.1f} s, film in {took:.1f} s")
            finally:
                gateway.end(process)
                log.close()


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


CHECKS = (idle, comes_back, max_active, space, space_of_others, restart, kill, disk_full, removal, no_peers,
          silent_tracker, bad_blocks, many)
# Mostly waits: Transmission lets nobody in at once.
BESIDE = (other_makes,)


def run(check, out: report.Report, quick: bool) -> None:
    began = time.monotonic()
    with out.guarded(check.__name__.replace("_", " ")):
        check(out, quick)
    print(f"      {check.__name__}: {time.monotonic() - began:.1f} s", flush=True)


def main(out: report.Report, quick: bool) -> None:
    """``ACCEPTANCE_PART`` names the parts to run, such as "idle kill"."""
    if missing := torrent_probe.missing():
        out.skip("the life of torrents", missing)
        return
    named = os.environ.get("ACCEPTANCE_PART", "").split()
    chosen = [check for check in (*CHECKS, *BESIDE) if not named or check.__name__ in named]
    beside = [threading.Thread(target=run, args=(check, out, quick)) for check in chosen if check in BESIDE]
    for thread in beside:
        thread.start()
    for check in chosen:
        if check in CHECKS:
            run(check, out, quick)
    for thread in beside:
        thread.join()


if __name__ == "__main__":
    report.run(main)
