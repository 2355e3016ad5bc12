"""An HTTP origin that does what a check tells it, and remembers what it was asked."""

from __future__ import annotations

import email.utils
import hashlib
import http.server
import re
import threading
import time
from typing import Callable


class Asked:
    """One request as it came."""

    def __init__(self, handler: http.server.BaseHTTPRequestHandler, body: bytes) -> None:
        self.method = handler.command
        self.target = handler.path
        self.fields = {name.lower(): value for name, value in handler.headers.items()}
        self.body = body


class Answer:
    """What to send. ``framing``: ``length``, ``chunked``, ``short``, which ends ten bytes before the length it named,
    or ``drip``, a byte in each tenth of a second."""

    def __init__(self, status: int = 200, body: bytes = b"", framing: str = "length", pause: float = 0,
                 **fields: str) -> None:
        self.status = status
        self.body = body
        self.framing = framing
        self.pause = pause
        self.fields = {name.replace("_", "-"): value for name, value in fields.items()}


class ScriptedOrigin:
    """Serves on a free port while it is entered. ``script`` makes the answer to each request."""

    def __init__(self, script: Callable[[Asked], Answer]) -> None:
        self.script = script
        self.asked: list[Asked] = []
        self.sent = 0
        self.port = 0
        self._server: http.server.ThreadingHTTPServer | None = None

    def __enter__(self) -> "ScriptedOrigin":
        self.start()
        return self

    def __exit__(self, *_) -> None:
        self.stop()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        """On the port of before, if there was one."""
        origin = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_) -> None:
                pass

            def handle_any(self) -> None:
                origin._answer(self)

            do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_PROPFIND = do_OPTIONS = handle_any

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False
            request_queue_size = 256

            def handle_error(self, *_) -> None:
                pass  # A client that left.

        self._server = Server(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """Connections that are open stay so, and get no answer any more."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def count(self, target: str) -> int:
        return sum(asked.target == target for asked in self.asked)

    def _answer(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        asked = Asked(handler, self._body(handler))
        self.asked.append(asked)
        if self._server is None:
            handler.close_connection = True
            return
        answer = self.script(asked)
        time.sleep(answer.pause)
        handler.send_response(answer.status)
        for name, value in answer.fields.items():
            handler.send_header(name, value)
        body = b"" if asked.method == "HEAD" or answer.status in (204, 304) else answer.body
        if answer.framing == "chunked":
            handler.send_header("Transfer-Encoding", "chunked")
            body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:7], body[7:]) if part) + b"0\r\n\r\n"
        elif answer.framing == "drip":
            handler.send_header("Transfer-Encoding", "chunked")
        elif answer.status not in (204, 304):
            handler.send_header("Content-Length", str(len(answer.body)))
        handler.end_headers()
        if answer.framing == "drip":
            for byte in body:
                handler.wfile.write(b"1\r\n%c\r\n" % byte)
                time.sleep(0.1)
            body = b"0\r\n\r\n"
        if answer.framing == "short":
            body = body[:-10]
            handler.close_connection = True
        for start in range(0, len(body), 64 << 10):
            part = body[start:start + (64 << 10)]
            handler.wfile.write(part)
            self.sent += len(part)

    @staticmethod
    def _body(handler: http.server.BaseHTTPRequestHandler) -> bytes:
        if handler.headers.get("Transfer-Encoding", "").lower() == "chunked":
            body = b""
            while size := int(handler.rfile.readline().split(b";")[0], 16):
                body += handler.rfile.read(size)
                handler.rfile.readline()
            handler.rfile.readline()
            return body
        return handler.rfile.read(int(handler.headers.get("Content-Length", 0)))


def ranged(asked: Asked, whole: bytes, tag: str, **fields: str) -> Answer:
    """A file, as servers of files answer for it."""
    fields = {"ETag": tag, "Accept-Ranges": "bytes", **fields}
    if tag in asked.fields.get("if-none-match", ""):
        return Answer(304, **fields)
    found = re.fullmatch(r"bytes=(\d+)-(\d*)", asked.fields.get("range", ""))
    if not found or asked.fields.get("if-range", tag) != tag:
        return Answer(200, whole, **fields)
    first, last = int(found[1]), min(int(found[2] or len(whole)), len(whole) - 1)
    if first > last:
        return Answer(416, **{"Content-Range": f"bytes */{len(whole)}"})
    return Answer(206, whole[first:last + 1], **{**fields, "Content-Range": f"bytes {first}-{last}/{len(whole)}"})


def digest(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode()


def date(seconds_ago: float) -> str:
    return email.utils.formatdate(time.time() - seconds_ago, usegmt=True)
