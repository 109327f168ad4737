"""Evaluation: metrics with intervals over articles, calibration, abstention, groups, comparisons."""
