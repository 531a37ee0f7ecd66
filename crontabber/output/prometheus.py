"""Write metrics in the text format of Prometheus, by hand: to import a client library would cost more than a tick."""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple


class Gauge(NamedTuple):
    """A metric, what it means, and its samples: labels and a value."""

    name: str
    meaning: str
    samples: Iterable[tuple[Mapping[str, str], float]]


def render_metrics(gauges: Iterable[Gauge]) -> str:
    """Return the text for a file. A gauge without samples is left out."""
    return "".join(f"{line}\n" for gauge in gauges for line in _lines(gauge))


def _lines(gauge: Gauge) -> Iterator[str]:
    samples = [f"{gauge.name}{_labels(labels)} {value:.15g}" for labels, value in gauge.samples]
    if samples:
        yield f"# HELP {gauge.name} {gauge.meaning}"
        yield f"# TYPE {gauge.name} gauge"
        yield from samples


def _labels(labels: Mapping[str, str]) -> str:
    pairs = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{pairs}}}" if pairs else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
