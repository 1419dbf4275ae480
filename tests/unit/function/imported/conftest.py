"""The models of this folder's tests, made once."""

import pytest
from tests.unit.function.imported.models import Models, make


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    """Small trained models and their files."""
    return make(tmp_path_factory.mktemp("models"))
