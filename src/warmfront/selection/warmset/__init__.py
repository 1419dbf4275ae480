"""Which variants are kept awake, started and let go: `planner.Planner` is the way in, model.py the mathematics."""
