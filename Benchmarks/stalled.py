"""Readers that take the head of an answer and stop: what memory they cost the gateway."""

from __future__ import annotations

import time
from dataclasses import dataclass

from measure import anonymous_memory

import gateway
import report
from content import MIB
from drain import stalled_reader


@dataclass
class Memory:
    """RssAnon of a gateway, in bytes, before and at most while ``held`` of ``asked`` readers were stalled."""

    before: int
    peak: int
    asked: int
    held: int
    seconds: float

    def judge(self, limit: int, what: str, out: report.Report) -> None:
        out.check(self.peak < limit and self.held == self.asked, f"{what} under {limit // MIB} MB",
                  f"peak {self.peak / MIB:.1f} MiB, {self.before / MIB:.1f} before, {self.held} held, "
                  f"{self.seconds:.0f} s")


def hold(server: gateway.Server, name: str, size: int, count: int, seconds: float) -> Memory:
    """Has ``count`` readers stall, each at its own offset of an object of ``size`` bytes, and looks for ``seconds``."""
    before = peak = anonymous_memory(server.pid)
    readers = []
    try:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if len(readers) < count:
                readers.append(stalled_reader(server, name, len(readers) * (size // count)))
            peak = max(peak, anonymous_memory(server.pid))
            time.sleep(0.01)
        cut = sum(reader.leftover(0.001) == b"" for reader in readers if not reader.pending)
    finally:
        for reader in readers:
            reader.close()
    return Memory(before, peak, count, len(readers) - cut, seconds)
