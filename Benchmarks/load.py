"""The load that ``media-gateway bench`` makes, from the client's core, and the figures that it reports."""

from __future__ import annotations

import json
import subprocess
import tempfile

import measure

import gateway


class Load:
    """One run on one server, from now on. ``arguments`` are those of ``media-gateway bench``."""

    def __init__(self, *arguments: str) -> None:
        self._report = tempfile.NamedTemporaryFile(prefix="load.", suffix=".json")
        command = [gateway.gateway_program(), "bench", *arguments, "--json", self._report.name]
        self._process = gateway.child(measure.ON_CLIENT_CORE + command, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, text=True)

    def __enter__(self) -> "Load":
        return self

    def __exit__(self, *_) -> None:
        gateway.end(self._process)
        self._report.close()

    def figures(self) -> dict:
        """Waits for the end; what is said of the server. Wrong answers are among the figures."""
        said, _ = self._process.communicate()
        if self._process.returncode not in (0, 1) or not (text := self._report.read()):
            raise RuntimeError(f"bench ended with {self._process.returncode}: {said.strip()[-500:]}")
        return json.loads(text)["servers"][0]


def run(*arguments: str) -> dict:
    with Load(*arguments) as load:
        return load.figures()


def faults(figures: dict) -> list[str]:
    """What the errors were, each kind with its first one."""
    return [f"{kind['count']} {kind['kind']}: {kind['first']}" for kind in figures["error_kinds"]]


def duration(seconds: float) -> str:
    return f"{seconds * 1000:.0f}ms"


def stages(levels: tuple[int, ...], seconds: float) -> str:
    """From none to the first level, from there to the next, each in so many seconds."""
    return ",".join(f"{level}:{duration(seconds)}" for level in levels)
