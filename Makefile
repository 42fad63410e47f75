# What a person runs and what CI runs: the same targets. All may be run twice and in any order.
#   make PYTHON=python3.12 run      builds .venv with that Python
#   make test TESTS=tests/unit      runs a part of the tests
#   make test JOBS=0                runs the tests one after another, in one process
#   make bench BENCH=name           runs one benchmark

PYTHON ?= python3
TESTS ?= tests
JOBS ?= auto
BENCH ?= all

VENV := .venv
BIN := $(VENV)/bin
# pip's warnings are hushed (-qq) and its errors are not.
PIP := $(BIN)/python -m pip --disable-pip-version-check install -qq --no-input -c constraints.txt
# The stamps carry Python's version, so another PYTHON means a new .venv.
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
BASE := $(VENV)/.installed-base-$(VERSION)
FULL := $(VENV)/.installed-full-$(VERSION)

# --resume where the run folder holds a run already.
resume = $$(test -f runs/$(1)/recipe.toml && echo --resume)

.DEFAULT_GOAL := help
# Of the lowest versions: all extras but train and scale, whose torch and Ray would bring gigabytes.
LOWEST := audit c2pa client parquet postgres report serve
empty :=
space := $(empty) $(empty)
comma := ,
LOWEST_TESTS ?= tests/contract $(addprefix tests/unit/,data detection draw evaluation evidence faces files imaging \
  media metrics models report runtime scan types)
SCALE_TESTS ?= tests/unit/distributed tests/integration/test_scan_ray.py

# How the default model's second network was pruned, and trained on before the mild augmentation.
NARROW := --set distil.teacher=runs/large.onnx --set distil.share=0.5 --set data.source_pairs=true \
  --set augment.swapped=0.1 --set augment.averaged=0.1 --set optimise.learning_rate=1e-3
NARROW_LONG := --set name=native-narrow-long --set seed=2 --set network.initial=runs/native-narrow \
  --set optimise.epochs=4 --set optimise.learning_rate=6e-4

.PHONY: help run serve test coverage test-lowest test-scale test-wheel golden check bench docs medium-model \
  default-model clean
.DELETE_ON_ERROR:

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(BASE) ## Scan samples/: a table of verdicts, and build/scan.jsonl (no torch needed)
	@mkdir -p build
	@echo "Scanning samples/ with the shipped model (samples/README.md says what is what)"
	@$(BIN)/mesoscope scan samples --table --out build/scan.jsonl || [ $$? -eq 1 ]
	@echo "The verdicts as JSON lines: build/scan.jsonl"

serve: $(FULL) ## Run the service and its page on http://127.0.0.1:8000
	@$(BIN)/mesoscope serve

test: $(FULL) ## Install everything and run the tests, one process a core
	@echo "Running the tests in $(TESTS)"
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(TESTS) -n $(JOBS) --maxprocesses 8 --dist worksteal --reruns 1

coverage: $(FULL) ## Run the tests as `make test` does, and print what part of the code they run
	@echo "Running the tests in $(TESTS), with coverage"
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(TESTS) -n $(JOBS) --maxprocesses 8 --dist worksteal --reruns 1 --cov

test-lowest: pyproject.toml ## Run the unit tests on the lowest versions that pyproject.toml accepts, in build/lowest
	@echo "Set-up: the lowest versions, in build/lowest"
	@$(PYTHON) -m venv --clear build/lowest
	@build/lowest/bin/python packaging/lowest.py $(LOWEST) > build/lowest/lowest.txt
	@build/lowest/bin/python -m pip --disable-pip-version-check install -qq --no-input -c build/lowest/lowest.txt \
	  -e '.[$(subst $(space),$(comma),$(LOWEST))]' -r packaging/lowest-tests.txt
	@echo "Running the tests in $(LOWEST_TESTS) on them"
	@OMP_NUM_THREADS=1 build/lowest/bin/python -m pytest $(LOWEST_TESTS) -n $(JOBS) --maxprocesses 8 --dist worksteal \
	  --reruns 1 -p no:cacheprovider -W default -q -r fER

test-scale: pyproject.toml constraints.txt ## Run the tests of scans on Ray and of object stores, in build/scale
	@echo "Set-up: Ray, and servers of S3 and others for the tests (a gigabyte), in build/scale"
	@$(PYTHON) -m venv --clear build/scale
	@grep -v '^python-dateutil=' constraints.txt | cat - packaging/scale-constraints.txt > build/scale/constraints.txt
	@build/scale/bin/python -m pip --disable-pip-version-check install -qq --no-input -c build/scale/constraints.txt \
	  -e '.[azure,gcs,report,scale]' -r packaging/scale-tests.txt
	@if command -v npm >/dev/null; then npm install --silent --no-fund --no-audit --prefix build/azurite azurite@3.37.0 || echo "Azurite cannot be installed: the tests of az:// are skipped"; \
	else echo "npm is missing: the tests of az:// are skipped (on Debian and Ubuntu: apt install npm)"; fi
	@echo "Running the tests in $(SCALE_TESTS), on two cores at most"
	@OMP_NUM_THREADS=1 build/scale/bin/python -m pytest $(SCALE_TESTS) -p no:cacheprovider -q

test-wheel: pyproject.toml constraints.txt ## Build the wheel, install it alone in build/wheel, and judge the samples with it
	@packaging/test_wheel.sh $(PYTHON)

golden: $(FULL) ## Write the verdicts that a test holds the shipped models to, where a change of them is meant
	@$(BIN)/python tests/golden/verdicts.py

check: $(FULL) ## Lint, format, types, and who may import whom
	@echo "ruff: lint"
	@$(BIN)/ruff check .
	@echo "ruff: format"
	@$(BIN)/ruff format --check .
	@echo "mypy: types"
	@$(BIN)/mypy
	@echo "import-linter: the rooms"
	@$(BIN)/lint-imports

bench: $(FULL) ## Measure speed, size and memory beside the peers; long; writes results/speed.csv
	@$(BIN)/python benchmarks/run.py $(BENCH)

docs: $(FULL) ## Build the documentation into build/site
	@echo "Building build/site/index.html"
	@$(BIN)/mkdocs build --strict --quiet
	@echo "Done: open build/site/index.html"

medium-model: $(FULL) ## Train the teacher and mesoscope-medium on DATA=folder; hours on two cores; goes on where it was
	@test -n "$(DATA)" || { echo "make $@: name the data set: DATA=folder" >&2; exit 2; }
	@test -f runs/teacher/model.onnx || $(BIN)/mesoscope train $(DATA) --recipe recipes/teacher.toml --out runs/teacher $(call resume,teacher) $(ARGS)
	@test -f runs/mesoscope/model.onnx || $(BIN)/mesoscope train $(DATA) --recipe recipes/mesoscope.toml --out runs/mesoscope $(call resume,mesoscope) $(ARGS)
	@test -f runs/mesoscope-framed/model.onnx || $(BIN)/mesoscope train $(DATA) --recipe recipes/mesoscope-framed.toml --out runs/mesoscope-framed $(call resume,mesoscope-framed) $(ARGS)
	@test -f runs/mesoscope-pruned/model.onnx || $(BIN)/mesoscope prune runs/mesoscope-framed $(DATA) --sparsity 0.2 --finetune 3 --out runs/mesoscope-pruned $(call resume,mesoscope-pruned) $(ARGS)
	@test -f runs/mesoscope-shared/model.onnx || $(BIN)/mesoscope train $(DATA) --recipe recipes/mesoscope-shared.toml --out runs/mesoscope-shared $(call resume,mesoscope-shared) $(ARGS)
	@test -f runs/mesoscope-shared-pruned/model.onnx || $(BIN)/mesoscope prune runs/mesoscope-shared $(DATA) --sparsity 0.1 --finetune 0 --out runs/mesoscope-shared-pruned $(call resume,mesoscope-shared-pruned) $(ARGS)

default-model: medium-model ## Train the default model's second network, too, with its teachers, and combine both; a day
	@test -f runs/native-lite/model.onnx || $(BIN)/mesoscope train $(DATA) --recipe recipes/native-lite.toml --out runs/native-lite $(call resume,native-lite) $(ARGS)
	@test -f runs/native-lite-long/model.onnx || $(BIN)/mesoscope train $(DATA) --recipe recipes/native-lite-long.toml --out runs/native-lite-long $(call resume,native-lite-long) $(ARGS)
	@test -f runs/large.onnx || $(BIN)/mesoscope models combine runs/mesoscope-shared-pruned/model.onnx runs/native-lite-long/model.onnx --calibrate $(DATA) --bits 8 --name large -o runs/large.onnx
	@test -f runs/narrow/model.onnx || $(BIN)/mesoscope prune runs/native-lite-long $(DATA) --structured --sparsity 0.6 --finetune 4 $(NARROW) --out runs/narrow $(call resume,narrow) $(ARGS)
	@test -f runs/native-narrow/model.onnx || $(BIN)/mesoscope train $(DATA) --recipe recipes/native-narrow.toml --out runs/native-narrow $(call resume,native-narrow) $(ARGS)
	@test -f runs/native-narrow-long/model.onnx || $(BIN)/mesoscope train $(DATA) --recipe recipes/native-narrow.toml $(NARROW_LONG) --out runs/native-narrow-long $(call resume,native-narrow-long) $(ARGS)
	@test -f runs/mean.onnx || $(BIN)/mesoscope models combine runs/mesoscope-shared-pruned/model.onnx runs/native-narrow-long/model.onnx --calibrate $(DATA) --bits 8 --name mean -o runs/mean.onnx
	@test -f runs/native-narrow-mild/model.onnx || $(BIN)/mesoscope train $(DATA) --recipe recipes/native-narrow-mild.toml --out runs/native-narrow-mild $(call resume,native-narrow-mild) $(ARGS)
	@$(BIN)/mesoscope models combine runs/mesoscope-shared-pruned/model.onnx runs/native-narrow-mild/model.onnx --calibrate $(DATA) --bits 8 --name mesoscope -o runs/mesoscope.onnx --force
	@$(BIN)/python benchmarks/strangers.py $(DATA) --decide runs/mesoscope.onnx --by "shipped + native" --at-home

clean: ## Remove the environment and all that was built; runs/ stays
	@echo "Removing $(VENV) and build/"
	@rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# A missing stamp means a new or an unfinished environment: start clean. One that is only older than
# pyproject.toml or constraints.txt is brought up to date where it stands.
$(BASE): pyproject.toml constraints.txt
	@[ -n "$(VERSION)" ] || { echo "make: $(PYTHON) does not run; name a Python of 3.10 or later: make PYTHON=python3.12 run" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "make: $(PYTHON) is Python $(VERSION) and mesoscope needs 3.10 or later: make PYTHON=python3.12 run" >&2; exit 2; }
	@if [ ! -e $@ ]; then \
	  echo "Set-up: a new environment in $(VENV) with Python $(VERSION)"; \
	  $(PYTHON) -m venv --clear $(VENV) || { echo "make: $(PYTHON) cannot make environments; on Debian and Ubuntu: apt install python3-venv; or name another Python: make PYTHON=python3.12 run" >&2; exit 2; }; \
	fi
	@echo "Set-up: installing mesoscope and what scanning needs (no torch)"
	@$(PIP) -e .
	@touch $@

$(FULL): $(BASE)
	@echo "Set-up: installing what training, reports and tests need (torch among it: some minutes)"
	@$(PIP) -e '.[audit,c2pa,client,parquet,postgres,report,serve,train,dev]'
	@touch $@
