"""What a soak has to keep."""

from __future__ import annotations

import statistics

import measure  # noqa: F401  (the folder of the modules below is on the path with it)
from soak_faults import RECOVERY_LIMIT
from soak_load import Players
from soak_run import CHUNK, DESCRIPTOR_LIMIT, LIMIT, SLACK, SOURCES, Outcome
from soak_samples import Sample, least_squares, theil_sen

import report
from content import MIB

SLOPE_LIMIT = 1.0  # MB a minute
SLOPE_MINUTES = 10.0  # below that memory still settles


def judge(outcome: Outcome, out: report.Report) -> None:
    _judge_bytes(outcome, out)
    _judge_failures(outcome, out)
    _judge_memory(outcome.samples, out)
    _judge_rest(outcome, out)
    samples, faults = outcome.samples, outcome.faults.past
    most = max(sample.cache_bytes for sample in samples)
    out.check(LIMIT / 2 < most <= LIMIT + SLACK, f"chunks take at most {(LIMIT + SLACK) / MIB:.0f} MiB, the limit and "
              "64 chunks", f"{most / MIB:.1f} MiB at most in {len(samples)} samples")
    evicted, removed, retries = (getattr(samples[-1], name) - getattr(samples[0], name)
                                 for name in ("evicted", "idle_removed", "origin_retries"))
    out.check(evicted > LIMIT // CHUNK and removed > 0 and retries > 0,
              "chunks and torrents came and went, sources failed",
              f"{evicted:.0f} chunks evicted, the cache holds {LIMIT // CHUNK}; {removed:.0f} torrents left idle; "
              f"{len(faults)} faults, the origin asked {retries:.0f} times anew")
    out.check(outcome.exit_status == 0 and not outcome.crash and outcome.rotations == len(faults),
              "one process served all of it, and ended in order",
              "; ".join([f"exit status {outcome.exit_status}, {outcome.rotations} new access logs",
                         *outcome.crash[:2]]))


def _judge_bytes(outcome: Outcome, out: report.Report) -> None:
    seen, bursts = outcome.clients.seen, outcome.bursts
    compared = sum(figures["compared_bytes"] for figures in outcome.players.values())
    never = {source: Players.inexcusable(figures) for source, figures in outcome.players.items()}
    wrong = [f"{source}: {kinds}" for source, kinds in never.items() if kinds]
    out.check(not wrong and compared > 0, "players: no wrong byte",
              "; ".join([f"{compared / MIB:,.0f} MiB compared", *wrong]))
    out.check(not seen.result.faults and seen.result.answers > 0 and seen.hung_up > 0, "clients: no wrong byte",
              f"{seen.result}, {seen.hung_up} hung up")
    out.check(not bursts.faults and bursts.compared > 0, "bursts of ranges of the disk source: no error",
              "; ".join([f"{bursts.requests} ranges, {bursts.compared / MIB:,.0f} MiB compared", *bursts.faults[:2]]))


def _judge_failures(outcome: Outcome, out: report.Report) -> None:
    faults = outcome.faults
    for source in SOURCES:
        failures = [failure for failure in outcome.failures if failure.source == source]
        unexcused = [failure for failure in failures if not faults.excuse(failure)]
        shown = [f"after {failure.began - outcome.began:.1f}–{failure.ended - outcome.began:.1f} s {failure.what}"
                 for failure in unexcused[:4]]
        out.check(not unexcused, f"{source}: no error but while it fails",
                  "; ".join([f"{len(failures) - len(unexcused)} errors meanwhile, {len(unexcused)} others", *shown]))
    for what in dict.fromkeys(fault.what for fault in faults.past):
        took = [fault.recovery for fault in faults.past if fault.what == what]
        source = next(fault.source for fault in faults.past if fault.what == what)
        out.check(max(took) < RECOVERY_LIMIT, f"{source}, {what}: every film is read again afterwards",
                  f"{len(took)} times, after {statistics.median(took):.1f} s, {max(took):.1f} at most")


def _judge_memory(samples: list[Sample], out: report.Report) -> None:
    minutes = samples[-1].seconds / 60
    judged = [sample for sample in samples if sample.seconds >= samples[-1].seconds / 3]
    slope, robust = (fit(judged) * 60 / 1e6 for fit in (least_squares, theil_sen))
    figures = (f"{slope:+.2f} MB a minute by least squares, {robust:+.2f} by Theil–Sen, over {minutes * 2 / 3:.1f} "
               f"minutes; {min(sample.rss_anon for sample in judged) / MIB:.1f}–"
               f"{max(sample.rss_anon for sample in judged) / MIB:.1f} MiB")
    if minutes < SLOPE_MINUTES:
        print(f"      RssAnon: {figures}; not judged in less than {SLOPE_MINUTES:g} minutes", flush=True)
    else:
        out.check(slope <= SLOPE_LIMIT, f"RssAnon grows by at most {SLOPE_LIMIT:g} MB a minute", figures)


def _judge_rest(outcome: Outcome, out: report.Report) -> None:
    before, after = outcome.before, outcome.after
    more = after.descriptors - before.descriptors
    most = max(sample.descriptors for sample in outcome.samples)
    out.check(abs(more) <= DESCRIPTOR_LIMIT, f"descriptors afterwards within {DESCRIPTOR_LIMIT} of those before",
              f"{before.descriptors} before, {most} at most, {after.descriptors} {after.seconds:.0f} s after the load")
    held = max(sample.leases for sample in outcome.samples)
    out.check(held > 0 and after.leases == 0 and after.connections == 0, "leases and connections are back to 0",
              f"{held:.0f} leases at most, {after.leases:.0f} leases and {after.connections:.0f} connections at last")
    reader = max(sample.oldest_reader_seconds for sample in outcome.samples)
    left = after.oldest_reader_seconds + after.fill_bytes + after.write_queue_bytes
    out.check(left == 0, "no read of the database is left, and no memory of fills",
              f"{after.oldest_reader_seconds * 1000:.1f} ms, {after.fill_bytes:.0f} and {after.write_queue_bytes:.0f} "
              f"bytes; oldest reader {reader * 1000:.1f} ms at most")
