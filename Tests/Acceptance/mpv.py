"""Drives mpv over its JSON socket."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time

import gateway


class Mpv:
    name = "mpv"

    @staticmethod
    def missing() -> str | None:
        return None if shutil.which("mpv") else "mpv is not installed"

    def __init__(self, url: str) -> None:
        self.url = url

    def __enter__(self) -> "Mpv":
        self.folder = gateway.folder("mpv.")
        home = self.folder.__enter__()
        path = home / "socket"
        # A small buffer, so that it depends on the server the whole time.
        self.process = gateway.child(
            ["mpv", "--no-config", "--vo=null", "--ao=null", "--idle=no", "--keep-open=yes", "--no-terminal",
             "--demuxer-max-bytes=1MiB", "--demuxer-max-back-bytes=256KiB", f"--input-ipc-server={path}", self.url],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        until = time.monotonic() + 15
        self.socket = socket.socket(socket.AF_UNIX)
        while True:
            try:
                self.socket.connect(str(path))
                break
            except OSError:
                if time.monotonic() > until or self.process.poll() is not None:
                    raise RuntimeError("mpv did not start") from None
                time.sleep(0.05)
        self.socket.settimeout(5)
        self.lines = self.socket.makefile("rb")
        self.number = 0
        return self

    def __exit__(self, *_) -> None:
        self.socket.close()
        gateway.end(self.process)
        self.folder.__exit__(None, None, None)

    def position(self) -> float | None:
        """The picture's time; ``None`` before there is one."""
        return self._command("get_property", "time-pos")

    def in_hand(self) -> float | None:
        """The time up to which it has read ahead."""
        return self._command("get_property", "demuxer-cache-time")

    def seek(self, target: float) -> None:
        self._command("seek", target, "absolute")

    def problem(self) -> str | None:
        return f"mpv ended with {self.process.returncode}" if self.process.poll() is not None else None

    def _command(self, *words):
        self.number += 1
        self.socket.sendall(json.dumps({"command": words, "request_id": self.number}).encode() + b"\n")
        while True:
            line = self.lines.readline()
            if not line:
                raise RuntimeError("mpv ended")
            answer = json.loads(line)
            if answer.get("request_id") == self.number and "error" in answer:
                return answer.get("data")
