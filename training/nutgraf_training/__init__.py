"""Fitting and evaluating."""
