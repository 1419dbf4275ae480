"""Estimators: each learns one quantity (observe) and says what it believes (estimate). None of them chooses.

Every duration is a `Duration`, a lognormal; every estimator states its answer for "nothing seen yet".
"""
