"""A model that only pretends, for experiments: what it is comes from the environment (README.md lists the settings)."""

import os

from warmfront.function import Bytes, model_function
from warmfront.function.dummy import DummySettings, load_dummy

settings = DummySettings.from_environment(os.environ)
handle = model_function(
    settings.task,
    lambda: load_dummy(settings, os.environ.get("K_SERVICE", settings.task)),
    accept=Bytes(),
    max_body=16 * 2**20,
)
