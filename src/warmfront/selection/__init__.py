"""The middle: which variant answers which request. Pure and synchronous; no clock, no chance, no I/O of its own.

`selector.Selector` is the only way in, by its five calls: update, decide, started, observe, plan.
"""
