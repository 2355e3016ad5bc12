#!/usr/bin/env python3
"""Makes of each peer on loopback one that is far away: TCP with a round trip time and a rate of its own.

    relay.py --rtt 60 --rate 1500000 HOST:PORT …

For each target it listens on a port of 127.0.0.1. Bytes towards the target are delayed by half of ``--rtt`` (ms); those
from it are sent at ``--rate`` bytes a second, all connections of the target together, and delayed by the other half.
Buffers are small, so that what a real link would not hold waits at the peer.

It prints one line of JSON, ``{"ports": […]}``. Then, for each line on its standard input, it prints what the targets
sent since the last one: ``payload`` bytes of blocks, ``redundant`` ones among them that had been sent before (by any
target), ``wire`` bytes of everything, and ``connections``. Blocks of connections that are encrypted throughout cannot
be seen; ``unseen`` counts those connections. At the end of its input it ends.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import struct
import sys
from dataclasses import asdict, dataclass

PART = 16 << 10
BUFFER = 64 << 10
GREETING = b"\x13BitTorrent protocol"
PIECE = 7


@dataclass
class Counts:
    payload: int = 0
    redundant: int = 0
    wire: int = 0
    connections: int = 0
    unseen: int = 0


class Blocks:
    """Finds the blocks in what a peer sends. Their headers are looked at, never their bytes."""

    def __init__(self, seen: set[tuple[int, int]], counts: Counts) -> None:
        self.seen, self.counts = seen, counts
        self.has_greeted = False
        self.pending = bytearray()
        self.skipped = 0
        self.fed = 0

    @property
    def is_hidden(self) -> bool:
        """A peer that greeted nobody and sent much all the same."""
        return not self.has_greeted and self.fed > 10 * PART

    def feed(self, data: bytes) -> None:
        self.pending += data
        self.fed += len(data)
        if not self.has_greeted and not self._greeting():
            return
        while self._message():
            pass

    def _greeting(self) -> bool:
        """An encrypted handshake may come before; what follows it is plain unless both sides insist."""
        start = self.pending.find(GREETING)
        if start < 0:
            del self.pending[:-len(GREETING)]
            return False
        if len(self.pending) < start + 68:
            return False
        del self.pending[:start + 68]
        self.has_greeted = True
        return True

    def _message(self) -> bool:
        step = min(self.skipped, len(self.pending))
        del self.pending[:step]
        self.skipped -= step
        if self.skipped or len(self.pending) < 5:
            # Keep-alives are four bytes.
            if not self.skipped and self.pending[:4] == b"\0\0\0\0":
                del self.pending[:4]
                return True
            return False
        length = struct.unpack_from(">I", self.pending)[0]
        if length and self.pending[4] == PIECE:
            if len(self.pending) < 13:
                return False
            self._count(struct.unpack_from(">II", self.pending, 5), length - 9)
        self.skipped = 4 + length
        return True

    def _count(self, block: tuple[int, int], size: int) -> None:
        self.counts.payload += size
        if block in self.seen:
            self.counts.redundant += size
        self.seen.add(block)


@dataclass
class Link:
    """One target, its rate, and when its link is free again."""

    host: str
    port: int
    delay: float
    rate: float
    counts: Counts
    seen: set[tuple[int, int]]
    free: float = 0

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.counts.connections += 1
        target = socket.socket()
        target.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        target.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(target, (self.host, self.port))
            away, back = await asyncio.open_connection(sock=target, limit=BUFFER)
        except OSError:
            target.close()
            writer.close()
            return
        blocks = Blocks(self.seen, self.counts)
        flows = [asyncio.ensure_future(self._carry(reader, back, None)),
                 asyncio.ensure_future(self._carry(away, writer, blocks))]
        await asyncio.wait(flows, return_when=asyncio.FIRST_COMPLETED)
        for flow in flows:
            flow.cancel()
        for end in (writer, back):
            end.close()
        self.counts.unseen += blocks.is_hidden

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, blocks: Blocks | None) -> None:
        """One direction. As much is under way as the link holds."""
        loop = asyncio.get_running_loop()
        under_way: asyncio.Queue = asyncio.Queue(2 + int(self.rate * self.delay) // PART)

        async def deliver() -> None:
            while True:
                due, data = await under_way.get()
                await asyncio.sleep(max(due - loop.time(), 0))
                writer.write(data)
                await writer.drain()

        delivery = asyncio.ensure_future(deliver())
        try:
            while data := await reader.read(PART):
                if blocks:
                    self.counts.wire += len(data)
                    blocks.feed(data)
                    self.free = max(self.free, loop.time() - 0.005) + len(data) / self.rate
                    await asyncio.sleep(self.free - loop.time())
                await under_way.put((loop.time() + self.delay, data))
        except OSError:
            pass
        finally:
            delivery.cancel()


async def serve(options: argparse.Namespace) -> None:
    counts, seen = Counts(), set()
    ports, servers = [], []
    for target in options.targets:
        host, _, port = target.rpartition(":")
        link = Link(host, int(port), options.rtt / 2000, options.rate, counts, seen)
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        servers.append(await asyncio.start_server(link.connected, sock=listener, limit=BUFFER))
        ports.append(listener.getsockname()[1])
    print(json.dumps({"ports": ports}), flush=True)
    loop = asyncio.get_running_loop()
    while await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps(asdict(counts)), flush=True)
        for name, value in asdict(Counts()).items():
            setattr(counts, name, value)
        seen.clear()
    os._exit(0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rtt", type=float, default=60, help="ms (default 60)")
    parser.add_argument("--rate", type=float, default=1.5e6, help="bytes a second (default 1500000)")
    parser.add_argument("targets", nargs="+", metavar="HOST:PORT")
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
