"""Drives VLC over its remote control, as a user without rights: it refuses to run as root."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time

import gateway

USER = "nobody"


class Vlc:
    name = "VLC"

    @staticmethod
    def missing() -> str | None:
        if not shutil.which("vlc"):
            return "VLC is not installed"
        if os.geteuid() == 0 and not shutil.which("setpriv"):
            return "VLC does not run as root, and setpriv is not installed"
        return None

    def __init__(self, url: str) -> None:
        self.url = url

    def __enter__(self) -> "Vlc":
        self.folder = gateway.folder("vlc.")
        home = self.folder.__enter__()
        command = ["vlc", "-I", "oldrc", "--rc-fake-tty", "--rc-unix", str(home / "socket"), "--vout", "dummy",
                   "--aout", "dummy", "--no-video-title-show", "--no-media-library", "--prefetch-buffer-size=512",
                   "--network-caching=1000", "--play-and-pause", self.url]
        if os.geteuid() == 0:
            shutil.chown(home, USER)
            command = ["setpriv", f"--reuid={USER}", "--regid=nogroup", "--clear-groups"] + command
        environment = {**os.environ, "HOME": str(home), "XDG_RUNTIME_DIR": str(home), "XDG_CONFIG_HOME": str(home),
                       "TMPDIR": str(home), "DBUS_SESSION_BUS_ADDRESS": "disabled:"}
        environment.pop("DISPLAY", None)
        self.process = gateway.child(command, env=environment, cwd=home, stdout=subprocess.DEVNULL,
                                     stderr=subprocess.DEVNULL, start_new_session=True)
        until = time.monotonic() + 20
        self.socket = socket.socket(socket.AF_UNIX)
        while True:
            try:
                self.socket.connect(str(home / "socket"))
                break
            except OSError:
                if time.monotonic() > until or self.process.poll() is not None:
                    raise RuntimeError("VLC did not start") from None
                time.sleep(0.1)
        self._drain(0.5)
        return self

    def __exit__(self, *_) -> None:
        self.socket.close()
        gateway.end(self.process)
        self.folder.__exit__(None, None, None)

    def position(self) -> float | None:
        """Whole seconds, as VLC gives them; ``None`` before it plays."""
        number = re.search(r"-?\d+", self._command("get_time"))
        return float(number[0]) if number else None

    def in_hand(self) -> float | None:
        """VLC does not tell; it was started with a buffer of a few seconds."""
        return None

    def seek(self, target: float) -> None:
        self._command(f"seek {target:.0f}")

    def problem(self) -> str | None:
        return f"VLC ended with {self.process.returncode}" if self.process.poll() is not None else None

    def _command(self, line: str) -> str:
        self._drain(0)
        self.socket.sendall(line.encode() + b"\n")
        return self._drain(0.15)

    def _drain(self, wait: float) -> str:
        """What VLC has to say until it is silent for ``wait``."""
        self.socket.settimeout(wait or 0.001)
        said = b""
        try:
            while part := self.socket.recv(65536):
                said += part
        except (TimeoutError, BlockingIOError):
            pass
        return said.decode("utf-8", "replace")
