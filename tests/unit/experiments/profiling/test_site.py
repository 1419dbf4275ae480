"""Where a variant is asked."""

import asyncio

import pytest

from warmfront.errors import SetupError
from warmfront.experiments.profiling import site


def test_an_address_that_resolves_here_is_taken() -> None:
    """The inner one, else the outer one; when neither does, both are named."""
    inner, outer = "http://v.n.svc.nowhere.invalid", "http://v.n.localhost:8080"

    def reachable(*urls: str) -> str:
        status = {"address": {"url": urls[0]}, "url": urls[-1]}
        return asyncio.run(site.reachable({"status": status}))

    assert reachable(inner, outer) == outer
    assert reachable(outer, inner) == outer
    with pytest.raises(SetupError, match=r"invalid: no such host from here; run where the cluster's names resolve"):
        reachable(inner)
