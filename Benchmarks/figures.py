#!/usr/bin/env python3
"""Every figure of docs/performance.md: runs the programs beside this one, and keeps what they print.

    python3 Benchmarks/figures.py [--quick] [--into FOLDER] [PROGRAM…]

FOLDER gets ``figures.md``, with the command, the tables and the verdicts of each program, a PNG plot of every table, and
all that was printed. The programs run one after the other; with a quiet machine, some hours.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROGRAMS = ("bench", "hot", "profile_hits", "cache", "large", "policies", "origin", "torrent", "load_report",
            "phases", "crowd", "soak")
# Those that draw what they measured over time.
DRAWING = ("large", "soak")
# A median, as the programs print it: a number, then its unit.
MEDIAN = re.compile(r"([\d.,]+)\s")
# What a cell of another table begins with.
FIGURE = re.compile(r"(\d[\d,]*(?:\.\d+)?)")


@dataclass
class Table:
    head: list[str]
    rows: list[list[str]] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [self.head, ["---"] * len(self.head), *self.rows]
        return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)

    def column(self, name: str) -> int | None:
        return self.head.index(name) if name in self.head else None


def tables(text: str) -> list[Table]:
    """The tables of Markdown in what a program printed, whatever it printed between two rows."""
    found: list[Table] = []
    previous: list[str] = []
    for line in text.splitlines():
        if not line.startswith("|"):
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if all(set(cell) <= set("-:") and cell for cell in cells):
            # The row before it was the head of this one.
            if found and found[-1].rows and found[-1].rows[-1] == previous:
                found[-1].rows.pop()
            found.append(Table(previous))
        elif found and len(cells) == len(found[-1].head):
            found[-1].rows.append(cells)
        previous = cells
    return [table for table in found if table.rows]


@dataclass
class Outcome:
    name: str
    command: list[str]
    text: str
    status: int
    seconds: float

    @property
    def verdicts(self) -> list[str]:
        return [line for line in self.text.splitlines() if line.startswith(("PASS  ", "FAIL  ", "SKIP  "))]

    def markdown(self) -> str:
        """Its part of ``figures.md``."""
        last = next((line for line in reversed(self.text.splitlines()) if line.strip()), "nothing was printed")
        parts = [f"## {self.name}", f"`{' '.join(self.command)}`: exit status {self.status}, {self.seconds:.0f} s, `{last}`"]
        parts += map(str, tables(self.text))
        parts.append("```\n" + "\n".join(self.verdicts) + "\n```")
        return "\n\n".join(parts)


def run(name: str, quick: bool, folder: Path) -> Outcome:
    command = ["python3", f"Benchmarks/{name}.py", *(["--quick"] if quick else []),
               *(["--plot", str(drawing(name, folder))] if name in DRAWING else [])]
    print(f"---- {' '.join(command)}", flush=True)
    began = time.monotonic()
    lines: list[str] = []
    with subprocess.Popen([sys.executable, *command[1:]], cwd=HERE.parent, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as program:
        try:
            for line in program.stdout:
                print(line, end="", flush=True)
                lines.append(line)
        except BaseException:
            program.terminate()  # it cleans up
            raise
    return Outcome(name, command, "".join(lines), program.returncode, time.monotonic() - began)


def drawing(name: str, folder: Path) -> Path:
    return folder / f"{name}-time.png"


def plot(outcome: Outcome, folder: Path) -> list[Path]:
    """A PNG of each table with figures to compare; nothing without matplotlib."""
    try:
        import matplotlib
    except ImportError:
        return []
    matplotlib.use("Agg")
    from matplotlib import pyplot

    files = []
    for table in tables(outcome.text):
        figure = servers(table, pyplot) or columns(table, pyplot)
        if figure is None:
            continue
        file = folder / f"{outcome.name}{'' if not files else len(files) + 1}.png"
        figure.savefig(file, bbox_inches="tight")
        pyplot.close(figure)
        files.append(file)
    return files


def servers(table: Table, pyplot):
    """Bars of the medians of a table of what was measured of each server; ``None`` if it is another one."""
    what, server, median = (table.column(name) for name in ("what", "server", "median"))
    if what is None or server is None or median is None:
        return None
    measured = [(row[what], row[server], found) for row in table.rows if (found := MEDIAN.match(row[median]))]
    if not measured:
        return None
    titles, kinds = (list(dict.fromkeys(names)) for names in zip(*((one[0], one[1]) for one in measured)))
    figure, axes = pyplot.subplots(figsize=(9, 1 + 0.22 * len(measured)), dpi=100)
    width = 0.8 / len(kinds)
    for number, kind in enumerate(kinds):
        bars = [(titles.index(title) + number * width, value(found[1])) for title, of, found in measured if of == kind]
        axes.barh([place for place, _ in bars], [value for _, value in bars], width, label=kind)
    axes.set_yticks([place + 0.4 - width / 2 for place in range(len(titles))], titles)
    axes.invert_yaxis()
    axes.set_xlabel(measured[0][2].string.partition(" ")[2])
    axes.legend(fontsize="small")
    return figure


def columns(table: Table, pyplot):
    """Bars of the first figure in each cell, a plot for each column that has some; ``None`` where none has two."""
    # The leading cells that tell all rows apart say what a row is about.
    leading = next((count for count in range(1, len(table.head))
                    if len({tuple(row[:count]) for row in table.rows}) == len(table.rows)), len(table.head))
    titles = [", ".join(row[:leading]) for row in table.rows]
    found = [[FIGURE.match(cell) for cell in cells] for cells in zip(*table.rows)]
    figures = [number for number in range(leading, len(table.head))
               if not table.head[number].startswith("spread") and sum(map(bool, found[number])) > 1]
    if not figures:
        return None
    figure, plots = pyplot.subplots(1, len(figures), sharey=True, squeeze=False, dpi=100,
                                    figsize=(3 + 2 * len(figures), 1 + 0.3 * len(titles)))
    for axes, number in zip(plots[0], figures):
        bars = [(row, value(cell[1])) for row, cell in enumerate(found[number]) if cell]
        axes.barh([row for row, _ in bars], [length for _, length in bars], 0.7)
        axes.set_xlim(left=0)
        axes.set_ylim(-0.5, len(titles) - 0.5)
        axes.set_title(re.split(" / |, ", table.head[number])[0], fontsize="small")
    plots[0][0].set_yticks(range(len(titles)), titles)
    plots[0][0].invert_yaxis()
    return figure


def value(text: str) -> float:
    return float(text.replace(",", ""))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("programs", nargs="*", metavar="PROGRAM", help=f"of {', '.join(PROGRAMS)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="each with --quick: less than an hour")
    parser.add_argument("--into", type=Path, default=HERE.parent / "figures", help="default %(default)s")
    chosen = parser.parse_args()
    if unknown := set(chosen.programs) - set(PROGRAMS):
        parser.error(f"no such program: {', '.join(sorted(unknown))}")
    chosen.into = chosen.into.resolve()
    chosen.into.mkdir(parents=True, exist_ok=True)
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=HERE.parent, capture_output=True, text=True)
    parts = [f"# Figures\n\nOf {commit.stdout.strip() or 'an unknown commit'}, {time.strftime('%F')}."]
    statuses = []
    for name in chosen.programs or PROGRAMS:
        outcome = run(name, chosen.quick, chosen.into)
        statuses.append(outcome.status)
        (chosen.into / f"{name}.txt").write_text(outcome.text)
        plots = [file for file in (drawing(name, chosen.into), *plot(outcome, chosen.into)) if file.exists()]
        parts += [outcome.markdown(), *(f"![{file.stem}]({file.name})" for file in plots)]
        # After each, so that what was measured is kept if the next one is interrupted.
        (chosen.into / "figures.md").write_text("\n\n".join(parts) + "\n")
    print(f"{sum(status == 0 for status in statuses)} of {len(statuses)} programs passed; figures in {chosen.into}")
    return 1 if any(statuses) else 0


if __name__ == "__main__":
    sys.exit(main())
