"""The loads of ``crowd_players.py``, and what a load takes of the server and of the machine."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import measure
from measure import CLIENT_CORE, DISTURBED, ON_CLIENT_CORE, SERVER_CORE, Core, MemoryWatch, RangeLoad

import gateway
from content import GIB, MIB

MEGABITS = 8
BYTES_PER_SECOND = MEGABITS * 1_000_000 // 8
# A core that has less of its time left is full.
FULL = 0.05
# Of players, those who may wait for a picture when the run ends: some have just jumped.
WAITING = 0.02


@dataclass(frozen=True)
class Use:
    """What a load took of a server and of the machine.

    ``idle`` are the shares of the server's core and of the load's that nobody took while all played, ``others`` the
    larger of the shares that went to processes which have no part in it; RssAnon is in bytes.
    """

    cpu: float
    idle: tuple[float, float]
    others: float
    memory_before: int
    memory_peak: int

    @property
    def ended(self) -> str:
        """The core that was full, and who else was on it."""
        names = ("the server's core", "the load's core")
        full = " and ".join(name for name, idle in zip(names, self.idle) if idle < FULL) or "neither core"
        return f"{full} (others took {self.others:.0%})" if self.others > DISTURBED else full


@dataclass(frozen=True)
class Crowd:
    """What so many players had of a server. ``waits`` are two percentiles in ms, which is said by the load."""

    players: int
    minutes: float
    stalls: int
    not_begun: int
    waits: tuple[float, float]
    bytes: int
    #: While all played.
    bytes_per_second: float
    errors: int
    wrong: int
    fault: str
    use: Use

    @property
    def is_smooth(self) -> bool:
        return not self.stalls and not self.errors and self.not_begun <= WAITING * self.players

    @property
    def cpu_per_gib(self) -> float:
        return self.use.cpu / (self.bytes / GIB)

    @property
    def memory_each(self) -> float:
        return (self.use.memory_peak - self.use.memory_before) / self.players


class BenchPlayers:
    """Viewers of ``media-gateway bench``, who choose, jump, pause and leave."""

    kind = "bench players"
    waits = "start p50 / p95 ms"

    def __init__(self, films: list[Path], tools: Path, seconds: int) -> None:
        """``seconds`` are those in which all play."""
        self.films, self.result, self.seconds = films, tools / "players.json", seconds

    def __call__(self, server: gateway.Server, count: int, seed: int) -> Crowd:
        self.result.unlink(missing_ok=True)
        ramp, seconds = max(count // 50, 4), self.seconds
        command = [gateway.gateway_program(), "bench", "players", *(server.url(film.name) for film in self.films),
                   "--bit-rate", f"{MEGABITS}Mbit/s", "--stages", f"{count}:{ramp}s,{count}:{seconds}s",
                   "--limit", str(count), "--compare", str(self.films[0].parent), "--seed", str(seed),
                   "--json", str(self.result)]
        output, use = under(server, command, ramp, seconds)
        if not self.result.exists():
            raise RuntimeError(f"bench players: {output.strip()}")
        figures = json.loads(self.result.read_text())["servers"][0]
        players, every = figures["players"], figures["per_second"][:ramp + seconds]
        full = [second["bytes"] for second in every[ramp:]]
        return Crowd(count, sum(second["level"] for second in every) / 60, players["stall"]["count"],
                     players["not_begun"], (players["start"].get("p50_ms", 0), players["start"].get("p95_ms", 0)),
                     figures["bytes"], sum(full) / len(full), figures["errors"], figures["wrong_bytes"],
                     "; ".join(f"{kind['kind']}: {kind['first']}" for kind in figures["error_kinds"]), use)


class PacedReaders:
    """Connections of ``rangeload`` that read on, 1 MiB after another, in the time that each takes to play."""

    kind = "paced readers"
    waits = "1 MiB p50 / p99 ms"

    def __init__(self, film: Path, load: RangeLoad, seconds: int) -> None:
        self.film, self.load, self.seconds = film, load, seconds

    def __call__(self, server: gateway.Server, count: int, seed: int) -> Crowd:
        seconds = self.seconds
        command = [*self.load.command(server, MIB, count, self.film),
                   "--rate", str(MEGABITS * 1_000_000), "--seconds", str(seconds), "--seed", str(seed)]
        # All of them have begun when a range has been played.
        output, use = under(server, command, MIB / BYTES_PER_SECOND, seconds - MIB / BYTES_PER_SECOND)
        result, stalls = measure.told(output, "RESULT", 6), measure.told(output, "STALLS", 2)
        if not result or not stalls:
            raise RuntimeError(f"rangeload: {output.strip()}")
        _, received, micros, p50, p99, failed = result
        return Crowd(count, count * seconds / 60, stalls[0], 0, (p50 / 1e3, p99 / 1e3), received,
                     received / micros * 1e6, failed, output.count("other bytes"), output.strip() if failed else "",
                     use)


def under(server: gateway.Server, command: list[str], ramp: float, seconds: float) -> tuple[str, Use]:
    """Runs a load on its core; what it said, and what it took. All play from ``ramp`` on, for ``seconds``."""
    cpu = measure.cpu_seconds(server.pid)
    with MemoryWatch(server.pid) as memory:
        load = gateway.child(ON_CLIENT_CORE + command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            time.sleep(ramp)
            cores, before = (Core(SERVER_CORE), Core(CLIENT_CORE)), _clocks(server, load)
            # It is still there when the cores are looked at again.
            time.sleep(seconds * 0.95)
            idle, others = _shares(cores, [now - then for now, then in zip(_clocks(server, load), before)])
            output = load.communicate(timeout=seconds + 120)[0]
        finally:
            gateway.end(load)
    return output, Use(measure.cpu_seconds(server.pid) - cpu, idle, others, memory.before, memory.peak)


def _clocks(server: gateway.Server, load: subprocess.Popen) -> tuple[float, float]:
    if load.poll() is not None:
        raise RuntimeError(f"the load ended early: {load.communicate()[0].strip()}")
    return measure.cpu_seconds(server.pid), measure.cpu_seconds(load.pid)


def _shares(cores: tuple[Core, Core], own: list[float]) -> tuple[tuple[float, float], float]:
    """What nobody took of the cores, and the larger part that went to others than those of ``own`` CPU seconds."""
    (server_idle, on_server), (load_idle, on_load) = (core.idle_and_processes() for core in cores)
    others = (on_server - cores[0].share(own[0]), on_load - cores[1].share(own[1]))
    return (server_idle, load_idle), max(*others, 0.0)
