"""The dashboard and alerts of docs/monitoring name only what /metrics has, and Prometheus has data for each panel."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from urllib.parse import quote

import content
import gateway
import promql
import report
import torrent_probe
from content import KIB, MIB
from scripted_origin import Answer, Asked, ScriptedOrigin, ranged
from torrent_probe import TorrentServer, await_true, swarm
from wire import fetch, until_hit

FILES = gateway.REPOSITORY / "docs" / "monitoring"
# What Prometheus adds itself.
SCRAPED_LABELS = {"job", "instance"}
SCRAPED_METRICS = {"up"}
# What Grafana puts in the place of its variables.
GRAFANA = {"$__rate_interval": "1m", "$job": ".+", "$instance": ".+"}


class Page:
    """One page of ``/metrics``: the labels of each series of each name, those of a histogram one by one."""

    def __init__(self, text: str) -> None:
        self.series: dict[str, list[dict[str, str]]] = {}
        for name, labels in re.findall(r"^(\w+)(?:\{(.*)\})? \S+$", text, re.MULTILINE):
            self.series.setdefault(name, []).append(dict(re.findall(r'(\w+)="((?:\\.|[^"\\])*)"', labels)))

    def labels(self, metric: str) -> set[str]:
        return {label for labels in self.series.get(metric, []) for label in labels}

    def lacks(self, expression: str) -> list[str]:
        """What an expression names and the page does not have."""
        return [f"{name.kind} {name.text}" for name in promql.names(expression) if not self._has(name)]

    def _has(self, name: promql.Name) -> bool:
        if name.kind == "metric":
            return name.text in self.series or name.text in SCRAPED_METRICS
        if name.kind == "label":
            return name.text in SCRAPED_LABELS or all(name.text in self.labels(metric) for metric in name.metrics)
        if name.label in SCRAPED_LABELS:
            return True
        values = {labels.get(name.label, "") for metric in name.metrics for labels in self.series.get(metric, [])}
        wanted = name.text.split("|") if name.is_pattern else [re.escape(name.text)]
        return all(any(re.fullmatch(each, value) for value in values) for each in wanted)

    def has_labels(self, labels: list[str], expression: str) -> bool:
        """Whether the results of an expression have these labels."""
        names = promql.names(expression)
        grouped = re.search(r"\bby \(([^)]*)\)", expression)
        metric = next(name.text for name in names if name.kind == "metric")
        borne = set(re.findall(r"\w+", grouped[1])) if grouped else self.labels(metric) | SCRAPED_LABELS
        return set(labels) <= borne - {"le"}


# The gateway and Prometheus


class Gateway(TorrentServer):
    """With a disk source, an origin and torrents, all of them cached."""

    def __init__(self, origin: ScriptedOrigin) -> None:
        super().__init__()
        self.cached = True
        self.config += (f'[sources.origin]\nkind = "http"\nmount = "/origin"\ncache_size = "8MiB"\n'
                        f'[sources.origin.options]\nbase_url = "{origin.base}"\nretries = 0\n')

    def page(self) -> str:
        return self.ask_admin("/metrics").body.decode()


class Prometheus(gateway.NginxServer):
    """Prometheus as docs/monitoring/README.md has it, its addresses and interval replaced."""

    kind = "prometheus"

    def __init__(self, target: Gateway) -> None:
        super().__init__(FILES)
        self.target = target

    def _command(self) -> list[str]:
        config = re.search(r"```yaml\n(.*?)```", (FILES / "README.md").read_text(), re.DOTALL)[1]
        for written, replacement in (("127.0.0.1:9080", f"127.0.0.1:{self.target.admin_port}"),
                                     ("alerts.yml", str(FILES / "alerts.yml")), ("15s", "300ms")):
            assert written in config, written
            config = config.replace(written, replacement)
        (self.home / "prometheus.yml").write_text(f"global:\n  evaluation_interval: 300ms\n{config}")
        self.port = self.port or gateway.free_port()
        return ["prometheus", f"--config.file={self.home}/prometheus.yml", f"--storage.tsdb.path={self.home}/data",
                f"--web.listen-address=127.0.0.1:{self.port}"]

    def start(self) -> None:
        super().start()
        if await_true(lambda: fetch(self.address, "/-/ready").status == 200, 30) is None:
            raise TimeoutError("Prometheus is not ready")

    def ask(self, path: str) -> dict:
        answer = json.loads(fetch(self.address, f"/api/v1/{path}").body)
        if answer["status"] != "success":
            raise ValueError(f"{path}: {answer['error']}")
        return answer["data"]

    def query(self, expression: str) -> list[dict]:
        return self.ask(f"query?query={quote(expression)}")["result"]

    def alerts(self) -> list[dict]:
        """The rules, each evaluated at least once."""
        def rules() -> list[dict]:
            return [rule for group in self.ask("rules")["groups"] for rule in group["rules"]]
        if await_true(lambda: rules() and all(rule["health"] != "unknown" for rule in rules()), 30) is None:
            raise TimeoutError("Prometheus does not evaluate the rules")
        return rules()

    def await_scrapes(self, count: int) -> None:
        expression = f'sum_over_time(up{{job="media-gateway"}}[1m]) >= {count}'
        if await_true(lambda: self.query(expression), 30) is None:
            raise TimeoutError(f"Prometheus did not scrape {self.target.admin_port} {count} times in 30 s")


def use(server: Gateway, torrent: torrent_probe.Torrent) -> None:
    """Makes what is counted only once it has happened: hits, a file that is not there, a source that fails."""
    content.write(server.root / "film.mkv", MIB)
    server.bring_in(torrent)
    for path in (server.path("film.mkv"), "/origin/film.mkv", torrent.path()):
        reply = until_hit(lambda: server.get(path))
        if reply.status != 200 or "; hit" not in (reply.header("cache-status") or ""):
            raise RuntimeError(f"{path} is {reply}, {reply.header('cache-status')}")
    statuses = [server.get(path).status for path in (server.path("nothing.mkv"), "/origin/broken.mkv")]
    if statuses != [404, 502]:
        raise RuntimeError(f"what is not there and what is broken is {statuses}")


def answer(asked: Asked) -> Answer:
    whole = bytes(range(256)) * (KIB * 4)
    return Answer(500) if "broken" in asked.target else ranged(asked, whole, '"film"', Cache_Control="max-age=600")


# The files


def panels_of(board: dict) -> list[dict]:
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def without_variables(expression: str) -> str:
    for variable, value in GRAFANA.items():
        expression = expression.replace(variable, value)
    return expression


def expressions_of(board: dict) -> dict[str, str]:
    """Every expression of a dashboard, by the panel or variable it is of."""
    found = {}
    for panel in panels_of(board):
        for target in panel["targets"]:
            found[f"{panel['title']} {panel['id']} {target['refId']}"] = without_variables(target["expr"])
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            selector, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"]).groups()
            found[f"variable {variable['name']}"] = f"count by ({label}) ({without_variables(selector)})"
    return found


def dashboard(board: dict, page: Page, prometheus: Prometheus, out: report.Report) -> None:
    shape = report.Tally()
    for panel in panels_of(board):
        title = panel["title"]
        shape.expect(bool(panel["fieldConfig"]["defaults"].get("unit")), f"{title} has no unit")
        shape.expect(bool(panel["targets"]), f"{title} has no target")
        for target in panel["targets"]:
            labels = re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])
            shape.expect(page.has_labels(labels, without_variables(target["expr"])), f"{title}: legend {labels}")
    sources = set(re.findall(r'"uid": "([^"]*)"', json.dumps(board))) - {board["uid"]}
    shape.expect(sources == {"${datasource}"} and board["id"] is None, f"ids of one Grafana: {sources}")
    ids = [panel["id"] for panel in board["panels"]]
    shape.expect(len(set(ids)) == len(ids), "two panels have one id")
    shape.into(out, "monitoring: each panel has targets, a unit, and a legend of labels that its data have")
    shown = report.Tally()
    for place, expression in expressions_of(board).items():
        shown.expect(bool(prometheus.query(expression)), f"{place}: {expression}")
    shown.into(out, "monitoring: Prometheus has data for each expression of the dashboard")


def alerts(rules: list[dict], page: Page, out: report.Report) -> None:
    shape, tested = report.Tally(), report.Tally()
    tests = (FILES / "alerts_test.yml").read_text()
    for rule in rules:
        name, said = rule["name"], rule["annotations"]
        shape.expect(rule["health"] == "ok", f"{name}: {rule.get('lastError')}")
        shape.expect(rule["duration"] > 0 and "severity" in rule["labels"], f"{name}: no time or severity")
        shape.expect({"summary", "description"} <= said.keys(), f"{name}: {list(said)}")
        labels = re.findall(r"\$labels\.(\w+)", " ".join(said.values()))
        shape.expect(page.has_labels(labels, rule["query"]), f"{name}: labels {labels}")
        test = re.search(rf'- name: "{name}\b(.*?)(?:- name: |\Z)', tests, re.DOTALL)
        both = (f'{{alertname="{name}", instance="bad"}}', 'instance="good"')
        tested.expect(test is not None and all(each in test[1] for each in both), name)
    shape.into(out, "monitoring: Prometheus evaluates each alert, which has a time, a severity and what to do",
               f"{len(rules)} alerts")
    tested.into(out, "monitoring: each alert has a test in which it fires on one gateway and is quiet on another")


def promtool(*arguments: str) -> subprocess.Popen:
    return gateway.child(["promtool", *arguments], cwd=FILES, text=True, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT)


def names(expressions: dict[str, str], page: Page, first: Page, out: report.Report) -> None:
    present, noticed, later = report.Tally(), report.Tally(), set()
    for place, expression in expressions.items():
        lacking = page.lacks(expression)
        present.expect(not lacking, f"{place}: {', '.join(lacking)}")
        later |= {each for each in first.lacks(expression) if each.startswith("metric") and each not in lacking}
        for name in promql.names(expression):
            if name.label not in SCRAPED_LABELS:
                misspelt = name.misspelt(expression)
                noticed.expect(bool(page.lacks(misspelt)), f"{place}: {misspelt}")
    present.into(out, "monitoring: each metric, label and value in an expression is on /metrics",
                 f"not before the first request: {', '.join(sorted(later)) or 'none'}")
    noticed.into(out, "monitoring: each of them with one letter more is noticed")


def main(out: report.Report, quick: bool) -> None:
    missing = [tool for tool in ("prometheus", "promtool") if not shutil.which(tool)]
    if missing or torrent_probe.missing():
        out.skip("monitoring", torrent_probe.missing() or f"{' and '.join(missing)} not installed")
        return
    checks = [promtool("check", "rules", "alerts.yml"), promtool("test", "rules", "alerts_test.yml")]
    board = json.loads((FILES / "dashboard.json").read_text())
    with swarm(MIB) as seeder, ScriptedOrigin(answer) as origin, Gateway(origin) as server:
        first = Page(server.page())
        with Prometheus(server) as prometheus:
            use(server, seeder.torrent)
            prometheus.await_scrapes(3)
            page, rules = Page(server.page()), prometheus.alerts()
            names(expressions_of(board) | {rule["name"]: rule["query"] for rule in rules}, page, first, out)
            dashboard(board, page, prometheus, out)
            alerts(rules, page, out)
    for check in checks:
        said = check.communicate(timeout=60)[0]
        out.check(check.returncode == 0, f"monitoring: {' '.join(check.args)}", " ".join(said.split())[-200:])


if __name__ == "__main__":
    report.run(main)
