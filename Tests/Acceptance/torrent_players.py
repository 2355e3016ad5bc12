"""Real players on a film from a swarm: from a magnet link nobody knew before to every place they are sent to.

The film is an MP4 with its index at the end. Each player has a torrent of its own, and opens ``{mount}/play?xt=…``.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import threading
from pathlib import Path

import gateway
import players
import report
import torrent_probe
from chromium import Chromium
from content import KIB, MIB
from mpv import Mpv
from players import PLAYED, SEEKS, Stuck, await_position
from torrent_probe import MOUNT, Torrent, TorrentServer
from vlc import Vlc

FILM = "film-index-end.mp4"
PLAYERS = (Mpv, Vlc, Chromium)
# A few times the rate of the film.
RATE = 4 * MIB
START = 25


def play(player_type, server: TorrentServer, torrent: Torrent) -> str:
    """Plays a film that is not known yet; the figures. Throws `Stuck` where it does not."""
    if server.status(torrent):
        raise Stuck("the torrent is known already")
    with player_type(f"{server.origin}{MOUNT}/play?{torrent.query}") as player:
        started, _ = await_position(player, 0.5, START + 10, START, "start")
        await_position(player, PLAYED, START + 20, START, f"{PLAYED} s after the start")
        waits = [players.seek(player, target) for target in SEEKS]
        status = server.status(torrent) or {}
    shown = "/".join(f"{wait:.1f}" for wait in waits)
    page = f", in {player.page}" if hasattr(player, "page") else ""
    return (f"starts in {started:.1f} s, seeks in {shown} s and +{PLAYED} s each; "
            f"{status.get('downloaded_bytes', 0) / MIB:.0f} of {torrent.size() / MIB:.0f} MiB fetched{page}")


def ffmpeg_frames(server: TorrentServer, torrent: Torrent, film: Path, quick: bool, out: report.Report) -> None:
    what = "ffmpeg's frames from a cold magnet equal the file's"
    tally = report.Tally()
    count = 0
    # The first of them is a seek, before anything else was read.
    for at in (162, 0, 31.4) if quick else (162, 0, 31.4, 7.77, 99.999, 44.04, 220, 15):
        local = players.frames(str(film), at)
        remote = players.frames(f"{server.origin}{MOUNT}/play?{torrent.query}", at)
        count += len(local.splitlines())
        tally.expect(bool(local) and local == remote, f"at {at} s")
    tally.into(out, what, f"{count} frames")


def play_one(player_type, server: TorrentServer, torrent: Torrent, out: report.Report) -> None:
    what = f"{player_type.name} plays an MP4 with its index at the end from a cold magnet, and seeks"
    with out.guarded(what):
        try:
            figures = play(player_type, server, torrent)
        except Stuck as stuck:
            out.check(False, what, f"{stuck}, torrent: {server.status(torrent)}")
            return
        out.check(True, what, figures)


def main(out: report.Report, quick: bool) -> None:
    missing = torrent_probe.missing()
    if not shutil.which("ffmpeg"):
        missing = "ffmpeg, which makes the film, is not installed"
    if missing:
        out.skip("players of torrents", missing)
        return
    with contextlib.ExitStack() as stack:
        films = stack.enter_context(players.films_folder())
        copies = []
        for name in ("ffmpeg", *(player.name for player in PLAYERS)):
            # The name is part of what is hashed.
            copy = films / name / f"film for {name}.mp4"
            copy.parent.mkdir()
            os.link(films / FILM, copy)
            copies.append(copy)
        seeder = stack.enter_context(torrent_probe.seed_files(copies, rate=RATE * len(PLAYERS), piece_size=256 * KIB))
        server = stack.enter_context(TorrentServer(chunk="1MiB"))
        playing = []
        for player, torrent in zip(PLAYERS, seeder.torrents[1:]):
            if absent := player.missing():
                out.skip(f"{player.name} plays a torrent", absent)
            else:
                playing.append(threading.Thread(target=play_one, args=(player, server, torrent, out)))
        for thread in playing:
            thread.start()
        for thread in playing:
            thread.join()
        with out.guarded("ffmpeg's frames"):
            ffmpeg_frames(server, seeder.torrents[0], copies[0], quick, out)
        waited = torrent_probe.await_true(lambda: server.readers() == 0, 5)
        out.check(waited is not None, "players of torrents: no reader is left when they have gone",
                  torrent_probe.await_text(waited))


if __name__ == "__main__":
    report.run(main)
