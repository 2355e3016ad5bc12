"""One request on a connection of its own, read to the end of the connection: every byte that came counts."""

from __future__ import annotations

import re
import socket
import time
from dataclasses import dataclass, field


@dataclass
class Got:
    """An answer as far as it came. ``status`` is 0 without a head."""

    status: int = 0
    fields: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    is_whole: bool = False
    is_open: bool = False
    seconds: float = 0

    def value(self, name: str) -> str:
        return ", ".join(value for key, value in self.fields if key == name)


def read_to_end(address: tuple[str, int], path: str, patience: float, method: str, fields: list[str]) -> Got:
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Connection: close", *fields]
    began, came, is_open = time.monotonic(), [], False
    with socket.create_connection(address, patience) as connection:
        connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
        try:
            while True:
                connection.settimeout(max(began + patience - time.monotonic(), 0.001))
                part = connection.recv(1 << 20)
                if not part:
                    break
                came.append(part)
        except TimeoutError:
            is_open = True
        except ConnectionError:
            pass  # What came before counts.
    got = parsed(b"".join(came), method)
    got.is_open, got.seconds = is_open, time.monotonic() - began
    return got


def parsed(raw: bytes, method: str) -> Got:
    head, end, rest = raw.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    if not end or not (status := re.fullmatch(r"HTTP/1\.1 (\d{3}) .*", lines[0])):
        return Got()
    fields = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines[1:])]
    got = Got(int(status[1]), fields)
    lengths = [value for name, value in fields if name == "content-length"]
    if method == "HEAD" or got.status in (204, 304):
        got.is_whole = not rest
    elif got.value("transfer-encoding"):
        got.body, got.is_whole = unchunked(rest)
    elif len(lengths) == 1:
        got.body, got.is_whole = rest, len(rest) >= int(lengths[0])
    else:
        got.body, got.is_whole = rest, True
    return got


def unchunked(rest: bytes) -> tuple[bytes, bool]:
    """The body as far as it came, and whether it ended as it should."""
    parts = []
    while found := re.match(rb"([0-9a-f]+)\r\n", rest, re.IGNORECASE):
        count, start = int(found[1], 16), found.end()
        if count == 0:
            return b"".join(parts), rest[start:] == b"\r\n"
        parts.append(rest[start:start + count])
        rest = rest[start + count + 2:]
    return b"".join(parts), False
