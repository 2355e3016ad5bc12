"""Starts and stops the server under test, with a disk source at ``/media``.

``MEDIA_GATEWAY`` names the program (default: the built one). ``ACCEPTANCE_SERVER=nginx`` runs the checks against nginx
serving the same folder, which checks the checks.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import queue
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import quote

REPOSITORY = Path(__file__).resolve().parents[2]
MOUNT = "/media"


def gateway_program() -> str:
    named = os.environ.get("MEDIA_GATEWAY")
    if named:
        return named
    for mode in ("release", "debug"):
        built = REPOSITORY / ".build" / mode / "media-gateway"
        if built.exists():
            return str(built)
    raise FileNotFoundError("no built media-gateway; build it or name it in MEDIA_GATEWAY")


def child(arguments: list[str], **options) -> subprocess.Popen:
    """A process that dies with this one."""
    options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.Popen(arguments, preexec_fn=die_with_parent, **options)


def end(process: subprocess.Popen, patience: float = 3) -> None:
    """Asks a process to end, then makes it."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


class Server:
    """A running server. ``port`` is the data listener's, ``admin_port`` the admin's (``None`` for nginx)."""

    kind = "gateway"

    def __init__(self, root: Path | str, *, port: int = 0, connections: int = 4000, drain: str = "2s",
                 options: str = "", cached: bool = True, config: str = "", prefix: list[str] | None = None,
                 user: str | None = None) -> None:
        """``options`` are lines of the disk source's ``[options]``, ``cached`` whether it goes through the chunk cache,
        ``config`` lines at the end of the main file; ``prefix`` is put before the command."""
        self.root = Path(root)
        self.port = port
        self.admin_port: int | None = None
        self.connections = connections
        self.drain = drain
        self.options = options
        self.cached = cached
        self.config = config
        self.prefix = prefix or []
        self.user = user
        self.home = Path(tempfile.mkdtemp(prefix="acceptance."))
        os.chmod(self.home, 0o755)
        self.output: list[str] = []
        self.process: subprocess.Popen | None = None

    # Life

    def __enter__(self) -> "Server":
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_) -> None:
        if self.process:
            end(self.process, 5)
        shutil.rmtree(self.home, ignore_errors=True)

    def start(self) -> None:
        """Starts it and waits until it listens; a port known from an earlier start is kept."""
        lines: queue.Queue[str | None] = queue.Queue()
        self.process = child(self.prefix + self._command(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             text=True, errors="replace", cwd=self.home)
        threading.Thread(target=self._pump, args=(self.process, lines), daemon=True).start()
        self._await_ports(lines, time.monotonic() + 20)

    def restart(self) -> float:
        """Ends it by SIGTERM and starts it on the same port; the seconds between exit and listening."""
        self.terminate()
        self.process.wait(30)
        began = time.monotonic()
        self.start()
        return time.monotonic() - began

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    @property
    def pid(self) -> int:
        """The process that serves, also when it runs below another program such as strace."""
        return _innermost(self.process.pid) if self.prefix else self.process.pid

    # Addresses

    @property
    def address(self) -> tuple[str, int]:
        return ("127.0.0.1", self.port)

    @staticmethod
    def path(name: str | bytes) -> str:
        return f"{MOUNT}/{quote(name)}"

    def url(self, name: str | bytes) -> str:
        return f"http://127.0.0.1:{self.port}{self.path(name)}"

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    # The gateway's own ways

    def _command(self) -> list[str]:
        plugins = self.home / "plugins.d"
        plugins.mkdir(exist_ok=True)
        options = f"root = {_toml(str(self.root))}\n{self.options}\n"
        (plugins / "media.toml").write_text(f'kind = "disk"\nmount = "{MOUNT}"\n'
                                            f'cache = {str(self.cached).lower()}\n\n[options]\n{options}')
        config = self.home / "config.toml"
        config.write_text(
            f'[server]\nlisten = ["127.0.0.1:{self.port}"]\ndrain_deadline = "{self.drain}"\n\n'
            f'[admin]\nlisten = "127.0.0.1:0"\n\n'
            f'[limits]\nconnections = {self.connections}\n\n'
            f'[log]\naccess = {_toml(str(self.home / "access.log"))}\n\n'
            '[plugins]\ndirectory = "plugins.d"\n\n' + self.config
        )
        if self.user:
            shutil.chown(self.home, self.user)
        return _as_user(self.user) + [gateway_program(), "serve", "--config", str(config)]

    def _await_ports(self, lines: queue.Queue, until: float) -> None:
        ports: dict[str, int] = {}
        while not {"data", "admin"} <= ports.keys():
            try:
                line = lines.get(timeout=max(until - time.monotonic(), 0.01))
            except queue.Empty:
                raise TimeoutError("no data and admin address in the banner:\n" + "".join(self.output)) from None
            if line is None:
                raise RuntimeError("the server ended at start:\n" + "".join(self.output))
            for which, port in re.findall(r"\b(data|admin)\b\W+?http://127\.0\.0\.1:(\d+)", line):
                ports.setdefault(which, int(port))
        self.port, self.admin_port = ports["data"], ports["admin"]
        await_listening(self.address, until)

    def _pump(self, process: subprocess.Popen, lines: queue.Queue) -> None:
        for line in process.stdout:
            self.output.append(line)
            del self.output[:-2000]
            lines.put(line)
        lines.put(None)


class NginxServer(Server):
    """nginx with the same folder at the same place: one worker, sendfile, access log to a file. ``options`` are lines of
    its location."""

    kind = "nginx"

    @property
    def pid(self) -> int:
        return _innermost(self.process.pid)

    def _command(self) -> list[str]:
        self.port = self.port or free_port()
        user = "user root;" if os.geteuid() == 0 else ""
        config = self.home / "nginx.conf"
        config.write_text(f"""
            daemon off; worker_processes 1; pid {self.home}/pid; error_log {self.home}/error.log; {user}
            worker_rlimit_nofile 20000; worker_shutdown_timeout {self.drain};
            events {{ worker_connections 16000; }}
            http {{
                include /etc/nginx/mime.types; default_type application/octet-stream;
                access_log {self.home}/access.log; sendfile on; tcp_nopush off;
                keepalive_requests 1000000000; keepalive_timeout 300s;
                client_body_temp_path {self.home}/body; proxy_temp_path {self.home}/proxy;
                fastcgi_temp_path {self.home}/fastcgi; uwsgi_temp_path {self.home}/uwsgi;
                scgi_temp_path {self.home}/scgi;
                server {{
                    listen 127.0.0.1:{self.port} backlog=4096;
                    location {MOUNT}/ {{ {self.options} alias {self.root}/; autoindex on; }}
                    location = /ping {{ return 200 "pong\\n"; }}
                    location / {{ return 200 "<a href='{MOUNT}/'>media</a>"; default_type text/html; }}
                }}
            }}
        """)
        return [shutil.which("nginx") or "/usr/sbin/nginx", "-e", f"{self.home}/error.log", "-c", str(config)]

    def _await_ports(self, lines: queue.Queue, until: float) -> None:
        await_listening(self.address, until)


def server(root: Path | str, **options) -> Server:
    """The server that this run is about."""
    kind = NginxServer if os.environ.get("ACCEPTANCE_SERVER") == "nginx" else Server
    return kind(root, **options)


@contextlib.contextmanager
def folder(prefix: str = "media."):
    """A temporary folder that other users may read."""
    path = Path(tempfile.mkdtemp(prefix=prefix))
    os.chmod(path, 0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def descriptor_limit(wanted: int) -> int:
    """Raises the limit on descriptors of this process and its children as far as it may; the limit now."""
    import resource
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for ceiling in (max(hard, wanted), hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, wanted), ceiling), ceiling))
            break
        except (ValueError, OSError):
            continue
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def _as_user(user: str | None) -> list[str]:
    if not user or os.geteuid() != 0:
        return []
    return ["setpriv", f"--reuid={user}", "--regid=nogroup", "--clear-groups"]


def await_listening(address: tuple[str, int], until: float) -> None:
    while True:
        try:
            socket.create_connection(address, 1).close()
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.01)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _innermost(pid: int) -> int:
    while True:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if not children:
            return pid
        pid = int(children[0])


def _toml(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent() -> None:
    """For a child between fork and exec: it is killed when the thread that started it ends."""
    _libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
