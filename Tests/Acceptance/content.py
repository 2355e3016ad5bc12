"""Files whose bytes depend on their position, so that a byte from the wrong place cannot pass."""

from __future__ import annotations

import os
import random
from pathlib import Path

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30


def write(path: Path, size: int, seed: int | str | None = None) -> Path:
    """A file of ``size`` bytes that do not repeat, the same for the same seed (default: the name)."""
    source = random.Random(path.name if seed is None else seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file:
        left = size
        while left > 0:
            part = min(left, 4 * MIB)
            file.write(source.randbytes(part))
            left -= part
    age(path)
    return path


def sparse(path: Path, size: int, marks: list[int], radius: int = 4096) -> Path:
    """A file of holes with random bytes around each of ``marks``."""
    source = random.Random(path.name)
    with open(path, "wb") as file:
        file.truncate(size)
        for mark in marks:
            start = max(mark - radius, 0)
            file.seek(start)
            file.write(source.randbytes(max(min(mark + radius, size) - start, 0)))
    age(path)
    return path


def age(path: Path, by: float = 86_400) -> None:
    """Moves a file's time into the past, where its date is a strong validator."""
    then = int(os.stat(path).st_mtime - by)
    os.utime(path, (then, then))
