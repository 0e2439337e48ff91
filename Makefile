# Each command makes the environment first, if it is not there; `python -m utils` is the same without make.
PYTHON ?= python3
BIN := .venv/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
READY := .venv/ready
UV := uv==0.13.9

.PHONY: help run test lab labs bench lock lint

help:
	@echo "make run    the whole course, end to end, in both languages"
	@echo "make test   everything that proves it works"
	@echo "make lab    JupyterLab on the labs"
	@echo "make labs   build labs_pt/ and labs_en/ from notebooks/"
	@echo "make bench  the benchmark, side by side with the peers"
	@echo "make lint   ruff on everything"
	@echo "make lock   resolve requirements.txt anew from pyproject.toml"

run test lab labs bench: $(READY)
	@$(BIN)/python -m utils $@

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

$(READY): requirements.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(UV)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

lock: $(READY)
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header \
		--extra test --extra aws --upgrade -o requirements.txt pyproject.toml
