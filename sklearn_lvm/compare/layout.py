"""How a comparison looks: as a table of text, and as one of HTML."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from html import escape
from math import inf, isnan
from typing import TYPE_CHECKING

from .tables import counted

if TYPE_CHECKING:
    from .scores import ModelScore, Outcome

__all__ = ["answer", "describe", "heading", "html_of", "text_of"]

# Characters in a line of the printed table.
LINE_WIDTH = 120
# Numbers of nats from here on are printed as powers of ten, which fit their columns.
MAX_FIXED_POINT_NATS = 1e5
# Differences of fewer standard errors than this do not tell two models apart.
TOLD_APART_ERRORS = 2.0
# Nor do differences that the table shows as 0.00, whatever their errors.
MIN_NATS = 0.005
NUMBER_COLUMNS = "{:>9} {:>7} {:>9} {:>7} {:>7} {:>7}"
TITLES = ("log-lik", "± se", "vs best", "± se", "fit s", "score s")
CAPTION = "Held-out log-likelihood, nats per row in the data's own units"


def answer(comparison: Outcome) -> str:
    """Say which model fits best, by how much, and which others are not told apart from it."""
    scored = [row for row in comparison.rows if row.scored]
    if not scored:
        return "No model has a score."
    best, *others = scored
    if best.log_likelihood == -inf:
        return "Every model gives some held-out row no density."
    tied = [row.model for row in others if not _told_apart(row)]
    behind = [row for row in others if _told_apart(row)]
    setting = f" ({describe(best.best_params)})" if best.best_params else ""
    text = f"{'So far, ' if comparison.incomplete else ''}{best.model}{setting} fits best"
    if behind and behind[0].log_likelihood == -inf:
        text += f"; {behind[0].model} gives some held-out row no density"
    elif behind:
        gap = f"{_nats(-behind[0].difference)} ± {_nats(behind[0].difference_standard_error)}"
        text += f", {gap} nats per row ahead of {behind[0].model}"
    if tied:
        text += f"; the errors do not tell {_listed(tied)} apart from it"
    return text + "."


def _told_apart(row: ModelScore) -> bool:
    difference, error = row.difference, row.difference_standard_error
    return abs(difference) > max(TOLD_APART_ERRORS * (0.0 if isnan(error) else error), MIN_NATS)


def _listed(names: Sequence[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def text_of(comparison: Outcome) -> str:
    """The comparison as lines of text."""
    width = max(len(name) for name in ("model", *map(_marked, comparison.rows)))
    lines = [
        heading(comparison),
        *(line for note in comparison.notes for line in _wrap(note, "  ")),
        "",
        CAPTION,
        "",
        f"    {'model':{width}}{NUMBER_COLUMNS.format(*TITLES)}  best parameters",
        *(_model_line(rank, row, width) for rank, row in enumerate(comparison.rows, 1)),
        "",
        *_wrap(answer(comparison), ""),
        *(line for note in _footnotes(comparison) for line in _wrap(f"* {note}", "  ")),
    ]
    return "\n".join(lines)


def heading(comparison: Outcome) -> str:
    """What was compared: rows, columns and folds."""
    rows, columns, folds = comparison.n_rows, comparison.n_columns, comparison.cv
    sizes = ", ".join(map(counted, (rows, columns, folds), ("row", "column", "fold")))
    size = f"{comparison.name}: {sizes}"
    return f"{size} (INCOMPLETE: {comparison.incomplete})" if comparison.incomplete else size


def _model_line(rank: int, row: ModelScore, width: int) -> str:
    name = f"{_marked(row):{width}}"
    if not row.scored:
        return _truncate(f"  - {name}  {_why(row)}")
    numbers = NUMBER_COLUMNS.format(*_numbers(rank, row))
    return _truncate(f"{rank:3} {name}{numbers}  {describe(row.best_params)}")


def _marked(row: ModelScore) -> str:
    return row.model + "*" * bool(_footnote(row))


def _numbers(rank: int, row: ModelScore) -> tuple[str, ...]:
    """The cells of a row; the best model has no difference to itself."""
    behind = (row.difference, row.difference_standard_error)
    return (
        _nats(row.log_likelihood),
        _nats(row.standard_error),
        *(("", "") if rank == 1 else map(_nats, behind)),
        f"{row.fit_time:.3f}",
        f"{row.score_time:.3f}",
    )


def _why(row: ModelScore) -> str:
    return f"failed: {row.error}" if row.error else f"left out: {row.left_out}"


def _nats(number: float) -> str:
    if abs(number) >= MAX_FIXED_POINT_NATS:
        return f"{number:.0e}"
    return f"{round(number, 2) + 0.0:.2f}"  # which turns -0.0 into 0.0


def _footnotes(comparison: Outcome) -> list[str]:
    return [f"{row.model}: {_footnote(row)}" for row in comparison.rows if _footnote(row)]


def _footnote(row: ModelScore) -> str:
    folds = row.unconverged_folds
    unconverged = f"stopped before it converged in {counted(folds, 'fold')}" if folds else ""
    return "; ".join(filter(None, (row.caveat, unconverged)))


def describe(params: Mapping[str, object]) -> str:
    """Write parameters as in a call, without the prefix of the density inside."""
    short = [key.rpartition("__")[2] for key in params]
    names = short if len(set(short)) == len(short) else list(params)
    values = map(_format_value, params.values())
    return ", ".join(f"{name}={value}" for name, value in zip(names, values, strict=True))


def _format_value(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else " ".join(str(value).split())


def _wrap(text: str, indent: str) -> list[str]:
    further = f"{indent}  " if indent else ""
    return textwrap.wrap(
        text,
        LINE_WIDTH,
        initial_indent=indent,
        subsequent_indent=further,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _truncate(line: str) -> str:
    return line if len(line) <= LINE_WIDTH else line[: LINE_WIDTH - 1] + "…"


# -- HTML ----------------------------------------------------------------------------------------------


def html_of(comparison: Outcome) -> str:
    """The comparison as a table of HTML."""
    titles = ("", "model", *TITLES, "best parameters")
    rows = (_html_row(rank, row) for rank, row in enumerate(comparison.rows, 1))
    notes = (*comparison.notes, *_footnotes(comparison))
    return "\n".join(
        [
            f"<p><strong>{escape(heading(comparison))}</strong></p>",
            f"<table><caption>{CAPTION}</caption>",
            f"<thead>{_html_cells(titles, 'th')}</thead>",
            f"<tbody>{''.join(rows)}</tbody></table>",
            f"<p>{escape(answer(comparison))}</p>",
            f"<ul>{''.join(f'<li>{escape(note)}</li>' for note in notes)}</ul>" if notes else "",
        ]
    )


def _html_row(rank: int, row: ModelScore) -> str:
    if row.scored:
        return _html_cells((str(rank), row.model, *_numbers(rank, row), describe(row.best_params)))
    why = f"<td colspan='{len(TITLES) + 1}'>{escape(_why(row))}</td>"
    return f"<tr><td>-</td><td>{escape(row.model)}</td>{why}</tr>"


def _html_cells(cells: Sequence[str], kind: str = "td") -> str:
    return f"<tr>{''.join(f'<{kind}>{escape(cell)}</{kind}>' for cell in cells)}</tr>"
