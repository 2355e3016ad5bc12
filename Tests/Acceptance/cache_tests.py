#!/usr/bin/env python3
"""Runs http-tests/cache-tests (https://github.com/http-tests/cache-tests) against an http source with profile "proxy".

The suite is not part of this repository: check it out, and name its folder.

    python3 Tests/Acceptance/cache_tests.py ../cache-tests            # the verdict, and each test that failed
    python3 Tests/Acceptance/cache_tests.py ../cache-tests TEST_ID    # one test, with what went over the wire

Needs Node. ``MEDIA_GATEWAY`` names another binary.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import gateway
import report
from http_origin import OriginGateway

# The best published results of a product are 141 and 74.
REQUIRED, OPTIMAL = 156, 90

# Prints every test with its kind, and whether it passed.
SCORE = """
import fs from 'fs'
const [folder, results] = process.argv.slice(2)
const suites = (await import(folder + '/tests/index.mjs')).default
const text = fs.readFileSync(results, 'utf8')
const outcome = JSON.parse(text.slice(text.indexOf('{')))
const tests = suites.flatMap(suite => suite.tests).filter(test => !test.browser_only)
console.log(JSON.stringify(tests.map(test => [test.kind || 'required', test.id, outcome[test.id] ?? null])))
"""


class SuiteOrigin:
    """The suite's own server, which answers as each test says."""

    def __init__(self, folder: Path, home: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        environment = {**os.environ, "npm_config_protocol": "http", "npm_config_port": str(self.port),
                       "npm_config_pidfile": str(home / "server.pid")}
        self.process = gateway.child(["node", "test-engine/server/server.mjs"], cwd=folder, env=environment,
                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("localhost", self.port), 1).close()
                return
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise RuntimeError("the suite's server did not start") from None
                time.sleep(0.05)

    def __enter__(self) -> "SuiteOrigin":
        return self

    def __exit__(self, *_) -> None:
        gateway.end(self.process)


def run(folder: Path, test: str, root: Path, mounted_at_root: str) -> str:
    """What the suite's client printed."""
    environment = {**os.environ, "npm_config_base": mounted_at_root, "npm_package_config_id": test}
    done = subprocess.run(["node", "--no-warnings", "test-engine/cli.mjs"], cwd=folder, env=environment, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=600, check=False)
    (root / "results.json").write_text(done.stdout)
    return done.stdout


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where http-tests/cache-tests is checked out")
    parser.add_argument("test", nargs="?", default="", help="one test by its id")
    chosen = parser.parse_args()
    if not shutil.which("node"):
        print("FAIL  node is not installed (Debian: nodejs)")
        return 1
    folder = chosen.folder.resolve()
    out = report.Report()
    with tempfile.TemporaryDirectory(prefix="cache-tests.") as home:
        root = Path(home)
        with SuiteOrigin(folder, root) as origin, \
                OriginGateway(root, f"http://localhost:{origin.port}/", mount="/", profile="proxy") as server:
            printed = run(folder, chosen.test, root, server.origin)
        if chosen.test:
            print(printed)
            return 0
        (root / "score.mjs").write_text(SCORE)
        scored = subprocess.run(["node", str(root / "score.mjs"), str(folder), str(root / "results.json")], text=True,
                                stdout=subprocess.PIPE, check=True)
    tests = json.loads(scored.stdout)
    for kind, limit in (("required", REQUIRED), ("optimal", OPTIMAL)):
        of_kind = [(name, outcome) for own, name, outcome in tests if own == kind]
        failed = [(name, outcome) for name, outcome in of_kind if outcome is not True]
        for name, outcome in failed:
            print(f"      {kind}  {name}  {outcome[1] if isinstance(outcome, list) and len(outcome) > 1 else outcome}")
        out.check(len(of_kind) - len(failed) >= limit, f"cache-tests: at least {limit} of what is {kind}",
                  f"{len(of_kind) - len(failed)} of {len(of_kind)}")
    return out.finish()


if __name__ == "__main__":
    sys.exit(main())
