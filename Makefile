# The two commands of README: `make demo` and `make test`. Each does all of its set-up; nothing is installed by hand.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL = PIP_CONSTRAINT=constraints.txt $(BIN)/pip install --quiet --disable-pip-version-check
# an environment whose making was interrupted has no pip that runs: it is made anew
ENVIRONMENT = $(1)/bin/pip --version >/dev/null 2>&1 || rm -rf $(1); $(PYTHON) -m venv $(1)
SOURCES := src tests functions selector_fn dummy_model_fn benchmarks

.PHONY: demo test test-cluster test-cluster-tensorflow test-tensorflow test-ray check bench bench-cluster models clean

$(VENV)/.demo: pyproject.toml constraints.txt
	@echo "set-up: creating $(VENV) and installing the demo's packages ..."
	@started=$$(date +%s); $(call ENVIRONMENT,$(VENV)) && $(INSTALL) -e '.[demo]' && $(BIN)/python -m compileall -q src functions selector_fn \
	  && echo "set-up: took $$(( $$(date +%s) - started )) s" && touch $@

$(VENV)/.dev: pyproject.toml constraints.txt
	@echo "set-up: creating $(VENV) and installing the development packages ..."
	@started=$$(date +%s); $(call ENVIRONMENT,$(VENV)) && $(INSTALL) -e '.[dev]' \
	  && echo "set-up: took $$(( $$(date +%s) - started )) s" && touch $@ $(VENV)/.demo

demo: $(VENV)/.demo  ## route 400 real texts under four policies on this machine
	@$(BIN)/warmfront demo $(DEMO)

test: $(VENV)/.dev  ## unit, contract and runtime tests
	$(BIN)/pytest $(PYTEST)

test-cluster: $(VENV)/.dev  ## the cluster tests, where the cluster's names resolve: make test-cluster KUBECONFIG=... [IMAGES=registry/{}:tag]
	$(if $(KUBECONFIG),KUBECONFIG=$(KUBECONFIG) )$(if $(IMAGES),WARMFRONT_TEST_IMAGES='$(IMAGES)' )$(BIN)/pytest tests/cluster -m cluster -q $(PYTEST)

test-cluster-tensorflow: $(VENV)/.dev  ## digits on a cluster with TensorFlow too, whose image has to be there (warmfront build --images digits_tfserving)
	$(if $(KUBECONFIG),KUBECONFIG=$(KUBECONFIG) )$(if $(IMAGES),WARMFRONT_TEST_IMAGES='$(IMAGES)' )WARMFRONT_TEST_TENSORFLOW=1 $(BIN)/pytest tests/cluster/test_digits.py -m cluster -q $(PYTEST)

check: $(VENV)/.dev  ## format, lint, types, import arrows, coverage of the middle
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q tests/unit/selection tests/unit/test_autoscaling*.py --cov=warmfront.selection --cov=warmfront.autoscaling \
	  --cov-branch --cov-fail-under=100 --cov-report=term:skip-covered

bench: $(VENV)/.dev  ## the selector's hop beside nginx and functions-framework -> build/bench.json
	$(BIN)/python -m benchmarks

bench-cluster: $(VENV)/.dev  ## cold starts, overhead and the demo's texts on a real cluster -> build/cluster.json
	$(BIN)/python -m benchmarks.cluster $(PARTS)

build/models-venv/.ready: functions/digits_models/requirements.txt constraints.txt
	@echo "set-up: creating build/models-venv and installing TensorFlow (2 GB) ..."
	@$(call ENVIRONMENT,build/models-venv) && PIP_CONSTRAINT=constraints.txt build/models-venv/bin/pip install --quiet \
	  --disable-pip-version-check -r functions/digits_models/requirements.txt && touch $@

models: build/models-venv/.ready  ## train the digit models anew, about three minutes -> functions/digits_models
	PYTHONDONTWRITEBYTECODE=1 build/models-venv/bin/python functions/digits_models/train.py

build/tensorflow-venv/.ready: pyproject.toml constraints.txt
	@echo "set-up: creating build/tensorflow-venv and installing TensorFlow (1.5 GB) ..."
	@$(call ENVIRONMENT,build/tensorflow-venv) && PIP_CONSTRAINT=constraints.txt build/tensorflow-venv/bin/pip install --quiet \
	  --disable-pip-version-check -e '.[dev,tensorflow,hubs]' && touch $@

test-tensorflow: build/tensorflow-venv/.ready  ## what skips without TensorFlow, tensorflow_hub or kagglehub: imports of SavedModels
	build/tensorflow-venv/bin/pytest -q tests/unit/function/imported/test_tensorflow.py tests/unit/importing \
	  tests/runtime/test_import_tensorflow.py "tests/contract/test_variants_doc.py::test_a_section_works_as_written[A TensorFlow SavedModel]"

test-ray: $(VENV)/.dev  ## what skips without Ray: langid-ray behind the selector
	$(BIN)/warmfront build langid_ray
	$(BIN)/pytest -q tests/runtime/test_ray_serve.py "tests/contract/test_variants_doc.py::test_a_section_works_as_written[A Ray Serve application]"

clean:
	rm -rf $(VENV) build dist .warmfront
