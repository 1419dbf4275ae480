"""Inference wire protocols: what the selector must read of them, and no more."""
