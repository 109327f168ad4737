"""The report of an evaluation: one page for a browser, its Markdown, and its figures as JSON."""

from nutgraf_training.report.write import check_report, write_report

__all__ = ["check_report", "write_report"]
