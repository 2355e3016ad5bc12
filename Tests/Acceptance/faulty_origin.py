"""An HTTP origin on bare sockets: one object, which is served as it should be until a fault begins."""

from __future__ import annotations

import gzip
import random
import re
import socket
import threading
from dataclasses import dataclass, field
from typing import Callable

KIB = 1 << 10
MIB = 1 << 20
# Of each version of the object, in bytes.
SIZES = {1: 5 * MIB // 2 + 123, 2: 5 * MIB // 2 + 123, 3: MIB + 400 * KIB + 5, 4: 3 * MIB + 7, 5: 5 * MIB // 2 + 123}
# What is asked for where it is a range, and where a fault in the middle of a body is.
RANGE = (MIB + 100 * KIB, MIB + 600 * KIB - 1)
PLACE = MIB + 300 * KIB


class Ended(Exception):
    """The connection ends in order."""


class Reset(Exception):
    """The connection ends with a reset."""


@dataclass
class Asked:
    """The head of one request."""

    method: str
    target: str
    fields: dict[str, str]

    @staticmethod
    def parsed(head: bytes) -> "Asked":
        lines = head.decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ", 2)
        fields = dict(line.split(":", 1) for line in lines[1:])
        return Asked(method, target, {name.lower(): value.strip() for name, value in fields.items()})


@dataclass
class Answer:
    """What goes back. ``first`` is the place in the object where the body begins."""

    status: int
    body: bytes = b""
    fields: list[tuple[str, str]] = field(default_factory=list)
    first: int = 0
    # ``length``, ``chunked``, or ``close``: the body ends with the connection.
    framing: str = "length"

    def value(self, name: str) -> str | None:
        return next((value for key, value in self.fields if key == name), None)

    def change(self, name: str, value: str) -> None:
        self.fields = [line for line in self.fields if line[0] != name] + [(name, value)]

    @property
    def head(self) -> bytes:
        lines = [f"HTTP/1.1 {self.status} -"] + [f"{name}: {value}" for name, value in self.fields]
        if self.framing == "length" and self.status != 304 and not self.value("Content-Length"):
            lines.append(f"Content-Length: {len(self.body)}")
        if self.framing == "chunked":
            lines.append("Transfer-Encoding: chunked")
        if self.framing == "close":
            lines.append("Connection: close")
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


def chunk(part: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(part), part)


class Talk:
    """One request to the origin, to be answered. ``turn`` counts those since the fault began, ``number`` those on its
    connection before it."""

    def __init__(self, origin: "FaultyOrigin", connection: socket.socket, asked: Asked, turn: int, number: int) -> None:
        self.origin = origin
        self.socket = connection
        self.asked = asked
        self.turn = turn
        self.number = number

    # What is right

    def right(self, version: int | None = None, tag: str | None = "", conditions: bool = True, coding: str = "",
              **options) -> Answer:
        """What the origin has to say if it has this version, under this tag; ``None`` is no tag."""
        version = version or self.origin.version
        tag = self.origin.tags[version] if tag == "" else tag
        whole = self.origin.body(version, coding)
        fields = [("Cache-Control", "no-cache"), ("Accept-Ranges", "bytes")]
        fields += [("ETag", tag)] if tag else []
        fields += [("Content-Encoding", coding)] if coding else []
        if conditions and tag and tag in self.asked.fields.get("if-none-match", ""):
            return Answer(304, fields=fields)
        interval = self.interval(len(whole))
        if not interval or conditions and self.asked.fields.get("if-range", tag) != tag:
            return Answer(200, whole, fields, **options)
        first, last = interval
        if first > last:
            return Answer(416, fields=[("Content-Range", f"bytes */{len(whole)}")])
        return Answer(206, whole[first:last + 1], [*fields, labelled(first, last, len(whole))], first, **options)

    def interval(self, size: int) -> tuple[int, int] | None:
        """The first and the last byte that are asked for."""
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", self.asked.fields.get("range", ""))
        return (int(found[1]), min(int(found[2] or size), size - 1)) if found else None

    # Sending

    def send(self, answer: Answer, *behind: bytes) -> None:
        self.begin(answer)
        if answer.framing == "chunked" and self.asked.method != "HEAD":
            half = len(answer.body) // 2
            self.raw(b"".join(chunk(part) for part in (answer.body[:half], answer.body[half:]) if part) + b"0\r\n\r\n")
        elif self.asked.method != "HEAD":
            self.raw(answer.body)
        for part in behind:
            self.raw(part)
        if answer.framing == "close":
            raise Ended

    def begin(self, answer: Answer) -> None:
        self.origin.note(answer)
        self.raw(answer.head)

    def up_to_place(self, answer: Answer) -> bytes:
        """Sends an answer up to ``PLACE`` of the object; what is left of it."""
        if answer.first + len(answer.body) <= PLACE:
            self.send(answer)
            return b""
        count = max(PLACE - answer.first, 0)
        self.begin(answer)
        part = answer.body[:count]
        self.raw(part if answer.framing != "chunked" else chunk(part) if part else b"")
        return answer.body[count:]

    def raw(self, data: bytes) -> None:
        self.socket.sendall(data)
        self.origin.sent += len(data)

    def wait(self, limit: float) -> None:
        """Until it is over or the other side ends the connection, but not longer."""
        self.socket.settimeout(limit)
        try:
            if not self.socket.recv(65536):
                raise Ended
        except TimeoutError:
            pass
        finally:
            self.socket.settimeout(None)


def labelled(first: int, last: int, size: int) -> tuple[str, str]:
    return "Content-Range", f"bytes {first}-{last}/{size}"


class FaultyOrigin:
    """Listens on a port of its own. ``seed`` makes its object."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.version = 1
        self.tags = {version: f'"v{version}"' for version in SIZES}
        # Whether nothing was fetched before the fault began.
        self.is_cold = True
        self.sent = 0
        self.answers: set[tuple[int, str | None, bytes]] = set()
        self.fault: Callable[[Talk], None] | None = None
        self.on_accept: Callable[[socket.socket], None] | None = None
        self.turns = 0
        self.was_reset = False
        self._bodies: dict[tuple[int, str], bytes] = {}
        # Connections that end with a reset when they are used again.
        self.dead: set[socket.socket] = set()
        self._open: set[socket.socket] = set()
        self._fillers: list[socket.socket] = []
        self._lock = threading.Lock()
        # The spare one holds the port while nobody listens.
        self._listener, self._spare = socket.socket(), socket.socket()
        for one in (self._listener, self._spare):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind(("127.0.0.1", self.port if one is self._spare else 0))

    @property
    def port(self) -> int:
        return self._listener.getsockname()[1] if self._listener.fileno() >= 0 else self._spare.getsockname()[1]

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def body(self, version: int, coding: str = "") -> bytes:
        with self._lock:
            if (version, "") not in self._bodies:
                source = random.Random(self.seed * 10 + version)
                self._bodies[version, ""] = source.randbytes(SIZES[version])
            if (version, coding) not in self._bodies:
                self._bodies[version, coding] = gzip.compress(self._bodies[version, ""], 1, mtime=0)
            return self._bodies[version, coding]

    @property
    def bodies(self) -> dict[tuple[int, str], bytes]:
        """What there has been, by version and coding."""
        with self._lock:
            return dict(self._bodies)

    def note(self, answer: Answer) -> None:
        with self._lock:
            self.answers.add((answer.status, answer.value("Content-Range"), answer.body))

    # Life

    def start(self) -> None:
        self._listener.listen(128)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def stop(self) -> None:
        self.forget_connections()
        for one in (self._listener, self._spare, *self._fillers):
            _end(one)
        self._bodies, self.answers = {}, set()

    def lose(self) -> None:
        """The connections there are count no more, as if something on the way had forgotten them."""
        with self._lock:
            self.dead = set(self._open)

    def refuse(self) -> None:
        """From now on nobody listens at the port, and no connection is left."""
        _end(self._listener)
        self.forget_connections()

    def ignore(self) -> None:
        """From now on connections are not even completed: the queue is full, and nobody accepts."""
        self.refuse()
        self._spare.listen(0)
        for _ in range(3):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", self.port))
            self._fillers.append(filler)

    def heal(self) -> None:
        self.fault = self.on_accept = None
        if self._listener.fileno() < 0:
            for filler in self._fillers:
                _end(filler)
            self._spare.listen(128)
            threading.Thread(target=self._accept, args=(self._spare,), daemon=True).start()

    def forget_connections(self) -> None:
        with self._lock:
            ending, self._open = self._open, set()
        for connection in ending:
            _end(connection)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                self._open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.on_accept:
                self.on_accept(connection)
            pending, number = b"", 0
            while True:
                while b"\r\n\r\n" not in pending:
                    part = connection.recv(65536)
                    if not part:
                        return
                    pending += part
                head, _, pending = pending.partition(b"\r\n\r\n")
                with self._lock:
                    fault, turn = self.fault, self.turns
                    self.turns += 1
                    is_dead = connection in self.dead
                if is_dead:
                    raise Reset
                talk = Talk(self, connection, Asked.parsed(head), turn, number)
                if fault:
                    fault(talk)
                else:
                    talk.send(talk.right())
                number += 1
        except Reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            connection.close()
        except (Ended, OSError):
            pass  # The gateway left, or the fault wants it so.
        finally:
            with self._lock:
                self._open.discard(connection)
            _end(connection)


def _end(one: socket.socket) -> None:
    if one.fileno() >= 0:
        try:
            one.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # It has no other side any more.
        one.close()
