"""A peer of many swarms on one port that says of each what it is told to say: BEP 3, 6, 9, 10 and 52, byte by byte."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hostile_torrents import KIB, bencode

BLOCK = 16 * KIB
PROTOCOL = b"\x13BitTorrent protocol"
# Messages of BEP 3, 6 and 10, and of ut_metadata.
UNCHOKE, REQUEST, PIECE, HAVE_ALL, EXTENDED = 1, 6, 7, 14, 20
ASK, DATA, REJECT = 0, 1, 2
# How the other side is to number what it sends here.
OWN_METADATA = 3
# Blocks of the content that a connection gives: enough that files are written.
MOST_BLOCKS = 256
# Requests for metadata that a connection answers at once: for 8 MiB, twice. libtorrent asks for a piece that it could
# not use as fast as that is answered.
MOST_REQUESTS = 1024


@dataclass
class Shared:
    """What the peer knows of one swarm: its metadata, the content (zeros without it), and how it behaves."""

    info: bytes
    manner: Callable[["Talk"], None]
    content: bytes | None = None


class Talk:
    """One connection of a swarm, behind the handshake of the other side."""

    def __init__(self, connection: socket.socket, file, hash: bytes, shared: Shared) -> None:
        self.connection, self.file, self.hash, self.shared = connection, file, hash, shared
        # What the other side calls its extensions.
        self.numbers: dict[str, int] = {}
        self.requests = self.blocks = 0

    @property
    def info(self) -> bytes:
        return self.shared.info

    @property
    def count(self) -> int:
        """Pieces of metadata."""
        return -(-len(self.info) // BLOCK)

    # Saying

    def send(self, raw: bytes) -> None:
        self.connection.sendall(raw)

    def message(self, kind: int, payload: bytes = b"") -> None:
        self.send((len(payload) + 1).to_bytes(4, "big") + bytes([kind]) + payload)

    def extended(self, number: int, payload: bytes) -> None:
        self.message(EXTENDED, bytes([number]) + payload)

    def greet(self, hash: bytes | None = None) -> None:
        """The handshake, and what the other side can do."""
        reserved = bytes([0, 0, 0, 0, 0, 0x10, 0, 0x14])
        self.send(PROTOCOL + reserved + (hash or self.hash) + b"-XX0001-" + os.urandom(12))
        for kind, payload in self.messages():
            if kind == EXTENDED and payload[:1] == b"\0":
                found = re.findall(rb"\d+:(lt_donthave|ut_\w+?)i(\d+)e", payload)
                self.numbers = {name.decode(): int(number) for name, number in found}
                return

    def introduce(self, size: object = None, **keys) -> None:
        """What this side can do: with the size of the metadata if none is given, and with all pieces of the content."""
        said = {"m": {"ut_metadata": OWN_METADATA, "ut_pex": 1}, "reqq": 250, "v": "peer",
                "metadata_size": len(self.info) if size is None else size, **keys}
        self.extended(0, bencode({key: value for key, value in said.items() if value != "absent"}))
        self.message(HAVE_ALL)
        self.message(UNCHOKE)

    def part(self, piece: int) -> bytes:
        return self.info[piece * BLOCK:(piece + 1) * BLOCK]

    def data(self, piece: int, part: bytes | None = None, **keys) -> None:
        """A piece of the metadata: the right one, as far as nothing else is given."""
        said = {"msg_type": DATA, "piece": piece, "total_size": len(self.info), **keys}
        head = bencode({key: value for key, value in said.items() if value != "absent"})
        self.extended(self.numbers["ut_metadata"], head + (self.part(piece) if part is None else part))

    # Hearing

    def messages(self) -> Iterator[tuple[int, bytes]]:
        while len(head := self.file.read(4)) == 4:
            body = self.file.read(int.from_bytes(head, "big"))
            if body:
                yield body[0], body[1:]

    def asked(self) -> Iterator[int]:
        """The pieces of metadata that are asked for. Blocks of the content are given meanwhile."""
        for kind, payload in self.messages():
            if kind == EXTENDED and payload[:1] == bytes([OWN_METADATA]):
                found = re.search(rb"5:piecei(\d+)e", payload)
                if found and b"8:msg_typei%de" % ASK in payload:
                    self.requests += 1
                    if self.requests > MOST_REQUESTS:
                        time.sleep(0.1)
                    yield int(found[1])
            elif kind == REQUEST and self.blocks < MOST_BLOCKS:
                self._give(payload)

    def _give(self, request: bytes) -> None:
        index, begin, length = (int.from_bytes(request[at:at + 4], "big") for at in (0, 4, 8))
        block = bytes(min(length, 128 * KIB))
        if self.shared.content is not None:
            piece_length = int(re.search(rb"12:piece lengthi(\d+)e", self.info)[1])
            at = index * piece_length + begin
            block = self.shared.content[at:at + length]
        self.blocks += 1
        self.message(PIECE, request[:8] + block)

    def answer(self) -> None:
        """Every piece of metadata that is asked for, as it is, until the other side hangs up."""
        for piece in self.asked():
            self.data(piece)


def honest(talk: Talk) -> None:
    talk.greet()
    talk.introduce()
    talk.answer()


class Peer:
    """Listens, and behaves in each swarm as that says."""

    def __init__(self, address: str, port: int = 0) -> None:
        self.swarms: dict[bytes, Shared] = {}
        # How often it was reached, by the hash that was named.
        self.met: Counter[bytes] = Counter()
        self.listening = socket.create_server((address, port), backlog=1024)
        self.port = self.listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *_) -> None:
        self.listening.close()

    def share(self, info: bytes, manner: Callable[[Talk], None] = honest, content: bytes | None = None) -> None:
        """Under the hash of version 1, and the shortened one of version 2."""
        shared = Shared(info, manner, content)
        self.swarms[hashlib.sha1(info).digest()] = shared
        self.swarms[hashlib.sha256(info).digest()[:20]] = shared

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listening.accept()
                threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        # Whoever hangs up, on either side, has said enough.
        with contextlib.suppress(OSError, ValueError), connection, connection.makefile("rb") as file:
            connection.settimeout(60)
            hash = file.read(68)[28:48]
            shared = self.swarms.get(hash)
            if shared:
                self.met[hash] += 1
                shared.manner(Talk(connection, file, hash, shared))
