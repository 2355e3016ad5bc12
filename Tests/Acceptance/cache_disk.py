"""A disk that is full, fails, or may not be written to; and a second process that wants the same cache.

``ACCEPTANCE_SEED`` repeats a run.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import cache_probe
import content
import gateway
import report
from content import KIB, MIB
from wire import fetch

CLIENTS = 4
CHUNK = 256 * KIB
FILES = 24
NOBODY = 65534
# A cache that failed is tried again after half a minute.
PATIENCE = 40


@contextlib.contextmanager
def mounted(options: str):
    """A tmpfs of its own; ``None`` where that is not permitted."""
    place = Path(tempfile.mkdtemp(prefix="disk."))
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
    done = subprocess.run(command, capture_output=True, text=True) if shutil.which("mount") else None
    permitted = done is not None and done.returncode == 0
    try:
        yield place if permitted else None
    finally:
        if permitted:
            subprocess.run(["umount", "-l", str(place)], capture_output=True)
        shutil.rmtree(place, ignore_errors=True)


def remount(place: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(place)], check=True, capture_output=True)


def right(seen: cache_probe.Result) -> bool:
    return seen.answers > 0 and not (seen.wrong or seen.faults or seen.broken)


def full(root: Path, files: list[Path], out: report.Report, seconds: float, sync: str) -> None:
    """A file system of 16 MiB, and a cache that may have 64."""
    what = f"disk of 16 MiB, cache of 64, sync {sync}"
    plan = cache_probe.Random(files, [1] * len(files), CHUNK)
    with mounted("size=16m,mode=755") as place:
        if place is None:
            out.skip(what, "mounting a tmpfs is not permitted")
            return
        more = f'path = "{place}/cache"\nmin_free_disk = "0B"\nsync = "{sync}"'
        with cache_probe.server(root, chunk=f"{CHUNK}B", more=more) as server:
            with cache_probe.Readers(server, plan, f"{cache_probe.seed()} filling", CLIENTS) as readers:
                time.sleep(seconds)
                seen = readers.stop()
            filled = cache_probe.settled(server)
            alive = server.process.poll() is None
            out.check(right(seen) and alive, f"{what}: right bytes", f"{seen}")
            refused = filled("cache_rejections_total", reason="error")
            refused += filled("cache_rejections_total", reason="space")
            limited = filled("cache_limit_bytes")
            out.check(refused > 0 or limited < 64 * MIB, f"{what}: it is counted",
                      f"{refused:.0f} not stored, limit now {limited / MIB:.1f} MiB")
            with cache_probe.Readers(server, plan, f"{cache_probe.seed()} full", CLIENTS) as readers:
                time.sleep(seconds)
                seen = readers.stop()
            later = cache_probe.settled(server)
            stored = later("cache_insertions_total") - filled("cache_insertions_total")
            evicted = later.evicted - filled.evicted
            hits = later.lookups["hit"] - filled.lookups["hit"]
            out.check(right(seen) and stored > 32 and evicted > 0 and hits > 0 and later("cache_bytes") > 8 * MIB,
                      f"{what}: goes on caching within what there is",
                      f"{stored:.0f} more stored, {evicted:.0f} evicted, {hits:.0f} hits, "
                      f"{later('cache_bytes') / MIB:.1f} MiB held, {len(cache_probe.lines(server))} warnings, {seen}")
            seen, left, took = cache_probe.hits_again(server, files[:3], PATIENCE)
            out.check(right(seen) and left == 0, f"{what}: what is asked for again and again hits",
                      f"{left:.0f} bytes read after {took:.1f} s, {seen}")
            remount(place, "size=96m")
            grows(server, files, out, what)


def grows(server: gateway.Server, files: list[Path], out: report.Report, what: str) -> None:
    """It takes more than the disk had before, if not at once."""
    began = time.monotonic()
    while True:
        cache_probe.read_all(server, files)
        now = cache_probe.settled(server)
        took = time.monotonic() - began
        if now("cache_bytes") > 20 * MIB or took > PATIENCE:
            break
        time.sleep(0.5)
    out.check(now("cache_bytes") > 20 * MIB and now("cache_up") == 1, f"{what}: grows when there is room again",
              f"{now('cache_bytes') / MIB:.1f} MiB held after {took:.1f} s, "
              f"limit {now('cache_limit_bytes') / MIB:.1f} MiB")


def shared(root: Path, files: list[Path], out: report.Report, takes_back: bool) -> None:
    """Another program takes what the cache has of a file system, and gives it back."""
    what = "a disk that another program fills" + ("" if takes_back else ", of a file system that makes no holes")
    size, kept = 80 * MIB, 8 * MIB
    if not takes_back and not shutil.which("strace"):
        out.skip(what, "no strace")
        return
    plan = cache_probe.Random(files, [1] * len(files), CHUNK)
    with mounted(f"size={size},mode=755") as place:
        if place is None:
            out.skip(what, "mounting a tmpfs is not permitted")
            return
        more = f'path = "{place}/cache"\nmin_free_disk = "{kept}B"'
        with cache_probe.server(root, "40MiB", f"{CHUNK}B", more) as server:
            tracer = None if takes_back else _without_holes(server)
            if tracer and not _attached(tracer, server):
                out.skip(what, "strace cannot attach")
                return
            cache_probe.filled(server, lambda: cache_probe.read_all(server, files[:18]), 18 * 8)
            before = cache_probe.settled(server)
            with cache_probe.Readers(server, plan, f"{cache_probe.seed()} shared", CLIENTS) as readers:
                (place / "ballast").write_bytes(bytes(33 * MIB))
                was_short = _await(lambda: _free(place) < kept, 2)
                is_left = _await(lambda: _free(place) >= kept, 20 if takes_back else 3)
                free, during = _usually_free(place), cache_probe.metrics(server)
                seen = readers.stop()
            is_left_then = _await(lambda: _free(place) >= kept, 10 if takes_back else 0)
            out.check(right(seen) and server.process.poll() is None, f"{what}: right bytes", f"{seen}")
            state = (f"{free / MIB:.1f} MiB free mostly, of which the cache leaves {kept // MIB}; it has "
                     f"{during('cache_bytes') / MIB:.1f} MiB, {before('cache_bytes') / MIB:.1f} before, its file "
                     f"{during('cache_disk_bytes') / MIB:.1f} of {during('cache_file_bytes') / MIB:.1f} MiB")
            if takes_back:
                hits = during.lookups["hit"] - before.lookups["hit"]
                out.check(was_short and is_left and is_left_then and during("cache_bytes") > 26 * MIB and hits > 0,
                          f"{what}: the cache gives it what it needs, and no more", f"{state}; {hits:.0f} hits")
            else:
                gateway.end(tracer)
                told = [line for line in cache_probe.lines(server) if "takes nothing back" in line]
                kept_all = during("cache_bytes") >= before("cache_bytes") - 8 * CHUNK
                out.check(not is_left and not is_left_then and kept_all and len(told) == 1,
                          f"{what}: the cache keeps what it has, and says so once", f"{state}; {len(told)} lines")
            (place / "ballast").unlink()
            held = _await(lambda: cache_probe.read_all(server, files) and _held(server) > 30 * MIB)
            out.check(held and not cache_probe.settled(server).corrupt, f"{what}: the cache grows when there is room again",
                      f"{_held(server) / MIB:.1f} MiB held")


def _without_holes(server: gateway.Server) -> subprocess.Popen:
    """Has the kernel refuse to make them."""
    command = ["strace", "-f", "-qq", "-o", str(server.home / "trace"), "-p", str(server.pid), "-e", "trace=fallocate",
               "-e", "inject=fallocate:error=EOPNOTSUPP"]
    return gateway.child(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def _attached(tracer: subprocess.Popen, server: gateway.Server) -> bool:
    def is_traced() -> bool:
        status = Path(f"/proc/{server.pid}/status").read_text()
        return f"TracerPid:\t{tracer.pid}\n" in status

    return _await(lambda: tracer.poll() is not None or is_traced()) and tracer.poll() is None


def _held(server: gateway.Server) -> float:
    return cache_probe.settled(server)("cache_bytes")


def _free(place: Path) -> int:
    status = os.statvfs(place)
    return status.f_bavail * status.f_frsize


def _usually_free(place: Path) -> float:
    """The median of two seconds: for as long as a read goes on, what is freed meanwhile can neither be used nor given back."""
    samples = []
    for _ in range(40):
        samples.append(_free(place))
        time.sleep(0.05)
    return statistics.median(samples)


def _await(condition, patience: float = 20) -> bool:
    until = time.monotonic() + patience
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True


def failing(root: Path, files: list[Path], out: report.Report, seconds: float, kind: tuple[str, str, str]) -> None:
    """Calls that write fail now and then while clients read."""
    error, sync, when = kind
    what = f"{error} at {when}, sync {sync}"
    if not shutil.which("strace"):
        out.skip(what, "no strace")
        return
    plan = cache_probe.Random(files, [1] * len(files), CHUNK)
    calls = "pwrite64,pwritev,fdatasync,msync"
    with cache_probe.server(root, "16MiB", f"{CHUNK}B", f'sync = "{sync}"\nmin_free_disk = "0B"') as server:
        with cache_probe.Readers(server, plan, f"{cache_probe.seed()} failing", CLIENTS) as readers:
            time.sleep(0.3)
            trace = server.home / "trace"
            tracer = gateway.child(["strace", "-f", "-qq", "-o", str(trace), "-p", str(server.pid),
                                    "-e", f"trace={calls}", "-e", f"inject={calls}:error={error}:when={when}"],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            time.sleep(seconds)
            attached = tracer.poll() is None
            during = cache_probe.metrics(server)
            gateway.end(tracer)
            seen = readers.stop()
        if not attached:
            out.skip(what, f"strace cannot attach: {tracer.stderr.read().decode()[:100]}")
            return
        injected = trace.read_text(errors="replace").count("(INJECTED)")
        alive = server.process.poll() is None
        out.check(right(seen) and alive and injected > 0, f"{what}: right bytes, no crash",
                  f"{injected} calls failed, {seen}, {during('cache_rejections_total', reason='error'):.0f} chunks not "
                  f"stored, up {during('cache_up'):.0f}" + ("" if alive else f", exit {server.process.returncode}"))
        if not alive:
            return
        again, left, took = cache_probe.hits_again(server, files[:3], PATIENCE)
        after = cache_probe.settled(server)
        out.check(right(again) and left == 0 and after("cache_up") == 1 and after.corrupt == 0,
                  f"{what}: afterwards it hits again",
                  f"after {took:.1f} s, up {after('cache_up'):.0f}, {left:.0f} bytes read of the source, "
                  f"{after.corrupt:.0f} corrupt, {again}, {len(cache_probe.lines(server))} warnings")


def unusable(root: Path, files: list[Path], out: report.Report) -> None:
    """Directories that cannot be used, for one reason or another."""
    if os.geteuid() == 0:
        for what, prepare in (
            ("not to be written", lambda cache: (cache.mkdir(parents=True), cache.chmod(0o555))),
            ("not to be read", lambda cache: (cache.mkdir(parents=True), cache.chmod(0o000))),
            ("below a directory not to be written", lambda cache: cache.parent.mkdir(mode=0o555)),
            ("with another user's data.mdb", lambda cache: _foreign(cache)),
        ):
            with out.guarded(f"cache directory {what}"):
                server = cache_probe.server(root, chunk=f"{CHUNK}B", user="nobody")
                prepare(cache_probe.directory(server))
                runs_without(server, files[:2], out, f"cache directory {what}")
    else:
        out.skip("cache directories of another user", "not root")
    with out.guarded("cache directory is a file"):
        server = cache_probe.server(root, chunk=f"{CHUNK}B")
        cache_probe.directory(server).parent.mkdir()
        cache_probe.directory(server).write_text("a file")
        runs_without(server, files[:2], out, "cache directory is a file")
    with mounted("size=1m,mode=755") as place, out.guarded("a file system with a page left"):
        if place is None:
            out.skip("cache on a file system with a page left", "mounting is not permitted")
        else:
            (place / "ballast").write_bytes(bytes(MIB - 4 * KIB))
            server = cache_probe.server(root, chunk=f"{CHUNK}B", more=f'path = "{place}/cache"')
            runs_without(server, files[:2], out, "cache on a file system with a page left")
    with mounted("size=16m,ro") as place, out.guarded("read-only file system"):
        if place is None:
            out.skip("cache on a read-only file system", "mounting is not permitted")
        else:
            server = cache_probe.server(root, chunk=f"{CHUNK}B", more=f'path = "{place}"')
            runs_without(server, files[:2], out, "cache on a read-only file system")


def _foreign(cache: Path) -> None:
    cache.mkdir(parents=True)
    os.chown(cache, NOBODY, NOBODY)
    (cache / "data.mdb").write_bytes(b"not yours")
    (cache / "data.mdb").chmod(0o600)


def runs_without(server: gateway.Server, files: list[Path], out: report.Report, what: str) -> None:
    with server:
        seen = cache_probe.read_all(server, files)
        seen.add(cache_probe.read_all(server, files))
        now = cache_probe.metrics(server)
        told = cache_probe.lines(server)
        status = fetch(server.address, server.path(files[0].name)).header("cache-status")
        out.check(right(seen) and now("cache_up") == 0 and len(told) == 1,
                  f"{what}: runs without a cache, and says so once",
                  f"{seen}, up {now('cache_up'):.0f}, {status}, {len(told)} lines: {told[0][:300] if told else ''}")


def removed(root: Path, files: list[Path], out: report.Report) -> None:
    """Somebody deletes the cache's directory while clients read."""
    plan = cache_probe.Random(files, [1] * len(files), CHUNK)
    with cache_probe.server(root, "16MiB", f"{CHUNK}B") as server:
        with cache_probe.Readers(server, plan, f"{cache_probe.seed()} removed", CLIENTS) as readers:
            time.sleep(0.5)
            shutil.rmtree(cache_probe.directory(server))
            time.sleep(2.5)
            seen = readers.stop()
        alive = server.process.poll() is None
        out.check(right(seen) and alive, "cache directory removed under load: right bytes, no crash", f"{seen}")
        server.restart()
        again, left, _ = cache_probe.hits_again(server, files[:3])
        out.check(right(again) and left == 0, "cache directory removed: after a restart it hits again",
                  f"{left:.0f} bytes read of the source")


def second_process(root: Path, files: list[Path], out: report.Report) -> None:
    """Two on one cache."""
    with cache_probe.server(root, chunk=f"{CHUNK}B") as first:
        _, before, _ = cache_probe.hits_again(first, files[:3])
        second = cache_probe.server(root, chunk=f"{CHUNK}B", more=f'path = "{cache_probe.directory(first)}"')
        started = "it started"
        try:
            with second:
                pass
        except RuntimeError:
            started = ""
        code = second.process.poll()
        told = [line for line in second.output if line.strip()]
        out.check(not started and code not in (0, None) and code > 0 and len(told) == 1,
                  "a second process on the same cache refuses with one line",
                  f"{started or f'exit {code}'}, {len(told)} lines: {told[0].strip()[:300] if told else ''}")
        held = cache_probe.settled(first)
        seen = cache_probe.read_all(first, files[:3])
        after = cache_probe.settled(first)
        out.check(right(seen) and after.source_bytes == held.source_bytes and not before and after("cache_up"),
                  "the first is unaffected",
                  f"{after.source_bytes - held.source_bytes:.0f} bytes read of the source, {seen}")


def main(out: report.Report, quick: bool) -> None:
    print(f"      cache_disk: seed {cache_probe.seed()}", flush=True)
    seconds = 2 if quick else 10
    with gateway.folder() as root:
        files = [content.write(root / f"{n:02}.bin", 2 * MIB - n * 1000) for n in range(FILES)]
        for sync in ("relaxed", "strict"):
            with out.guarded(f"full disk, {sync}"):
                full(root, files, out, seconds, sync)
        for takes_back in (True, False):
            with out.guarded(f"a disk that another program fills, {takes_back}"):
                shared(root, files, out, takes_back)
        kinds = (("EIO", "relaxed", "5+7"), ("ENOSPC", "strict", "5+7"), ("EIO", "strict", "1+1"),
                 ("EIO", "strict", "5+7"), ("ENOSPC", "relaxed", "5+7"), ("EIO", "relaxed", "1+1"),
                 ("ENOSPC", "relaxed", "1+1"), ("EIO", "relaxed", "100+100"))
        for error, sync, when in kinds[:3] if quick else kinds:
            with out.guarded(f"{error} at {when}, {sync}"):
                failing(root, files, out, seconds, (error, sync, when))
        with out.guarded("unusable directories"):
            unusable(root, files, out)
        with out.guarded("removed directory"):
            removed(root, files, out)
        with out.guarded("second process"):
            second_process(root, files, out)


if __name__ == "__main__":
    report.run(main)
