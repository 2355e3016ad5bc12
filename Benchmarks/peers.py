"""The servers the gateway is measured beside, each as its own documentation would have it, all with the same object.

Each logs every request to a file and is pinned by its ``prefix``. ``pid`` is the process whose CPU counts: the one that
sends. An origin behind a cache runs on the client's core; it has nothing to do while the cache is hot.
"""

from __future__ import annotations

import queue
import re
import socket
import subprocess
import time
from pathlib import Path

import measure

import gateway
from gateway import MOUNT, NginxServer

PACKAGES = {"nginx": "nginx-light", "varnishd": "varnish", "varnishncsa": "varnish", "node": "nodejs"}

# Where Debian's node packages are; only Debian's own node looks there by itself.
MODULES = "/usr/share/nodejs"


def lacking() -> dict[str, str]:
    """The servers that cannot run here, each with the Debian packages to install."""
    wanted = {server.kind: [PACKAGES[tool] for tool in server.tools if not measure.found(tool)] for server in PEERS}
    if not Path(MODULES, "express").is_dir():
        wanted[ExpressServer.kind].append("node-express")
    return {kind: " ".join(sorted(set(packages))) for kind, packages in wanted.items() if packages}


class Peer(NginxServer):
    """A server that, as nginx here, takes a port chosen beforehand and is ready when it accepts connections."""

    tools: tuple[str, ...] = ()

    def _reserve_port(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", self.port))
            self.port = probe.getsockname()[1]


class CachingPeer(Peer):
    """A server that has the object from an nginx of its own."""

    @property
    def origin_requests(self) -> int:
        """How often it has asked its origin."""
        return (self.origin_server.home / "access.log").read_bytes().count(b"\n")

    def start(self) -> None:
        if not hasattr(self, "origin_server"):
            self.origin_server = NginxServer(self.root, prefix=measure.ON_CLIENT_CORE).__enter__()
        super().start()

    def __exit__(self, *_) -> None:
        super().__exit__()
        if hasattr(self, "origin_server"):
            self.origin_server.__exit__()


class FloorServer(Peer):
    """``floor.c``: the least that a server which copies once can need."""

    kind = "floor"

    def __init__(self, root: Path, file: Path, **options) -> None:
        super().__init__(root, **options)
        self.file = file

    def _command(self) -> list[str]:
        return [measure.build("floor", self.home), "--log", str(self.home / "access.log"), str(self.file)]

    def _await_ports(self, lines: queue.Queue, until: float) -> None:
        line = lines.get(timeout=max(until - time.monotonic(), 0.01)) or ""
        listening = re.fullmatch(r"listening on 127\.0\.0\.1:(\d+)\n", line)
        if not listening:
            raise RuntimeError(f"floor: {line}")
        self.port = int(listening[1])


class NginxSendfileServer(NginxServer):
    """nginx with the file itself: one worker, ``sendfile``."""

    kind = "nginx sendfile"
    tools = ("nginx",)

    @property
    def pid(self) -> int:
        return worker(self.process.pid)


class NginxSliceServer(CachingPeer):
    """nginx as a cache of slices of 1 MiB, in front of another nginx."""

    kind = "nginx slice"
    tools = ("nginx",)
    # Further lines of its server.
    more = ""

    @property
    def pid(self) -> int:
        return worker(self.process.pid)

    def _command(self) -> list[str]:
        self._reserve_port()
        config = self.home / "nginx.conf"
        config.write_text(f"""
            daemon off; worker_processes 1; pid {self.home}/pid; error_log {self.home}/error.log; user root;
            worker_rlimit_nofile 20000; worker_shutdown_timeout {self.drain};
            events {{ worker_connections 16000; }}
            http {{
                include /etc/nginx/mime.types; default_type application/octet-stream;
                access_log {self.home}/access.log; sendfile on; tcp_nopush off;
                keepalive_requests 1000000000; keepalive_timeout 300s;
                client_body_temp_path {self.home}/body; proxy_temp_path {self.home}/proxy;
                fastcgi_temp_path {self.home}/fastcgi; uwsgi_temp_path {self.home}/uwsgi;
                scgi_temp_path {self.home}/scgi;
                proxy_cache_path {self.home}/cache levels=1:2 keys_zone=slices:32m max_size=8g inactive=1d
                                 use_temp_path=off;
                upstream origin {{ server 127.0.0.1:{self.origin_server.port}; keepalive 16; }}
                server {{
                    listen 127.0.0.1:{self.port} backlog=4096; {self.more}
                    location {MOUNT}/ {{
                        slice 1m;
                        proxy_cache slices;
                        proxy_cache_key $uri$is_args$args$slice_range;
                        proxy_cache_valid 200 206 1d;
                        proxy_set_header Range $slice_range;
                        proxy_http_version 1.1;
                        proxy_set_header Connection "";
                        proxy_pass http://origin;
                    }}
                }}
            }}
        """)
        return [measure.found("nginx"), "-e", f"{self.home}/error.log", "-c", str(config)]


class VarnishServer(CachingPeer):
    """Varnish with the whole object in memory, in front of nginx; ``varnishncsa`` writes its log, not counted."""

    kind = "varnish"
    tools = ("nginx", "varnishd", "varnishncsa")

    @property
    def helpers(self) -> tuple[int, ...]:
        return (self.log.pid,)

    def start(self) -> None:
        super().start()
        self.log = gateway.child(measure.ON_SERVER_CORE + [measure.found("varnishncsa"), "-n", str(self.home / "work"),
                                                           "-w", str(self.home / "access.log")],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def __exit__(self, *_) -> None:
        if hasattr(self, "log"):
            gateway.end(self.log)
        super().__exit__()

    def _command(self) -> list[str]:
        self._reserve_port()
        vcl = self.home / "hot.vcl"
        vcl.write_text(f"""
            vcl 4.1;
            backend origin {{ .host = "127.0.0.1"; .port = "{self.origin_server.port}"; }}
            sub vcl_backend_response {{ set beresp.ttl = 1d; }}
        """)
        return [measure.found("varnishd"), "-F", "-j", "none", "-n", str(self.home / "work"), "-f", str(vcl),
                "-a", f"127.0.0.1:{self.port}", "-s", "malloc,3g"]


class NodeServer(Peer):
    """Node's ``http`` with ``createReadStream`` and ``pipeline``, as its manual shows."""

    kind = "node http"
    tools = ("node",)
    program = """
        const http = require('http'), fs = require('fs'), path = require('path'), { pipeline } = require('stream');
        const [root, mount, port, log] = process.argv.slice(2);
        const access = fs.createWriteStream(log, { flags: 'a' });
        function logged(request, response, length) {
          response.on('finish', () => {
            const when = new Date().toISOString();
            access.write(`${request.socket.remoteAddress} [${when}] "${request.method} ${request.url}" `
              + `${response.statusCode} ${length}\\n`);
          });
        }
        http.createServer((request, response) => {
          if (request.url === '/ping') {
            response.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Length': 4 });
            logged(request, response, 4);
            response.end('pong');
            return;
          }
          const file = path.join(root, path.basename(request.url));
          fs.stat(file, (error, stat) => {
            if (error) { response.writeHead(404).end(); return; }
            const range = /^bytes=(\\d+)-(\\d*)$/.exec(request.headers.range || '');
            const start = range ? Number(range[1]) : 0, end = range?.[2] ? Number(range[2]) : stat.size - 1;
            if (start > end || end >= stat.size) { response.writeHead(416).end(); return; }
            const head = { 'Content-Type': 'application/octet-stream', 'Content-Length': end - start + 1,
                           'Accept-Ranges': 'bytes', 'Last-Modified': stat.mtime.toUTCString() };
            if (range) head['Content-Range'] = `bytes ${start}-${end}/${stat.size}`;
            response.writeHead(range ? 206 : 200, head);
            logged(request, response, end - start + 1);
            // Unlike pipe() it closes the file when the reader hangs up.
            pipeline(fs.createReadStream(file, { start, end }), response, () => {});
          });
        }).listen(Number(port), '127.0.0.1', 4096);
    """

    def _command(self) -> list[str]:
        return self._node(self.root, MOUNT)

    def _node(self, *arguments: object) -> list[str]:
        """Port and log come after ``arguments``."""
        self._reserve_port()
        program = self.home / "server.js"
        program.write_text(self.program)
        return ["env", f"NODE_PATH={MODULES}", measure.found("node"), str(program), *map(str, arguments),
                str(self.port), str(self.home / "access.log")]


# The beginning of a program on Express, which logs.
EXPRESS = """
        const express = require('express'), fs = require('fs');
        const access = fs.createWriteStream(process.argv[process.argv.length - 1], { flags: 'a' });
        const app = express();
        app.use((request, response, next) => {
          response.on('finish', () => {
            const when = new Date().toISOString();
            access.write(`${request.ip} [${when}] "${request.method} ${request.originalUrl}" `
              + `${response.statusCode} ${response.get('Content-Length')}\\n`);
          });
          next();
        });
"""


class ExpressServer(NodeServer):
    """Express with ``sendFile``."""

    kind = "express"
    program = EXPRESS + """
        const [root, mount, port] = process.argv.slice(2);
        app.get('/ping', (request, response) => response.type('text').send('pong'));
        app.get(`${mount}/:name`, (request, response) => response.sendFile(request.params.name, { root }));
        app.listen(Number(port), '127.0.0.1', 4096);
    """


PEERS = (NginxSendfileServer, NginxSliceServer, VarnishServer, NodeServer, ExpressServer)


def worker(master: int, patience: float = 5) -> int:
    """The nginx process that serves, which begins after nginx listens; its siblings look after the cache."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        for pid in Path(f"/proc/{master}/task/{master}/children").read_text().split():
            if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"nginx: worker process"):
                return int(pid)
        time.sleep(0.01)
    raise RuntimeError("nginx has no worker")
