"""A memory cgroup for servers that are to have less memory than what they serve."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path


class MemoryGroup:
    """A group below this process's own, with a limit that counts the page cache of those in it."""

    def __init__(self, name: str, limit: int) -> None:
        """Raises ``OSError`` if none can be made here: that takes root, and for version 2 a group without processes."""
        self._folder, file = _below_own(f"{name}.{os.getpid()}")
        self._folder.mkdir()
        try:
            (self._folder / file).write_text(str(limit))
        except OSError:
            self._folder.rmdir()
            raise

    def __enter__(self) -> "MemoryGroup":
        return self

    def __exit__(self, *_) -> None:
        until = time.monotonic() + 10
        while True:
            try:
                self._folder.rmdir()
                return
            except OSError:
                # Whoever was in it may not be gone for good.
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)

    @property
    def prefix(self) -> list[str]:
        """What to put before a command that is to run in the group."""
        return ["sh", "-c", f'echo $$ > "{self._folder}/cgroup.procs" && exec "$@"', "sh"]

    @property
    def used(self) -> int:
        """Bytes that those in it take, page cache included."""
        for name in ("memory.usage_in_bytes", "memory.current"):
            if (self._folder / name).exists():
                return int((self._folder / name).read_text())
        raise OSError(f"{self._folder} does not tell what it takes")


def _below_own(name: str) -> tuple[Path, str]:
    """Where the group is to be, and its file for the limit."""
    own = dict(re.findall(r"^\d+:([^:]*):(.*)$", Path("/proc/self/cgroup").read_text(), re.MULTILINE))
    root = Path("/sys/fs/cgroup")
    if "memory" in own:
        return root / "memory" / own["memory"].lstrip("/") / name, "memory.limit_in_bytes"
    if "" in own:
        return root / own[""].lstrip("/") / name, "memory.max"
    raise OSError("no memory controller")
