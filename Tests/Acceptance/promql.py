"""The metrics, labels and values that an expression of PromQL names. Knows no more of the language than that."""

from __future__ import annotations

import re
from dataclasses import dataclass

TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|[A-Za-z_:][\w:]*|\d[\w.]*|[=!<>]=|[=!]~|\S')
OPERATORS = {"and", "or", "unless", "bool", "offset"}
GROUPINGS = {"by", "without"}
MATCHINGS = {"on", "ignoring", "group_left", "group_right"}


@dataclass(frozen=True)
class Name:
    """A name, and where it is in the expression."""

    kind: str  # "metric", "label" or "value"
    text: str
    start: int
    # Those that must have the label or value.
    metrics: tuple[str, ...] = ()
    # Whose value it is.
    label: str = ""
    is_pattern: bool = False

    def misspelt(self, expression: str) -> str:
        """The expression with one letter more in this name."""
        end = self.start + len(self.text)
        return f"{expression[:end]}x{expression[end:]}"


def names(expression: str) -> list[Name]:
    return _Reader(expression).read()


class _Reader:
    def __init__(self, expression: str) -> None:
        found = list(TOKEN.finditer(expression))
        self.tokens = [match[0] for match in found] + [""]
        self.starts = [match.start() for match in found]
        self.names: list[Name] = []
        # Labels of groupings and vector matchings, with the tokens in which the metrics are that must have them.
        self.listed: list[tuple[Name, range]] = []
        # Where in the tokens each metric is.
        self.metrics: dict[int, str] = {}

    def read(self) -> list[Name]:
        at = 0
        while at < len(self.starts):
            at = self._read_one(at)
        for name, scope in self.listed:
            metrics = tuple(metric for place, metric in self.metrics.items() if place in scope)
            self.names.append(Name("label", name.text, name.start, metrics))
        return self.names

    def _read_one(self, at: int) -> int:
        """Reads what begins with a token; the place of the next."""
        token, following = self.tokens[at], self.tokens[at + 1]
        if token == "[":
            return self._closing(at) + 1
        if token in GROUPINGS or token in MATCHINGS:
            return self._labels(at)
        is_function = following == "(" or following in GROUPINGS
        if not re.match(r"[A-Za-z_:]", token) or token in OPERATORS or is_function:
            return at + 1
        self.metrics[at] = token
        self.names.append(Name("metric", token, self.starts[at]))
        return self._matchers(at + 1, token) if following == "{" else at + 1

    def _labels(self, at: int) -> int:
        if self.tokens[at + 1] != "(":
            return at + 1
        end = self._closing(at + 1)
        # sum by (…) (what is summed), and a on (…) b.
        scope = range(end, self._closing(end + 1)) if self.tokens[at] in GROUPINGS else range(len(self.tokens))
        for place in range(at + 2, end):
            if self.tokens[place] != ",":
                self.listed.append((Name("label", self.tokens[place], self.starts[place]), scope))
        return end + 1

    def _matchers(self, at: int, metric: str) -> int:
        end = self._closing(at)
        for place in range(at + 1, end, 4):
            label, operator, value = self.tokens[place:place + 3]
            self.names.append(Name("label", label, self.starts[place], (metric,)))
            self.names.append(Name("value", value[1:-1], self.starts[place + 2] + 1, (metric,), label, "~" in operator))
        return end + 1

    def _closing(self, at: int) -> int:
        """The place of the bracket that closes the one at ``at``."""
        pairs = {"(": ")", "{": "}", "[": "]"}
        if self.tokens[at] not in pairs:
            raise ValueError(f"a bracket was expected at {self.tokens[at]!r}")
        depth = 0
        for place in range(at, len(self.starts)):
            depth += (self.tokens[place] in pairs) - (self.tokens[place] in pairs.values())
            if depth == 0:
                return place
        raise ValueError("a bracket is not closed")
