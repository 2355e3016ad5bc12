"""Watches what files a process opens, with strace, and tells those outside a root."""

from __future__ import annotations

import os
import re
import shutil
import time
from pathlib import Path

import gateway


# What the C library reads by itself, whatever the program does: malloc, when it gives memory back.
LIBRARY_FILES = {"/proc/sys/vm/overcommit_memory"}


class OpenWatch:
    """Follows every thread of a process while the ``with`` block runs."""

    def __init__(self, pid: int, root: Path) -> None:
        self.pid = pid
        self.root = os.path.realpath(root)
        self.lines: list[str] = []

    @staticmethod
    def available() -> bool:
        return shutil.which("strace") is not None

    def __enter__(self) -> "OpenWatch":
        self.folder = gateway.folder("strace.")
        self.trace = self.folder.__enter__() / "trace"
        messages = self.trace.with_name("messages")
        with open(messages, "wb") as errors:
            self.process = gateway.child(
                ["strace", "-f", "-y", "-s", "4096", "-e", "trace=open,openat,openat2", "-o", str(self.trace),
                 "-p", str(self.pid)], stderr=errors)
        until = time.monotonic() + 10
        while b"attached" not in messages.read_bytes():
            if time.monotonic() > until or self.process.poll() is not None:
                raise RuntimeError("strace did not attach: " + messages.read_text(errors="replace"))
            time.sleep(0.02)
        time.sleep(0.2)  # the other threads are attached one by one
        return self

    def __exit__(self, *_) -> None:
        # Detaching from many threads can take it long; a tracer that is killed lets go of them too.
        gateway.end(self.process, 10)
        self.lines = self.trace.read_text(errors="replace").splitlines()
        self.folder.__exit__(None, None, None)

    @property
    def count(self) -> int:
        return len([line for line in self.lines if "open" in line])

    def outside(self) -> list[str]:
        """Opens that succeeded outside the root, and attempts that named a place outside by an absolute path.

        Names that the root's own walk refused (``RESOLVE_BENEATH``, ``O_NOFOLLOW``) are not opens.
        """
        found = []
        for line in self.lines:
            given = re.search(r"= \d+<(.*)>$", line)
            if given and not self._within(given[1]):
                found.append(line)
            named = re.search(r'open(?:at|at2)?\((?:[^"]*?, )?"(/(?:[^"\\]|\\.)*)"', line)
            if named and not self._within(named[1]) and not given:
                found.append(line)
        return found

    def _within(self, path: str) -> bool:
        path = path.removesuffix(" (deleted)").removesuffix(" (deleted)>")
        if path in LIBRARY_FILES:
            return True
        return path == self.root or path.startswith(self.root + "/")
