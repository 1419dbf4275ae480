"""Warmfront: for every inference request, the model variant that best meets its deadline and accuracy.

The package root exports nothing: import the module you need. `docs/design.md` says what lives where.
"""
