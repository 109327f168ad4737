"""Writes a report: ``NAME.html``, and beside it ``NAME.md`` and ``NAME.json`` with the same figures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from nutgraf_data.errors import DataError
from nutgraf_data.files import check_output, write_text_atomically
from nutgraf_training.evaluation.evaluate import Evaluation
from nutgraf_training.report.findings import findings
from nutgraf_training.report.markdown import markdown
from nutgraf_training.report.page import page

__all__ = ["check_report", "write_report"]


def check_report(path: Path, inputs: Sequence[str], *, force: bool) -> None:
    """Refuses a report's files before any work is done.

    Raises:
        DataError: the name does not end in .html, or one of the three is an input, or exists and ``force`` is false.
    """
    if path.suffix != ".html":
        raise DataError("a report is an .html file", path=path, hint="name one, such as report.html")
    for each in _files(path):
        check_output(each, inputs, force=force)


def write_report(
    evaluation: Evaluation,
    path: str | Path,
    *,
    model: str,
    data: str,
    by: Sequence[str] = (),
    targets: Sequence[float] = (0.95,),
    coverage: Sequence[float] = (0.9,),
) -> list[Path]:
    """Writes the three files and returns their paths.

    Args:
        evaluation: of the model.
        path: of the page, ending in ``.html``.
        model, data: what to call them.
        by: fields to group by; those that the articles have by default.
        targets: accuracies to choose ``min_confidence`` for.
        coverage: levels of conformal sets.

    Raises:
        DataError: a file cannot be written.
        MissingExtraError: the extra ``train`` is not installed.
    """
    found = findings(evaluation, model=model, data=data, by=by, targets=targets, coverage=coverage)
    html, md, record = files = _files(Path(path))
    content = page(found, evaluation)
    write_text_atomically(html, content)
    write_text_atomically(md, markdown(found))
    write_text_atomically(record, json.dumps(found, ensure_ascii=False, indent=1, allow_nan=False) + "\n")
    return files


def _files(path: Path) -> list[Path]:
    return [path, path.with_suffix(".md"), path.with_suffix(".json")]
