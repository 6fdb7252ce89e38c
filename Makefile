# make thesis    data, notebooks, book          make test   all tests
# make lab       the notebooks in JupyterLab    make clean  forget what was executed and built
# make bench     how fast it is here, next to the usual way (minutes; ONLY=quarter for a part)
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

RUNS ?=
PROFILE ?= $(if $(filter published,$(RUNS)),published,$(if \
	$(COCO_ZIP)$(ENCODER)$(filter-out 0,$(FRESH)),quick,published))
PYTHON ?= $(shell command -v python3.11 || command -v python3)
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

.PHONY: thesis test lab bench lint clean

thesis: $(READY)
	@$(BIN)/python -m lib thesis --profile $(PROFILE) $(if $(COCO_ZIP),--coco-zip "$(COCO_ZIP)") \
		$(if $(ENCODER),--encoder "$(ENCODER)") $(if $(filter-out 0,$(FRESH)),--fresh) \
		$(if $(filter published,$(RUNS)),--published) \
		$(if $(JOBS),--jobs $(JOBS))

# Every notebook once with tiny settings, the book with warnings as errors; then the unit tests, and
# the executed notebooks once more under nbval.
test: export THESIS_HOME = $(CURDIR)/.smoke
test: $(READY) lint
	rm -rf .smoke
	$(BIN)/python -m lib thesis --profile smoke
	$(BIN)/python -m pytest -rs -n 2 --dist loadscope --nbval-lax --nbval-current-env \
		tests .smoke/book/notebooks

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

bench: $(READY)
	@$(BIN)/python -m bench $(if $(ONLY),--only "$(ONLY)")

lab: $(READY)
	$(BIN)/jupyter lab notebooks

clean:
	rm -rf .smoke book/_build book/notebooks data/executing

$(READY): requirements.txt pyproject.toml
	@"$(PYTHON)" -c 'import sys; v = sys.version_info[:2]; sys.exit(v != (3, 11) and \
		"Python 3.11 is needed, not %d.%d: make PYTHON=/path/to/python3.11 thesis" % v)'
	"$(PYTHON)" -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@
