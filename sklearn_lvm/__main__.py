"""The command ``sklearn-lvm``: which density model fits this table best?"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from signal import SIGINT, SIGTERM
from time import monotonic
from typing import TYPE_CHECKING

from . import __version__

if TYPE_CHECKING:
    from types import FrameType

    from rich.progress import Progress

    from .compare.comparison import ComparisonRun
    from .compare.progress import Observer
    from .compare.report import Comparison

EPILOG = "Example: sklearn-lvm table.csv --models EMGaussianMixture,GaussianMixture --cv 10"
DESCRIPTION = """\
Which density model fits this table best? Settings of each model are searched by successive
halving; the table shows the held-out log-likelihood per row, in nats in the data's own
units. Cells may be missing: models that take missing entries are scored on the observed
cells, and the others are named."""
TIME_BUDGET = 120.0  # seconds


def main(argv: Sequence[str] | None = None) -> int:
    """Compare density models on a file and print their ranking.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments of the command line, ``sys.argv[1:]`` by default.

    Returns
    -------
    code : int
        0, or 1 if no model has a score, 2 if the input cannot be used, 130 or 143 if interrupted.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["compare"]:  # the one task so far, whose name may be given
        arguments = arguments[1:]
    options = _parser().parse_args(arguments)
    try:
        with _signals_raise():
            return _compare(options, arguments)
    except KeyboardInterrupt as interrupt:  # before there was anything to show
        return _code(interrupt)
    except BrokenPipeError:  # of a reader that has seen enough, such as head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + 13
    except (ValueError, OSError) as error:
        print("sklearn-lvm: error:", " ".join(str(error).split()), file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("sklearn-lvm", description=DESCRIPTION, epilog=EPILOG)
    parser.add_argument("--version", action="version", version=f"sklearn-lvm {__version__}")
    for add_options in (_add_table_options, _add_comparison_options, _add_output_options):
        add_options(parser)
    return parser


def _add_table_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("the table").add_argument
    add(
        "file",
        nargs="?",
        help="CSV, TSV or other text, also compressed, Parquet, NPZ or NPY (default: the digits of "
        "scikit-learn)",
    )
    add("--columns", type=_names, metavar="A,B", help="take these columns alone")
    add("--drop", type=_names, default=(), metavar="A,B", help="leave these columns out")
    add("--no-header", dest="header", action="store_false", help="the first line is a row")
    add(
        "--missing-values",
        type=_names,
        default=(),
        metavar="A,B",
        help="cells that stand for missing values, such as --missing-values=-999,-1",
    )
    add(
        "--no-dequantize",
        dest="dequantize",
        action="store_false",
        help="add no noise of one step to columns on a regular grid, such as integers",
    )


def _add_comparison_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("the comparison").add_argument
    add("--models", type=_names, metavar="A,B", help="names, separated by commas (default: all)")
    add("--cv", type=int, default=5, metavar="N", help="number of folds (default: 5)")
    add(
        "--time-budget",
        type=float,
        default=TIME_BUDGET,
        metavar="SECONDS",
        help=f"compare on as many rows as this allows (default: {TIME_BUDGET:g}; inf: no limit)",
    )
    add("--rows", type=int, metavar="N", help="compare on so many rows; the budget then only stops")
    add("--jobs", type=int, default=-1, metavar="N", help="fits at a time (default: all cores)")
    add("--random-state", type=int, default=0, metavar="SEED", help="default: 0")


def _add_output_options(parser: argparse.ArgumentParser) -> None:
    output = parser.add_argument_group("the outcome")
    output.add_argument("--plot", metavar="FILE", help="draw the comparison: PNG, PDF, SVG, ...")
    output.add_argument(
        "--save",
        metavar="FILE",
        help="fit the best model to all rows and write it to a file of skops, after the time budget",
    )
    formats = output.add_mutually_exclusive_group()
    for name in ("json", "csv"):
        formats.add_argument(
            f"--{name}",
            dest="format",
            action="store_const",
            const=name,
            default="text",
            help=f"print {name.upper()} instead of a table",
        )


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


def _compare(options: argparse.Namespace, arguments: Sequence[str]) -> int:
    """Compare, print what was found, draw it and save the best model."""
    started = monotonic()  # reading a table takes time too
    from .compare.files import model_writer, plot_writer

    draw = plot_writer(options.plot) if options.plot else None
    save = model_writer(options.save) if options.save else None
    run = _run_of(options, started)
    code, incomplete = 0, ""
    try:
        with _observer() as observer:
            run.run(observer)
    except KeyboardInterrupt as interrupt:
        code = _code(interrupt)
        incomplete = f"stopped by {signal.Signals(code - 128).name}"
    comparison = run.comparison(incomplete)
    scored = any(row.scored for row in comparison.rows)
    FORMATS[options.format](_with_command(comparison, run, arguments))
    if draw and scored:
        draw(comparison)
    if save and incomplete:
        _say(f"no model is saved, for the comparison was {incomplete}")
    elif save and scored:
        _say(f"fitting {comparison.rows[0].model} to all rows, which no time budget limits")
        save(comparison)
    return code or int(not scored)


def _run_of(options: argparse.Namespace, started: float) -> ComparisonRun:
    from .compare.comparison import ComparisonRun
    from .compare.readers import load_digits_table, read_table

    table = (
        read_table(
            options.file,
            header=options.header,
            columns=options.columns,
            drop=options.drop,
            missing_values=options.missing_values,
        )
        if options.file
        else load_digits_table()
    )
    return ComparisonRun(
        table,
        options.models,
        cv=options.cv,
        n_jobs=options.jobs,
        random_state=options.random_state,
        dequantize=options.dequantize,
        time_budget=None if options.time_budget == float("inf") else options.time_budget,
        rows=options.rows,
        started=started,
    )


def _with_command(
    comparison: Comparison, run: ComparisonRun, arguments: Sequence[str]
) -> Comparison:
    """Add the command that repeats a table whose rows the time budget chose."""
    scored = any(row.scored for row in comparison.rows)
    if comparison.incomplete or not scored or not run.limited(comparison.n_rows):
        return comparison
    further = ["--rows", str(comparison.n_rows)]
    if any(row.left_out for row in comparison.rows):
        further += ["--models", ",".join(row.model for row in comparison.rows if row.scored)]
    command = shlex.join(["sklearn-lvm", *arguments, *further])
    return replace(comparison, notes=(*comparison.notes, f"to repeat this table: {command}"))


# -- signals -------------------------------------------------------------------------------------------


@contextmanager
def _signals_raise() -> Iterator[None]:
    """Let SIGINT and SIGTERM end what is going on, in the main thread."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt(number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, interrupt) for number in (SIGINT, SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _code(interrupt: KeyboardInterrupt) -> int:
    """The exit status that shells give to a process that a signal has ended."""
    return 128 + (interrupt.args[0] if interrupt.args else SIGINT)


# -- progress ------------------------------------------------------------------------------------------


def _say(text: str) -> None:
    print(f"sklearn-lvm: {text}", file=sys.stderr, flush=True)


@contextmanager
def _observer() -> Iterator[Observer]:
    """Lines on the standard error, and a bar below them on a terminal with rich."""
    from .compare.progress import Lines

    if sys.stderr.isatty() and find_spec("rich"):
        with _bar() as progress:
            yield _Bar(progress)
    else:
        yield Lines(_say)


def _bar() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
        console=Console(stderr=True),
        transient=True,
    )


class _Bar:
    """Shows fits as a bar over all that are expected, and lines above it."""

    def __init__(self, progress: Progress) -> None:
        self.progress, self.done = progress, 0
        self.task = progress.add_task("")

    def expect(self, fits: int) -> None:
        """Make the bar as long as the fits so far and those ahead."""
        self.progress.update(self.task, total=self.done + fits)

    def fitted(self, model: str) -> None:
        """Move the bar on."""
        self.done += 1
        self.progress.update(self.task, completed=self.done, description=model)

    def line(self, text: str) -> None:
        """Print above the bar."""
        self.progress.console.print(f"sklearn-lvm: {text}", highlight=False, markup=False)


# -- formats -------------------------------------------------------------------------------------------


def _print_csv(comparison: Comparison) -> None:
    # A reader of CSV expects nothing but cells, so the notes go where they are still seen.
    for note in comparison.notes:
        _say(note)
    print(comparison.to_csv(), end="")


FORMATS: dict[str, Callable[[Comparison], None]] = {
    "text": print,
    "json": lambda comparison: print(comparison.to_json()),
    "csv": _print_csv,
}

if __name__ == "__main__":
    sys.exit(main())
