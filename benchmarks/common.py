"""What every benchmark here shares: contenders in turn, best of several, a table, a JSON file."""

import argparse
import json
import os
import platform
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any


@dataclass
class Timing:
    """The best of several runs of one contender, and what its last run returned."""

    wall: float
    cpu: float
    result: Any


def interleave(contenders: dict[str, Callable[[], Any]], repeats: int) -> dict[str, Timing]:
    """Run all contenders in turn, ``repeats`` times over, so that a noisy moment hits each of them."""
    best: dict[str, Timing] = {}
    for _ in range(repeats):
        for name, contender in contenders.items():
            wall, cpu = time.perf_counter(), time.process_time()
            result = contender()
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            old = best.get(name, Timing(wall, cpu, result))
            best[name] = Timing(min(old.wall, wall), min(old.cpu, cpu), result)
    return best


def show(rows: list[dict[str, Any]]) -> str:
    """Rows of a table, aligned; numbers to three digits."""
    texts = [{name: _text(value) for name, value in row.items()} for row in rows]
    names = list(texts[0])
    widths = {name: max(len(name), *(len(text[name]) for text in texts)) for name in names}
    lines = [" ".join(name.rjust(widths[name]) for name in names)]
    lines += [" ".join(text[name].rjust(widths[name]) for name in names) for text in texts]
    return "\n".join(lines)


def _text(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def installed(package: str) -> bool:
    """Whether a peer is there; where it is not, a line says so."""
    try:
        version(package)
    except PackageNotFoundError:
        print(f"{package} is not installed: skipped")
        return False
    return True


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    packages = ["numpy", "scipy", "scikit-learn", "torch", "pomegranate", "stepmix", "sklearn-lvm"]
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {name: found for name in packages if (found := _version(name))},
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def options(description: str) -> argparse.ArgumentParser:
    """The options that every benchmark has."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=1, help="threads for every contender")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each contender")
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it runs")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    return parser


def write(path: Path | None, threads: int, tables: dict[str, Iterable[dict[str, Any]]]) -> None:
    """Write the figures with the machine that they belong to."""
    if path is not None:
        record = {"machine": machine(), "threads": threads, **tables}
        path.write_text(json.dumps(record, indent=2, default=float) + "\n")
