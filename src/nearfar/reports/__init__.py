"""The report of a training run: one HTML page, made from the files of a run folder and nothing else."""

from nearfar.reports.page import write_report

__all__ = ["write_report"]
