#!/usr/bin/env python3
"""Plays a film from a swarm, ends the swarm, and plays it again: no Internet needed.

    scripts/demo-torrent.py

Two peers on this machine seed a film (made by ffmpeg if it is installed). The gateway plays it from their magnet link;
then they are killed, and it plays again, before and after a restart of the gateway. Exit status 0 if every byte is
right, none comes from a peer the second time, and the cache kept all of it. ``MEDIA_GATEWAY`` names the program.
"""

from __future__ import annotations

import hashlib
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.dont_write_bytecode = True
sys.path.insert(0, str(REPOSITORY / "Tests" / "Acceptance"))

import cache_probe  # noqa: E402
import content  # noqa: E402
import gateway  # noqa: E402
import report  # noqa: E402
import torrent_probe  # noqa: E402
from content import KIB, MIB  # noqa: E402

REASONS = ("admission", "space", "queue", "error")


class Figures:
    """What the gateway counts."""

    def __init__(self, server: torrent_probe.TorrentServer, torrent: torrent_probe.Torrent) -> None:
        metrics = cache_probe.settled(server)
        self.of_source = metrics("source_read_bytes_total", source="torrent")
        self.dropped = sum(metrics("cache_rejections_total", reason=reason) for reason in REASONS)
        self.stored = metrics("cache_insertions_total")
        self.hits = metrics.lookups["hit"]
        self.of_peers = (server.status(torrent) or {}).get("downloaded_bytes", 0)


def make_film(folder: Path) -> Path:
    """A film of half a minute, or bytes if there is nothing to make films with."""
    film = folder / "A film.mkv"
    if shutil.which("ffmpeg"):
        done = subprocess.run(
            ["ffmpeg", "-nostdin", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25:duration=30",
             "-vf", "noise=alls=12:allf=t,format=yuv420p", "-c:v", "libx264", "-preset", "ultrafast", "-b:v", "6M",
             str(film)], stderr=subprocess.DEVNULL, timeout=120)
        if done.returncode == 0:
            return film
    return content.write(film, 24 * MIB)


def play(server: torrent_probe.TorrentServer, torrent: torrent_probe.Torrent, film: bytes) -> tuple[bool, str]:
    """Opens the magnet link as a player does and reads to the end; whether that is the film, and how it went."""
    began = time.monotonic()
    found = server.get(f"{torrent_probe.MOUNT}/play?{torrent.query}")
    place = found.header("location") or ""
    if found.status != 303:
        return False, f"play answered {found.status}: {found.body.decode(errors='replace')[:200]}"
    reply = server.get(place, timeout=60)
    took = time.monotonic() - began
    digest = hashlib.sha256(reply.body).hexdigest()[:16]
    return reply.status == 200 and reply.body == film, f"{len(reply.body)} bytes, sha256 {digest}…, {took:.2f} s"


def figures_of_peers(server: torrent_probe.TorrentServer, torrent: torrent_probe.Torrent) -> None:
    """Waits for libtorrent's own count, which comes once a second."""
    torrent_probe.await_true(
        lambda: (server.status(torrent) or {}).get("downloaded_bytes", 0) >= torrent.size(), 5)


def demo(out: report.Report, folder: Path) -> None:
    print("making a film …", flush=True)
    path = make_film(folder)
    film = path.read_bytes()
    print(f"  {path.name}, {len(film) / MIB:.1f} MiB, sha256 {hashlib.sha256(film).hexdigest()[:16]}…")
    print("starting two seeders and the gateway, on this machine alone …", flush=True)
    first = torrent_probe.seed_files([path], piece_size=256 * KIB)
    second = torrent_probe.seed_files([path], piece_size=256 * KIB)
    torrent = first.torrent
    torrent.magnet += f"&x.pe=127.0.0.1:{second.torrent.port}"
    print(f"  {torrent.magnet}")
    with first, second, torrent_probe.TorrentServer(chunk="1MiB") as server:
        print(f"  {server.origin}{torrent_probe.MOUNT}/play?{torrent.query}\n")
        right, how = play(server, torrent, film)
        out.check(right, "played from the swarm, byte for byte", how)
        figures_of_peers(server, torrent)
        swarm = Figures(server, torrent)
        out.check(swarm.of_peers >= len(film) and swarm.dropped == 0, "fetched once and kept",
                  f"{swarm.of_peers} bytes from peers, {swarm.stored:.0f} chunks stored, "
                  f"{swarm.dropped:.0f} cache writes dropped")
        first.kill()
        second.kill()
        print("      the seeders are killed", flush=True)
        right, how = play(server, torrent, film)
        torrent_probe.await_true(lambda: (server.status(torrent) or {}).get("peers", 0) == 0, 3)
        again = Figures(server, torrent)
        out.check(right, "played again without a swarm, byte for byte", how)
        out.check(again.of_peers == swarm.of_peers and again.of_source == swarm.of_source and again.dropped == 0,
                  "that took nothing from peers",
                  f"{again.of_peers - swarm.of_peers} bytes from peers, "
                  f"{again.of_source - swarm.of_source:.0f} from the torrent, "
                  f"{again.hits - swarm.hits:.0f} chunks from the cache, {again.dropped:.0f} writes dropped")
        server.restart()
        print("      the gateway is restarted", flush=True)
        right, how = play(server, torrent, film)
        last = Figures(server, torrent)
        out.check(right and last.of_peers == 0 and last.of_source == 0 and last.dropped == 0,
                  "played after a restart, from the cache alone",
                  f"{how}; {last.of_peers} bytes from peers, {last.of_source:.0f} from the torrent, torrent "
                  f"{(server.status(torrent) or {}).get('state')}")


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if missing := torrent_probe.missing():
        print(f"{missing}: apt-get install python3-libtorrent", file=sys.stderr)
        return 1
    report.deadline(300)
    out = report.Report()
    with out.guarded("demo"), gateway.folder("demo.") as folder:
        demo(out, folder)
    return out.finish()


if __name__ == "__main__":
    sys.exit(main())
