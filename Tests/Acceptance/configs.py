"""Broken configurations through the built program: each refused with exactly the message that is kept beside it.

The folders are those of Tests/ConfigTests/Fixtures. A million configurations changed at random are the other half; they
need no process each, so a test of the Config module makes them (see the Makefile).
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import gateway
import report

FIXTURES = gateway.REPOSITORY / "Tests" / "ConfigTests" / "Fixtures"
PLACE = re.compile(r"^(\S+\.toml:\d+:\d+|environment \S+|flag --set \S*): error: [^:]*: .+; .+", re.MULTILINE)


def lines(folder: Path, name: str) -> list[str]:
    file = folder / name
    return [line for line in file.read_text().split("\n") if line] if file.exists() else []


def check(folder: Path) -> subprocess.CompletedProcess:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MEDIA_GATEWAY__")}
    environment.update(line.split("=", 1) if "=" in line else (line, "") for line in lines(folder, "environment"))
    overrides = [part for line in lines(folder, "flags") for part in ("--set", line)]
    return subprocess.run([gateway.gateway_program(), "check", "--config", "config.toml", *overrides], cwd=folder,
                          env=environment, capture_output=True, timeout=20, errors="replace")


def main(out: report.Report, quick: bool) -> None:
    refused = report.Tally()
    placed = report.Tally()
    for folder in sorted(path for path in FIXTURES.iterdir() if path.is_dir()):
        done = check(folder)
        refused.expect(done.returncode == 78, f"{folder.name}: exit {done.returncode}")
        placed.expect(bool(PLACE.search(done.stderr)), f"{folder.name}: {done.stderr[:80]!r}")
    refused.into(out, "broken configurations are refused with exit 78")
    placed.into(out, "and each error has its place, what was found, and the remedy")


if __name__ == "__main__":
    report.run(main)
