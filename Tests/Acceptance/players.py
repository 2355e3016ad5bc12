"""Real players on real films: they start, reach every place they are sent to, and survive a restart of the server.

A line per player and film: the player's own clock reaches the target + 5 s after each of three seeks, and goes on after
the server was restarted on the same port while a body was on its way. ffmpeg's frames after seeks equal those from the
file.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import threading
import time
from pathlib import Path

import gateway
import report
from chromium import Browser, Chromium
from mpv import Mpv
from vlc import Vlc

FILMS = ["film-index-front.mp4", "film-index-end.mp4", "film.mkv", "film.webm"]
PLAYERS = (Mpv, Vlc, Chromium)
SEEKS = (150, 20, 85)
# Behind the last seek, and past all that was read before: no player has it, nor skips to it on the old connection.
NEVER_SEEN = 65
PLAYED = 5
COPIES = 3


class Stuck(Exception):
    """The clock did not get where it had to."""


def await_position(player, low: float, high: float, seconds: float, what: str) -> tuple[float, float]:
    """Waits until the clock stands within ``low...high``; the seconds it took and where it stands."""
    began = time.monotonic()
    seen = None
    while time.monotonic() - began < seconds:
        now = player.position()
        seen = now if now is not None else seen
        if now is not None and low <= now <= high:
            return time.monotonic() - began, now
        if problem := player.problem():
            raise Stuck(f"{what}: {problem}")
        time.sleep(0.1)
    raise Stuck(f"{what}: at {seen} after {seconds:.0f} s, not in {low:.0f}...{high:.0f}")


class ConnectionWatch(threading.Thread):
    """Counts, in the kernel's own table, the connections to a port that are made while it runs."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.port = port
        self.before = clients(port)
        self.seen: set[str] = set()
        self.stopped = threading.Event()
        self.start()

    def run(self) -> None:
        while not self.stopped.wait(0.02):
            self.seen |= clients(self.port)

    def stop(self) -> int:
        self.stopped.set()
        self.join()
        return len(self.seen - self.before)


def clients(port: int, state: str = r"\w\w") -> set[str]:
    """The clients' ends of the connections to a port, in any state or in one: ``01`` is established."""
    with open("/proc/net/tcp") as table:
        return set(re.findall(rf"^ *\d+: \w+:{port:04X} (\w+:\w+) {state} ", table.read(), re.MULTILINE))


def play(player_type, server: gateway.Server, film: str) -> str:
    """Plays a film; the figures. Throws `Stuck` where it does not."""
    with player_type(server.url(film)) as player:
        started, _ = await_position(player, 0.5, 30, 20, "start")
        waits = [seek(player, target) for target in SEEKS]
        at, in_hand, before = player.position(), player.in_hand(), len(clients(server.port, "01"))
        down = server.restart()
        watch = ConnectionWatch(server.port)
        # On past all that was in its hands when the server went: the rest has to come from the new one.
        beyond = max(at + PLAYED, (in_hand or at + 6) + 2)
        await_position(player, beyond, beyond + 60, beyond - at + 15, "after the restart")
        again = seek(player, NEVER_SEEN)
        after = watch.stop()
    if after == 0:
        raise Stuck("nothing was asked of the restarted server")
    shown = "/".join(f"{wait:.1f}" for wait in waits)
    page = f", in {player.page}" if hasattr(player, "page") else ""
    return (f"starts in {started:.1f} s, seeks in {shown} s and +{PLAYED} s each; restart at {at:.0f} s "
            f"({down * 1000:.0f} ms down, {before} connections before, {after} new): played to {beyond:.0f} s, "
            f"then a seek in {again:.1f} s{page}")


def seek(player, target: float) -> float:
    """Sends the player to a place and sees it play from there; the seconds until it stood there."""
    player.seek(target)
    # Keyframes are 2 s apart; a clock of whole seconds may lag by one.
    took, at = await_position(player, target - 3, target + 3.5, 12, f"seek to {target}")
    await_position(player, target + PLAYED, target + PLAYED + 6, 15, f"{PLAYED} s after the seek to {target}")
    return took


def play_all(player_type, films: list[Path], out: report.Report) -> None:
    for film in films:
        what = f"{player_type.name} plays {film.name}"
        with out.guarded(what), gateway.server(film.parent, drain="1s") as server:
            try:
                figures = play(player_type, server, film.name)
            except Stuck as stuck:
                out.check(False, what, str(stuck))
                continue
            out.check(True, what, figures)


# ffmpeg


def frames(source: str, at: float) -> str:
    """Checksums of five pictures and of what sounds with them, from ``at`` on."""
    done = subprocess.run(
        ["ffmpeg", "-nostdin", "-v", "error", "-ss", str(at), "-i", source, "-map", "0", "-frames:v", "5", "-t", "0.5",
         "-f", "framemd5", "-"], capture_output=True, text=True, timeout=30)
    if done.returncode != 0:
        raise RuntimeError(f"ffmpeg: {done.stderr.strip()[-200:]}")
    return "\n".join(line for line in done.stdout.splitlines() if not line.startswith("#"))


def ffmpeg_frames(server: gateway.Server, films: list[Path], quick: bool, out: report.Report) -> None:
    if not shutil.which("ffmpeg"):
        out.skip("ffmpeg's frames after seeks", "ffmpeg is not installed")
        return
    for film in films:
        what = f"ffmpeg's frames after seeks equal the file's, {film.name}"
        with out.guarded(what):
            tally, count = report.Tally(), 0
            for at in (0, 31.4, 162) if quick else (0, 0.1, 7.77, 15, 31.4, 44.04, 99.999, 162, 220):
                local, remote = frames(str(film), at), frames(server.url(film.name), at)
                count += len(local.splitlines())
                tally.expect(bool(local) and local == remote, f"at {at} s")
            tally.into(out, what, f"{count} frames")


def ffprobe_reads(server: gateway.Server, films: list[Path], out: report.Report) -> None:
    if not shutil.which("ffprobe"):
        out.skip("ffprobe", "ffprobe is not installed")
        return
    tally = report.Tally()
    for film in films:
        told = []
        for source in (str(film), server.url(film.name)):
            done = subprocess.run(
                ["ffprobe", "-v", "error", "-show_entries", "stream=codec_name,width,height,duration:format=duration",
                 "-of", "compact", source], capture_output=True, text=True, timeout=30)
            told.append(done.stdout)
        tally.expect(bool(told[0]) and told[0] == told[1], film.name)
    tally.into(out, "ffprobe tells of each film what it tells of the file")


# The two clicks


def two_clicks(server: gateway.Server, film: str, out: report.Report) -> None:
    """From the landing page to a film that plays, with a mouse alone."""
    what = "Chromium: from the landing page to a playing film in two clicks"
    if missing := Chromium.missing():
        out.skip(what, missing)
        return
    with out.guarded(what), Browser() as browser:
        browser.open(server.origin + "/")
        link = "[...document.links].find(a => {})"
        to_film = link.format(f"decodeURIComponent(a.pathname).endsWith('/{film}')")
        to_folder = link.format(f"a.pathname == '{gateway.MOUNT}/'")
        clicks = 0
        for target in (to_film, to_folder, to_film):
            if clicks < 2 and browser.evaluate(f"!!({target})"):
                before = browser.evaluate("location.href")
                browser.click(target)
                clicks += 1
                browser.wait_for(f"location.href != {before!r} && document.readyState != 'loading'", 10)
                if target is to_film:
                    break
        at = browser.wait_for("(t => t > 1 && t)(document.querySelector('video')?.currentTime)", 15)
        place = browser.evaluate("location.pathname")
        out.check(bool(at) and clicks <= 2, what, f"{clicks} clicks, at {at} s of {place}")


def main(out: report.Report, quick: bool) -> None:
    if not shutil.which("ffmpeg"):
        out.skip("players", "ffmpeg, which makes the films, is not installed")
        return
    with films_folder() as folder:
        films = [folder / name for name in FILMS]
        playing = []
        for player in PLAYERS:
            if missing := player.missing():
                out.skip(f"{player.name} plays", missing)
            else:
                playing.append(threading.Thread(target=play_all, args=(player, films, out)))
        for thread in playing:
            thread.start()
        for thread in playing:
            thread.join()
        with gateway.server(folder) as server:
            ffmpeg_frames(server, films, quick, out)
            with out.guarded("ffprobe"):
                ffprobe_reads(server, films, out)
            two_clicks(server, FILMS[0], out)


@contextlib.contextmanager
def films_folder():
    """The films of scripts/sample-media.sh, each three times in a row, so that none fits into a player's buffer."""
    with gateway.folder("films.") as made, gateway.folder("films.") as folder:
        subprocess.run([str(gateway.REPOSITORY / "scripts" / "sample-media.sh"), str(made)], check=True, timeout=120,
                       stdout=subprocess.DEVNULL)
        for name in FILMS:
            front = ["-movflags", "+faststart"] if "front" in name else []
            subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-stream_loop", str(COPIES - 1), "-i",
                            str(made / name), "-map", "0", "-c", "copy", *front, str(folder / name)],
                           check=True, timeout=60, stderr=subprocess.DEVNULL)
        yield folder


if __name__ == "__main__":
    report.run(main)
