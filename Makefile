# make demo   train MiniLM to search the code that is installed here, and prove that it got better
# make test   all tests, and the checks of style, types and documentation
# Both set everything up by themselves, in .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SUITES := oracles conformance equivalence resume end_to_end docs
export HF_HUB_OFFLINE ?= 1
export TOKENIZERS_PARALLELISM ?= false
# Every process that the tests start would compile everything again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test lint docs unit clean

demo: $(READY)
	$(BIN)/nearfar demo --out runs/demo

test: lint
	$(BIN)/python docs/generate.py --check
	$(BIN)/python -m pytest -n 2 --dist loadfile

unit: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow" $(SUITES:%=--ignore=tests/%)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(READY)
	$(BIN)/python docs/generate.py

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c "import sys; sys.exit('nearfar needs Python 3.11 to 3.13') if not (3, 11) <= sys.version_info < (3, 14) else None"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt "torch==2.13.0"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	# An oracle of the tests. What it brings along is not needed, and its torchvision fits no CPU build of torch.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --no-deps lightly
	touch $(READY)

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .hypothesis
