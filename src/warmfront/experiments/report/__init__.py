"""The HTML report of a comparison and its plots. Importing this needs matplotlib: the extra `report`."""

from warmfront.experiments.report.page import write

__all__ = ["write"]
