"""HTTP/1.1 on a bare socket: the bytes as they are sent, and an account of every byte that comes back."""

from __future__ import annotations

import re
import socket
import time


class WireError(Exception):
    """What came is not an answer, or not the whole of one."""


class Ended(WireError):
    """The connection ended where an answer would begin, without a byte of one."""


class ShortBody(WireError):
    """The connection ended before the announced length."""

    def __init__(self, reply: "Reply", expected: int) -> None:
        super().__init__(f"the body ended at {len(reply.body)} of {expected} bytes")
        self.reply = reply


class Reply:
    """One answer. ``fields`` keeps order and repetition; ``header`` is for those that occur once."""

    def __init__(self, status: int, version: str, fields: list[tuple[str, str]]) -> None:
        self.status = status
        self.version = version
        self.fields = fields
        self.body = b""
        self.until_close = False

    def header(self, name: str) -> str | None:
        values = [value for key, value in self.fields if key == name.lower()]
        if len(values) > 1 and name.lower() in ("content-length", "content-range", "etag", "content-type"):
            raise WireError(f"{name} occurs {len(values)} times")
        return values[0] if values else None

    def __repr__(self) -> str:
        return f"{self.status} {len(self.body)} bytes"


class Connection:
    """A connection that refuses to read past what an answer announced."""

    def __init__(self, address: tuple[str, int], timeout: float = 20, receive_buffer: int = 0) -> None:
        self.address = address
        self.timeout = timeout
        self.pending = bytearray()
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        self.socket.connect(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def reset(self) -> None:
        """Ends the connection with a reset, as a killed player's kernel does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()

    # Requests

    def send(self, raw: bytes) -> None:
        self.socket.sendall(raw)

    def get(self, path: str, method: str = "GET", fields: list[tuple[str, str]] | None = None) -> Reply:
        self.send(request(path, method, fields))
        return self.reply(method)

    # Answers

    def reply(self, method: str = "GET") -> Reply:
        """The next final answer; ``100 Continue`` is passed over."""
        while True:
            reply = self._head()
            if reply.status >= 200:
                break
        if method == "HEAD" or reply.status in (204, 304):
            return reply
        length = reply.header("content-length")
        coding = reply.header("transfer-encoding")
        if coding is not None:
            if length is not None or coding.lower() != "chunked":
                raise WireError(f"transfer-encoding {coding!r} with content-length {length!r}")
            reply.body = self._chunked()
        elif length is not None:
            if not re.fullmatch(r"\d{1,19}", length):
                raise WireError(f"content-length {length!r}")
            self._counted(reply, int(length))
        else:
            reply.until_close = True
            reply.body = self._to_end()
        return reply

    def head_only(self) -> Reply:
        """The head alone; the body stays to be read with ``read_some``."""
        return self._head()

    def read_some(self, limit: int) -> bytes:
        """Up to ``limit`` bytes, empty at the end."""
        if self.pending:
            part = bytes(self.pending[:limit])
            del self.pending[:limit]
            return part
        return self._receive(limit)

    def leftover(self, wait: float = 0.3) -> bytes | None:
        """What comes without being asked for: bytes, ``b""`` for the end of the connection, ``None`` for silence."""
        if self.pending:
            return bytes(self.pending)
        self.socket.settimeout(wait)
        try:
            return self._receive(65536)
        except TimeoutError:
            return None
        finally:
            self.socket.settimeout(self.timeout)

    def _receive(self, limit: int) -> bytes:
        try:
            return self.socket.recv(limit)
        except (ConnectionResetError, BrokenPipeError):
            return b""

    def _line_end(self, limit: int) -> int:
        start = 0
        while True:
            end = self.pending.find(b"\r\n\r\n", start)
            if end >= 0:
                return end
            if len(self.pending) > limit:
                raise WireError("a head without an end")
            start = max(len(self.pending) - 3, 0)
            part = self._receive(65536)
            if not part:
                if not self.pending:
                    raise Ended("the connection ended without an answer")
                raise WireError(f"the connection ended in a head ({bytes(self.pending[:60])!r})")
            self.pending += part

    def _head(self) -> Reply:
        end = self._line_end(65536)
        lines = bytes(self.pending[:end]).split(b"\r\n")
        del self.pending[:end + 4]
        status = re.fullmatch(rb"(HTTP/1\.[01]) (\d{3}) [ -~]*", lines[0])
        if not status:
            raise WireError(f"not a status line: {lines[0][:80]!r}")
        fields = []
        for line in lines[1:]:
            field = re.fullmatch(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*", line, re.DOTALL)
            if not field or re.search(rb"[\x00-\x08\x0a-\x1f\x7f]", line):
                raise WireError(f"not a field: {line[:80]!r}")
            fields.append((field[1].decode().lower(), field[2].decode("latin-1")))
        return Reply(int(status[2]), status[1].decode(), fields)

    def _counted(self, reply: Reply, length: int) -> None:
        body = bytearray(self.pending[:length])
        del self.pending[:length]
        while len(body) < length:
            part = self._receive(min(length - len(body), 1 << 20))
            if not part:
                reply.body = bytes(body)
                raise ShortBody(reply, length)
            body += part
        reply.body = bytes(body)

    def _chunked(self) -> bytes:
        body = bytearray()
        while True:
            size = re.fullmatch(rb"([0-9a-fA-F]{1,16})(;.*)?", self._line())
            if not size:
                raise WireError("a broken chunk size")
            count = int(size[1], 16)
            if count == 0:
                if self._line() != b"":
                    raise WireError("a trailer")
                return bytes(body)
            while len(self.pending) < count + 2:
                self._more("in a chunk")
            if self.pending[count:count + 2] != b"\r\n":
                raise WireError("a chunk without its end")
            body += self.pending[:count]
            del self.pending[:count + 2]

    def _line(self) -> bytes:
        while b"\r\n" not in self.pending:
            self._more("in a line")
        line, _, rest = bytes(self.pending).partition(b"\r\n")
        self.pending = bytearray(rest)
        return line

    def _more(self, where: str) -> None:
        part = self._receive(65536)
        if not part:
            raise WireError(f"the connection ended {where}")
        self.pending += part

    def _to_end(self) -> bytes:
        while True:
            part = self._receive(1 << 20)
            if not part:
                body = bytes(self.pending)
                self.pending.clear()
                return body
            self.pending += part


def request(path: str, method: str = "GET", fields: list[tuple[str, str]] | None = None, body: bytes = b"") -> bytes:
    """A request as bytes; ``fields`` may hold anything that latin-1 can spell."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    lines += [f"{name}: {value}" for name, value in fields or []]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def until_hit(ask, patience: float = 10) -> Reply:
    """What ``ask()`` gives once it comes from the cache, into which bytes are written after they were sent; or the last
    it gave."""
    until = time.monotonic() + patience
    while "; hit" not in ((reply := ask()).header("cache-status") or "") and time.monotonic() < until:
        time.sleep(0.05)
    return reply


def fetch(address: tuple[str, int], path: str, method: str = "GET",
          fields: list[tuple[str, str]] | None = None, timeout: float = 20) -> Reply:
    """One request on a connection of its own."""
    with Connection(address, timeout) as connection:
        return connection.get(path, method, fields)


def seconds(action) -> tuple[float, object]:
    """How long ``action`` took, and what it gave."""
    began = time.monotonic()
    value = action()
    return time.monotonic() - began, value
