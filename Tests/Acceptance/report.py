"""What a check prints, and how it ends: one line a result, nothing left running, no run without an end."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import threading
import time
import traceback
from pathlib import Path


IN_CI = os.environ.get("CI") == "true"


def spare(seconds: float) -> float:
    """What a limit of time is longer by in CI, whose machine has other work; nothing elsewhere."""
    return seconds if IN_CI else 0


class Report:
    """Collects results and prints one line for each: ``PASS|FAIL|SKIP  what  figures``."""

    def __init__(self) -> None:
        self.passed = 0
        self.failed = 0
        self.skipped = 0
        self._lock = threading.Lock()

    def check(self, ok: bool, what: str, figures: str = "") -> bool:
        with self._lock:
            if ok:
                self.passed += 1
            else:
                self.failed += 1
            self._line("PASS" if ok else "FAIL", what, figures)
        return ok

    def skip(self, what: str, why: str) -> None:
        """For what this machine lacks. In CI nothing may be missing: there it fails."""
        if IN_CI:
            self.check(False, what, why)
            return
        with self._lock:
            self.skipped += 1
            self._line("SKIP", what, why)

    @contextlib.contextmanager
    def guarded(self, what: str):
        """Turns an exception into a FAIL of ``what``, so that the checks after it still run."""
        try:
            yield
        except Exception as error:  # any fault of one check is that check's result
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{os.path.basename(place.filename)}:{place.lineno}"
            self.check(False, what, f"{type(error).__name__}: {error} ({where})")

    def finish(self) -> int:
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        print(f"{self.passed} passed, {self.failed} failed{skipped}", flush=True)
        return 1 if self.failed else 0

    @staticmethod
    def _line(verdict: str, what: str, figures: str) -> None:
        print(f"{verdict}  {what}" + (f"  ({figures})" if figures else ""), flush=True)


class Tally:
    """Many small checks that make one line: the count, and the first few that failed."""

    def __init__(self) -> None:
        self.total = 0
        self.faults: list[str] = []

    def expect(self, ok: bool, what: str) -> bool:
        self.total += 1
        if not ok:
            self.faults.append(what)
        return ok

    def into(self, report: Report, what: str, figures: str = "") -> None:
        shown = "; ".join(self.faults[:4]) + ("; …" if len(self.faults) > 4 else "")
        parts = [f"{self.total - len(self.faults)} of {self.total}", figures, shown]
        report.check(self.total > 0 and not self.faults, what, ", ".join(part for part in parts if part))


def deadline(seconds: float) -> None:
    """Ends the process if it still runs after ``seconds``; children die with it."""

    def expire() -> None:
        time.sleep(seconds)
        print(f"FAIL  deadline of {seconds:.0f} s passed", flush=True)
        os._exit(1)

    threading.Thread(target=expire, daemon=True).start()


def file_option(name: str) -> Path | None:
    """The file named behind ``name``, which is taken out of the arguments with it."""
    if name not in sys.argv[:-1]:
        return None
    place = sys.argv.index(name)
    _, named = sys.argv[place:place + 2]
    del sys.argv[place:place + 2]
    return Path(named).absolute()


def run(main, seconds: float = 900) -> None:
    """Runs ``main(report, quick)`` as a program of its own."""
    parser = argparse.ArgumentParser(description=sys.modules[main.__module__].__doc__)
    parser.add_argument("--quick", action="store_true", help="the counts of CI rather than the full ones")
    quick = parser.parse_args().quick
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    deadline(seconds)
    report = Report()
    with report.guarded(main.__module__):
        main(report, quick)
    sys.exit(report.finish())
