"""functions/digits_tfserving where it was built: TensorFlow is no development package."""

from pathlib import Path

import pytest

from warmfront.errors import SetupError
from warmfront.runtime.environments import Environments, Function

ROOT = Path(__file__).parents[1]


def environment() -> Function | None:
    """What the function runs in, if it was built."""
    try:
        return Environments(root=ROOT, state=ROOT / ".warmfront").resolve("digits-tfserving")
    except SetupError:
        return None


needs_tensorflow = pytest.mark.skipif(
    environment() is None, reason="run `warmfront build digits_tfserving` first (2 GB)"
)
