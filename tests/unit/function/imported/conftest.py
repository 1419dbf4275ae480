"""The models of this folder's tests, made once, by who asks for them: scikit-learn is not everywhere."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.unit.function.imported.models import Models


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> "Models":
    """Small trained models and their files."""
    from tests.unit.function.imported.models import make

    return make(tmp_path_factory.mktemp("models"))
