"""Phase 1 of the load report: ``/ping`` on a number of connections that rises and falls."""

from __future__ import annotations

import statistics
from pathlib import Path

import measure
from measure import ON_SERVER_CORE

import gateway
import load
import report
from peers import ExpressServer, NodeServer

LEVELS = (10, 50, 100, 50, 0)
RATE = "54/s"
# Seconds of a stage, by load: in full, and with --quick.
STAGES = {RATE: (10, 1), "unthrottled": (2, 1)}

# What the report has of the replaced backend, in ms.
BEFORE = f"| the load report, Node.js | {RATE} | 16,177 | 0.54 | 1.24 | 1.64 | | – | 0 | | 54 |"
BEFORE_P95 = 1.64
# Share of what was due: a client that is late has a request left when its last connection goes.
NOT_SENT_LIMIT = 0.01

# Of one server under one load, a run of each round.
Runs = dict[str, list[dict]]


def run(root: Path, rounds: int, quick: bool, out: report.Report) -> None:
    with (gateway.Server(root, prefix=ON_SERVER_CORE) as ours, NodeServer(root, prefix=ON_SERVER_CORE) as node,
          ExpressServer(root, prefix=ON_SERVER_CORE) as express):
        servers = [ours, node, express]
        for server in servers:  # what runs for the first time is slow
            load.run("ping", f"{server.origin}/ping", "--duration", "1s")
        measured: dict[str, Runs] = {pace: {server.kind: [] for server in servers} for pace in STAGES}
        for number in range(rounds):
            for pace, seconds in STAGES.items():
                for server in measure.in_turn(servers, number):
                    measured[pace][server.kind].append(_asked(server, pace, seconds[quick], number))
    _print(measured)
    for pace, runs in measured.items():
        _judge(pace, runs, out)


def _asked(server: gateway.Server, pace: str, seconds: float, number: int) -> dict:
    throttle = ["--rate", pace] if pace == RATE else []
    return load.run("ping", f"{server.origin}/ping", "--stages", load.stages(LEVELS, seconds), *throttle,
                    "--seed", str(number))


def _print(measured: dict[str, Runs]) -> None:
    print("| server | load | requests | median ms | p90 | p95 | spread of p95 | max | errors | not sent "
          "| requests/s |\n" + "|---" * 11 + "|")
    print(BEFORE)
    for pace, runs in measured.items():
        for kind, of in runs.items():
            p50, p90, p95 = (sorted(run["whole"][f"p{share}_ms"] for run in of) for share in (50, 90, 95))
            print(f"| {kind} | {pace} | {statistics.median(run['requests'] for run in of):,.0f} "
                  f"| {statistics.median(p50):.2f} | {statistics.median(p90):.2f} | {statistics.median(p95):.2f} "
                  f"| {p95[0]:.2f}–{p95[-1]:.2f} | {max(run['whole']['max_ms'] for run in of):.1f} "
                  f"| {_sum(of, 'errors')} | {_sum(of, 'missed')} "
                  f"| {statistics.median(run['requests_per_second'] for run in of):,.0f} |", flush=True)
    for fault in [f"{kind}, {pace}: {fault}" for pace, runs in measured.items() for kind, of in runs.items()
                  for run in of for fault in load.faults(run)]:
        print(fault, flush=True)


def _sum(runs: list[dict], what: str) -> int:
    return sum(run[what] for run in runs)


def _judge(pace: str, runs: Runs, out: report.Report) -> None:
    ours = runs[gateway.Server.kind]
    requests, errors, missed = (_sum(ours, what) for what in ("requests", "errors", "missed"))
    out.check(errors == 0 and missed <= NOT_SENT_LIMIT * requests, f"phase 1, {pace}: 0 errors",
              f"{errors} errors, {requests} right answers and {missed} not sent in {len(ours)} rounds")
    if pace == RATE:
        p95 = statistics.median(run["whole"]["p95_ms"] for run in ours)
        out.check(p95 <= BEFORE_P95, f"phase 1, {pace}: p95 at most that of the report, {BEFORE_P95} ms",
                  f"{p95:.2f} ms")
    ratios = sorted(one["whole"]["p95_ms"] / other["whole"]["p95_ms"]
                    for one, other in zip(ours, runs[NodeServer.kind]))
    out.check(statistics.median(ratios) <= 1, f"phase 1, {pace}: p95 at most that of {NodeServer.kind}",
              f"{statistics.median(ratios):.2f} x, {ratios[0]:.2f}–{ratios[-1]:.2f} in {len(ratios)} rounds")
