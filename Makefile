# make thesis    data, notebooks, book          make test   all tests
# make lab       the notebooks in JupyterLab    make lint   style of code and notebooks
# make pdf       the book that `make thesis` built as one file to print, by Chromium
# make bench     the speed, next to the usual way of writing it (minutes; ONLY=quarter for a part)
# make lock      requirements.txt again, from pyproject.toml
# make links     asks every address that README, pages and bibliography name; by hand
# make clean     forget what was executed and built
#
# Settings of `make thesis`:
#   PROFILE=quick|paper|...     lengths and widths of the models (profiles/*.toml); default: the
#                               runs of data/published, and quick where those cannot fit: with
#                               COCO_ZIP, ENCODER or FRESH
#   RUNS=published              train nothing: with COCO_ZIP, the published runs of COCO
#   COCO_ZIP=FILE               COCO's annotations archive, instead of the sample data
#   ENCODER=FILE                a pretrained fastText .bin, instead of one trained on the captions
#   FRESH=1                     train again, although finished runs are there
#   JOBS=2                      notebooks executed side by side (one a core, at most 3)
#
# PYTHON=python3.12 builds .venv with that Python; default: the newest of 3.11 to 3.13.

RUNS ?=
PROFILE ?= $(if $(filter published,$(RUNS)),published,$(if \
	$(COCO_ZIP)$(ENCODER)$(filter-out 0,$(FRESH)),quick,published))
# A launcher may be there without its Python, so each is tried.
FITS := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c '$(FITS)' 2>/dev/null && command -v $$p && break; done)
UV := $(shell command -v uv)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready

# Large tensors are reused instead of returned to the system and fetched again page by page: up to
# twice as fast on a CPU (glibc reads these before Python starts).
export MALLOC_MMAP_THRESHOLD_ := 4294967296
export MALLOC_TRIM_THRESHOLD_ := 8589934592
export MALLOC_TOP_PAD_ := 268435456
# Kernels are those of .venv, activated or not.
export JUPYTER_PREFER_ENV_PATH := 1

.PHONY: thesis pdf test lab bench lint links lock clean

thesis: $(READY)
	@$(BIN)/python -m lib thesis --profile $(PROFILE) $(if $(COCO_ZIP),--coco-zip "$(COCO_ZIP)") \
		$(if $(ENCODER),--encoder "$(ENCODER)") $(if $(filter-out 0,$(FRESH)),--fresh) \
		$(if $(filter published,$(RUNS)),--published) \
		$(if $(JOBS),--jobs $(JOBS))

pdf: $(READY)
	@$(BIN)/python -m lib pdf

# Every notebook once with tiny settings, the book with warnings as errors; then the unit tests, and
# the executed notebooks once more under nbval.
test: export THESIS_HOME = $(CURDIR)/.smoke
test: $(READY) lint
	rm -rf .smoke
	$(BIN)/python -m lib thesis --profile smoke
	$(BIN)/python -m pytest -rs -n 2 --dist loadscope --durations=20 --nbval-lax \
		--nbval-current-env tests .smoke/book/notebooks

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# Addresses that lead nowhere, of which publishers' may only refuse a robot (403).
links: $(READY)
	@$(BIN)/python -m sphinx -Q -b linkcheck -c book/links . book/_build/links; \
		status=$$?; cat book/_build/links/output.txt; exit $$status

bench: $(READY)
	@$(BIN)/python -m bench $(if $(ONLY),--only "$(ONLY)")

lab: $(READY)
	$(BIN)/jupyter lab notebooks

# Versions stay as they are where they still fit; UPGRADE=1 takes the newest. What torch needs for a
# GPU it pins itself: named here, it would come with a build for processors, too.
lock:
	$(if $(UPGRADE),rm -f .lock,cp requirements.txt .lock)
	uv pip compile --quiet --universal --python-version 3.11 --extra book --extra test \
		--no-annotate --custom-compile-command "make lock" --output-file .lock pyproject.toml
	grep -vE '^(nvidia|cuda|triton)' .lock >requirements.txt
	rm .lock

clean:
	rm -rf .smoke book/_build book/notebooks data/executing

# uv does not read pip's settings: it takes torch from the package index alone.
PIP := $(if $(UV),uv pip install --quiet --python $(BIN)/python,\
	$(BIN)/python -m pip install --quiet --disable-pip-version-check)

$(READY): requirements.txt pyproject.toml
	@$(if $(PYTHON),"$(PYTHON)" -c '$(FITS)' 2>/dev/null,test "$(UV)") || { echo \
		"Python 3.11, 3.12 or 3.13 is needed: make PYTHON=/path/to/python3.12 thesis"; exit 1; } >&2
	$(if $(UV),uv venv --quiet --clear --python "$(or $(PYTHON),3.13)",\
		"$(PYTHON)" -m venv --clear) $(VENV)
	$(PIP) -r requirements.txt
	$(PIP) --no-deps -e .
	@touch $@
