"""The command ``sklearn-lvm``: which density model fits this table best?"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .compare.report import Comparison

EPILOG = "Example: sklearn-lvm table.csv --models EMGaussianMixture,GaussianMixture --cv 10"
DESCRIPTION = """\
Which density model fits this table best? Each model is searched over a small grid by
cross-validation; the table shows the held-out log-likelihood per row, in nats in the data's
own units."""


def main(argv: Sequence[str] | None = None) -> int:
    """Compare density models on a file and print their ranking.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments of the command line, ``sys.argv[1:]`` by default.

    Returns
    -------
    code : int
        0, or 1 if every model failed, 2 if the input cannot be used, 130 if interrupted.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    # The command has one task so far; its name may be given, and need not be.
    options = _parser().parse_args(arguments[arguments[:1] == ["compare"] :])
    try:
        comparison = _compare(options)
    except ValueError as error:
        print("sklearn-lvm: error:", " ".join(str(error).split()), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    FORMATS[options.format](comparison)
    return int(all(row.error for row in comparison.rows))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("sklearn-lvm", description=DESCRIPTION, epilog=EPILOG)
    add = parser.add_argument
    add("file", nargs="?", help="CSV, Parquet, NPZ or NPY (default: the digits of scikit-learn)")
    add("--models", metavar="A,B", help="names, separated by commas (default: all)")
    add("--cv", type=int, default=5, metavar="N", help="number of folds (default: 5)")
    add("--jobs", type=int, default=-1, metavar="N", help="fits at a time (default: all cores)")
    add("--random-state", type=int, default=0, metavar="SEED", help="default: 0")
    add(
        "--no-dequantize",
        dest="dequantize",
        action="store_false",
        help="add no noise of one step to columns on a regular grid, such as integers",
    )
    output = parser.add_mutually_exclusive_group()
    for name in ("json", "csv"):
        output.add_argument(
            f"--{name}",
            dest="format",
            action="store_const",
            const=name,
            default="text",
            help=f"print {name.upper()} instead of a table",
        )
    return parser


def _compare(options: argparse.Namespace) -> Comparison:
    from .compare import compare_densities
    from .compare.readers import load_digits_table, read_table

    return compare_densities(
        read_table(options.file) if options.file else load_digits_table(),
        options.models and [name.strip() for name in options.models.split(",")],
        cv=options.cv,
        n_jobs=options.jobs,
        random_state=options.random_state,
        dequantize=options.dequantize,
        progress=_progress(),
    )


def _progress() -> Callable[[Sequence[str]], Iterable[str]]:
    if not sys.stderr.isatty():
        return iter
    try:
        import rich.progress  # noqa: F401
    except ImportError:
        return _with_printed_lines
    return _with_progress_bar


def _with_progress_bar(names: Sequence[str]) -> Iterator[str]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    shown = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*shown, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=len(names))
        for name in names:
            progress.update(task, description=name)
            yield name
            progress.advance(task)


def _with_printed_lines(names: Sequence[str]) -> Iterator[str]:
    for number, name in enumerate(names, 1):
        start = time.monotonic()
        yield name
        print(f"{number}/{len(names)} {name} {time.monotonic() - start:.1f} s", file=sys.stderr)


def _print_csv(comparison: Comparison) -> None:
    # A reader of CSV expects nothing but cells, so the notes go where they are still seen.
    for note in comparison.notes:
        print(f"sklearn-lvm: {note}", file=sys.stderr)
    print(comparison.to_csv(), end="")


FORMATS: dict[str, Callable[[Comparison], None]] = {
    "text": print,
    "json": lambda comparison: print(comparison.to_json()),
    "csv": _print_csv,
}

if __name__ == "__main__":
    sys.exit(main())
