# Each target does all of its own set-up, in its own environment .venv/<target>, with nothing but python3, pip
# and make on the machine, and says at its end where its results lie.
#
#   make test                        PYTHON=python3.12 make test
#   make test ARGS="-k tanh"         make demo ARGS="--seed 7"
#   make example NAME=moons          make example NAME=moons ARGS=--quick

PYTHON ?= python3
ARGS ?=
NAME ?=
SUITE ?=
WORKERS ?= auto

bin = .venv/$@/bin

.DEFAULT_GOAL := help
.PHONY: help demo example examples figures test nightly test-array-api test-peers test-page page bench docs lint types wheel clean

help:
	@echo "make demo    train three networks and look at them: one page of results"
	@echo "make example NAME=moons   one of the examples; without NAME, which there are"
	@echo "make examples   all of them; draws the documentation's pictures again"
	@echo "make figures   the documentation's figures, drawn again from the computations that they show"
	@echo "make test    the tests, docstring examples included"
	@echo "make nightly 100,000 random programs of a new seed, and what else takes an hour"
	@echo "make test-array-api   the Array API standard: every function, all dtypes; SUITE=<checkout> its official suite"
	@echo "make test-peers   layers and losses beside PyTorch's numbers"
	@echo "make page    build the explorer's page from its TypeScript (needs Node)"
	@echo "make test-page   the page in a browser: steps, paths, keyboard, access, hostile names"
	@echo "make bench   time and memory beside the peers"
	@echo "make docs    the documentation, its chapters executed"
	@echo "make lint    ruff"
	@echo "make types   mypy --strict"
	@echo "make wheel   build the wheel and try it with the core dependencies alone"
	@echo "make clean   remove results and caches"

# What an environment was made from: this Python, this folder, and what pyproject.toml says about building and
# installing. The line is kept in .venv/<name>/made-from, written last, so that a half-made environment never has it.
made_from = import hashlib, os, sys, tomllib; \
	t = tomllib.load(open("pyproject.toml", "rb")); \
	parts = t["build-system"], t["project"], t["tool"]["hatch"], sys.version, sys.base_prefix, os.getcwd(), sys.argv[1:]; \
	print(hashlib.sha256(repr(parts).encode()).hexdigest())

# $(call environment,<name>,<what pip installs>): make .venv/<name>, unless it is there and still right
define environment
	@name='$(1)'; \
	version=$$($(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || { \
		echo "make $@: cannot run '$(PYTHON)'; name a Python, such as: PYTHON=python3.12 make $@" >&2; exit 1; }; \
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "make $@: chainrule needs Python 3.11 or newer, '$(PYTHON)' is $$version; name another, such as: PYTHON=python3.12 make $@" >&2; exit 1; }; \
	$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "make $@: '$(PYTHON)' comes without ensurepip; install the system package python3-venv (Debian, Ubuntu: apt install python$$version-venv) and run make $@ again" >&2; exit 1; }; \
	wanted=$$($(PYTHON) -c '$(made_from)' $(2)) || exit 1; \
	if [ ! -x .venv/$$name/bin/python ] || [ "$$(cat .venv/$$name/made-from 2>/dev/null)" != "$$wanted" ]; then \
		echo "make $@: making .venv/$$name (the first time, and when what pyproject.toml installs has changed)"; \
		rm -rf .venv/$$name && $(PYTHON) -m venv .venv/$$name && \
		.venv/$$name/bin/python -m pip install -qq --disable-pip-version-check $(2) && \
		echo "$$wanted" > .venv/$$name/made-from || { \
			echo "make $@: could not make .venv/$$name; the next run starts it afresh" >&2; exit 1; }; \
	fi
endef

demo:
	$(call environment,demo,--editable '.[demo]')
	@$(bin)/chainrule demo --output build/demo $(ARGS)
	@echo "make demo: open $(CURDIR)/build/demo/index.html"

example:
	$(call environment,examples,--editable '.[examples]')
	@.venv/examples/bin/python -m examples $(NAME) --output build/examples $(ARGS)

examples:
	$(call environment,examples,--editable '.[examples]')
	@.venv/examples/bin/python -m examples all --output docs/_static/examples $(ARGS)

# The same bytes each time, whatever the machine's number of threads.
figures:
	$(call environment,figures,--editable '.[demo]')
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(bin)/python -m docs.figures

# One thread of BLAS for each worker: the workers already take every core.
test:
	$(call environment,test,--editable '.[test]')
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 \
		$(bin)/pytest -n $(WORKERS) --junitxml=build/test/report.xml $(ARGS); status=$$?; \
	echo "make test: the report is $(CURDIR)/build/test/report.xml"; exit $$status

# A new seed each day; the header of the report and each failure name it.
nightly:
	$(call environment,test,--editable '.[test]')
	@seed=$${CHAINRULE_SEED:-$$(date +%Y%m%d)000}; \
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 CHAINRULE_SEED=$$seed CHAINRULE_NIGHTLY=$${CHAINRULE_NIGHTLY:-100000} \
		.venv/test/bin/pytest -n $(WORKERS) --junitxml=build/nightly/report.xml \
		tests/test_random_programs.py tests/native/test_compile_programs.py \
		tests/native/test_compile_hard_points.py tests/native/test_loops.py tests/sweeps/test_threads.py \
		$(ARGS); status=$$?; \
	echo "make nightly: the first seed was $$seed; the report is $(CURDIR)/build/nightly/report.xml"; exit $$status

# The official suite is not among pip's packages: SUITE names a checkout of github.com/data-apis/array-api-tests, with
# its submodule. More random examples than its 20 a test: ARGS="--max-examples 500".
test-array-api:
	$(call environment,test,--editable '.[test]')
	@mkdir -p build/test-array-api; report=$(CURDIR)/build/test-array-api/report.xml; \
	if [ -n "$(SUITE)" ]; then \
		.venv/test/bin/python -m pip install -qq --disable-pip-version-check -r "$(SUITE)/requirements.txt" && \
		cd "$(SUITE)" && ARRAY_API_TESTS_MODULE=chainrule.numpy ARRAY_API_TESTS_VERSION=2024.12 \
			"$(CURDIR)/.venv/test/bin/pytest" --junitxml="$$report" --disable-deadline \
			--xfails-file="$(CURDIR)/tests/numpy/array-api-xfails.txt" array_api_tests $(ARGS); \
	else \
		ARRAY_API_DTYPES=all .venv/test/bin/pytest -n $(WORKERS) --junitxml="$$report" \
			tests/numpy/test_array_api.py $(ARGS); \
	fi; status=$$?; echo "make test-array-api: the report is $$report"; exit $$status

# In the environment of the benchmarks, which has the peers.
test-peers:
	$(call environment,bench,--editable '.[bench]')
	@OMP_NUM_THREADS=1 .venv/bench/bin/python -m pytest --junitxml=build/test-peers/report.xml benchmarks/peers $(ARGS); \
	status=$$?; echo "make test-peers: the report is $(CURDIR)/build/test-peers/report.xml"; exit $$status

# The built page is committed, so that only who changes it needs Node; one that is older than its sources is refused.
page_folder = src/chainrule/show/page

define node_packages
	@command -v npm >/dev/null || { \
		echo "make $@: needs Node 20 or newer with npm; install it (Debian, Ubuntu: apt install nodejs npm) and run make $@ again" >&2; exit 1; }
	@cd $(page_folder) && if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then \
		echo "make $@: installing the packages of package-lock.json"; npm ci --silent; fi
endef

page:
	$(call node_packages)
	@cd $(page_folder) && npm run --silent types && npm run --silent build
	@echo "make page: built $(CURDIR)/$(page_folder)/explorer.js and explorer.css"

test-page:
	$(call node_packages)
	$(call environment,test,--editable '.[test]')
	@[ -x "$${CHROMIUM:-/usr/bin/chromium}" ] || { echo "make $@: installing Debian's chromium"; \
		apt-get update -qq && apt-get install -qq -y chromium >/dev/null; } || { \
		echo "make $@: needs Chromium; install it (Debian, Ubuntu: apt install chromium), or say where it is: CHROMIUM=/path make $@" >&2; exit 1; }
	@rm -rf build/test-page build/fresh-page && mkdir -p build/test-page build/fresh-page
	@cd $(page_folder) && npm run --silent types && npm run --silent build -- "$(CURDIR)/build/fresh-page"
	@for file in explorer.js explorer.css explorer.licences.txt; do cmp -s build/fresh-page/$$file $(page_folder)/$$file || { \
		echo "make $@: $(page_folder)/$$file is older than its sources; run make page and commit what it builds" >&2; exit 1; }; done
	@.venv/test/bin/python tests/page/pages.py build/test-page
	@node --test --test-reporter=spec $(ARGS) tests/page/*.test.mjs
	@echo "make $@: the pages that were opened are in $(CURDIR)/build/test-page"

# Both variables, where set, halve OpenBLAS. The status passes around the pipe in a file, as sh has no pipefail.
bench:
	$(call environment,bench,--editable '.[bench]')
	@mkdir -p build/bench; \
	{ env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE PYTHONUNBUFFERED=1 $(bin)/python -m benchmarks $(ARGS); \
		echo $$? > build/bench/status; } | tee build/bench/results.txt; \
	echo "make bench: the table is $(CURDIR)/build/bench/results.txt"; exit $$(cat build/bench/status)

# From nothing every time: a chapter's output depends on the library, of which Sphinx knows nothing.
docs:
	$(call environment,docs,--editable '.[docs]')
	@rm -rf build/docs docs/generated docs/functions.md
	@$(bin)/sphinx-build -W --keep-going -j auto -d build/docs/doctrees -b html $(ARGS) docs build/docs/html
	@echo "make docs: open $(CURDIR)/build/docs/html/index.html"

lint:
	$(call environment,lint,--editable '.[dev]')
	@$(bin)/ruff check $(ARGS)
	@echo "make lint: nothing to mend"

types:
	$(call environment,types,--editable '.[dev]')
	@$(bin)/mypy $(ARGS)
	@echo "make types: nothing to mend"

# The smoke test runs outside the checkout, so that what it imports can only be the wheel.
define smoke
import importlib.metadata
import importlib.util
import pathlib

import chainrule as cr

folder = pathlib.Path(cr.__file__).parent
assert "site-packages" in folder.parts, folder
assert (folder / "py.typed").exists(), "the wheel lacks py.typed"
assert cr.__version__ == importlib.metadata.version("chainrule"), cr.__version__
for extra in "scipy", "sklearn", "matplotlib", "llvmlite", "tqdm", "wasmtime":
    assert importlib.util.find_spec(extra) is None, f"{extra} is no core dependency"

assert cr.grad(lambda x: x * x)(3.0) == 6.0
x = cr.Value(3.0)
(x * x).backward()
assert x.grad == 6.0
endef
export smoke

wheel:
	$(call environment,wheel,build)
	@rm -rf dist .venv/wheel-smoke build/wheel-smoke
	@$(bin)/python -m build --outdir dist
	@$(PYTHON) -m venv .venv/wheel-smoke && mkdir -p build/wheel-smoke
	@.venv/wheel-smoke/bin/python -m pip install -qq --disable-pip-version-check dist/*.whl
	@cd build/wheel-smoke && "$(CURDIR)/.venv/wheel-smoke/bin/python" -W error -c "$$smoke"
	@cd build/wheel-smoke && "$(CURDIR)/.venv/wheel-smoke/bin/chainrule" --help > help.txt && [ -s help.txt ]
	@echo "make wheel: built, installed and used with the core dependencies alone; it is in $(CURDIR)/dist"

clean:
	@rm -rf build dist docs/generated docs/functions.md .hypothesis .mypy_cache .pytest_cache .ruff_cache .venv/wheel-smoke
	@find src tests benchmarks docs examples -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
	@echo "make clean: results and caches are gone; the environments stay in .venv"
