"""Measuring the variants of a task where they run: cold starts, warm latency, accuracy, memory, Pareto front."""
