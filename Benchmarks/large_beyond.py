"""Hits of a cache that is larger than memory, beside nginx ``proxy_cache`` with the same files.

Each server runs in a memory cgroup of a quarter of what it has cached; the page cache is counted there. Random ranges
of 1 MiB are therefore read from the disk for the most part. The disk is the limit, so what is compared is time.
"""

from __future__ import annotations

import re
from pathlib import Path

import measure
from measure import ON_SERVER_CORE, Comparison, RangeLoad, Run

import cache_probe
import content
import gateway
import peers
import report
from cache_cold import LAG_LIMIT, Lag
from content import GIB, MIB
from memory_group import MemoryGroup

SIZE, MEMORY = 2 * GIB, 512 * MIB
CONNECTIONS = 10
SECONDS = 3.0


def run(root: Path, tools: Path, rounds: int, out: report.Report) -> None:
    try:
        ours, theirs = MemoryGroup("gateway", MEMORY), MemoryGroup("nginx", MEMORY)
    except OSError as error:
        out.skip("hits of a cache larger than memory", f"no memory cgroup can be made here: {error}")
        return
    with ours, theirs:
        _measure(root, tools, ours, theirs, rounds, out)


class Hits:
    """Random ranges, and what they did to the disk and to the gateway's event loops."""

    def __init__(self, load: RangeLoad) -> None:
        self.load = load
        # Bytes from the disk for each byte sent, by server.
        self.read: dict[str, list[float]] = {}
        self.lags: list[Lag] = []
        # Major faults of the gateway's threads: of event loops, and of all.
        self.loop_faults = self.faults = self.requests = 0

    def run(self, server: gateway.Server, number: int) -> Run:
        is_gateway = server.kind == gateway.Server.kind
        lag = Lag.now(server) if is_gateway else None
        faults, read = _major_faults(server.pid), _read_bytes(server.pid)
        run = self.load(server, MIB, CONNECTIONS, SECONDS if number else 1.0, 1000 + number)
        if number:
            self.read.setdefault(server.kind, []).append((_read_bytes(server.pid) - read) / run.bytes)
        if number and is_gateway:
            self.lags.append(Lag.now(server).since(lag))
            now = _major_faults(server.pid)
            self.loop_faults += now[0] - faults[0]
            self.faults += now[1] - faults[1]
            self.requests += run.requests
        return run


def _measure(root: Path, tools: Path, ours: MemoryGroup, theirs: MemoryGroup, rounds: int,
             out: report.Report) -> None:
    file = content.write(root / "film.bin", SIZE)
    hits = Hits(RangeLoad(measure.build("rangeload", tools), gateway.Server.path(file.name), SIZE))
    with (gateway.Server(root, config='[cache]\nsize = "4GiB"\n', prefix=ours.prefix + ON_SERVER_CORE) as server,
          peers.NginxSliceServer(root, prefix=theirs.prefix + ON_SERVER_CORE) as nginx):
        cache_probe.filled(server, lambda: hits.load.once(server, 1), SIZE // MIB)
        hits.load.once(nginx, 1)
        measure.same_bytes([server, nginx], hits.load, file, out)
        _drop(server, nginx)
        # Each chunk has its checksum looked at once after a start, for which all of it is read.
        hits.load.once(server, 1)
        before, asked = cache_probe.settled(server), nginx.origin_requests
        comparison = Comparison(f"random 1 MiB of {SIZE // MIB} MiB, {MEMORY // MIB} MiB of memory", "s/GiB",
                                lambda run: run.seconds / (run.bytes / GIB), [server, nginx], rounds)
        comparison.measure(hits.run)
        fetched = cache_probe.settled(server).source_bytes - before.source_bytes
        asked, used = nginx.origin_requests - asked, max(ours.used, theirs.used)
    print(Comparison.HEAD)
    comparison.print()
    out.check(fetched == 0 and asked == 0, "both had all of it", f"{fetched:.0f} bytes and {asked} requests")
    read = {kind: min(shares) for kind, shares in hits.read.items()}
    out.check(all(share > 0.5 for share in read.values()) and used <= MEMORY, "most of it came from the disk",
              ", ".join(f"{kind} read {share:.2f} bytes for each it sent" for kind, share in read.items()))
    comparison.judge(server.kind, 1, nginx.kind, out)
    _judge_loops(hits, out)


def _drop(server: gateway.Server, nginx: gateway.Server) -> None:
    """What was read before must not be in memory at anybody else's expense."""
    server.terminate()
    server.process.wait(30)
    files = [cache_probe.directory(server) / "data.mdb", *(nginx.home / "cache").rglob("*")]
    for file in files:
        if file.is_file():
            cache_probe.drop_from_memory(file)
    server.start()


def _judge_loops(hits: Hits, out: report.Report) -> None:
    lag = sum(hits.lags[1:], hits.lags[0])
    out.check(lag.late == 0 and lag.probes > 0, f"event loops at most {float(LAG_LIMIT) * 1000:g} ms late meanwhile",
              f"later {lag}")
    out.check(hits.loop_faults == 0, "no event loop waited for a page",
              f"{hits.loop_faults} major faults of theirs, {hits.faults} of all threads, in {hits.requests} requests")


def _read_bytes(pid: int) -> int:
    """What a process had read from the disk."""
    return int(re.search(r"^read_bytes: (\d+)$", Path(f"/proc/{pid}/io").read_text(), re.MULTILINE)[1])


def _major_faults(pid: int) -> tuple[int, int]:
    """How many times the event loops of a gateway, and all of its threads, waited for a page from the disk."""
    loops = whole = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        try:
            name, fields = (thread / "stat").read_text().rsplit(")", 1)
        except OSError:
            continue  # it has ended
        faults = int(fields.split()[9])
        whole += faults
        loops += faults if "NIO-" in name else 0
    return loops, whole
