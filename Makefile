PYTHON :=
ARGS :=
CASES :=
SECONDS := 60
SEED :=

BIN := .venv/bin
BUF := $(BIN)/buf
COMPILE := $(BIN)/uv pip compile --quiet --no-config --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"
GENERATE := $(BIN)/python -m grpc_tools.protoc -Iproto \
	--plugin=protoc-gen-mypy=$(BIN)/protoc-gen-mypy \
	--plugin=protoc-gen-mypy_grpc=$(BIN)/protoc-gen-mypy_grpc

# The clients whose toolchains are here; `make test CLIENTS=all` fails where one is not.
CLIENTS :=
IN_CLIENTS = for client in clients/*/; do \
	if missing=$$($(MAKE) --silent --no-print-directory -C "$$client" check 2>&1); then \
	$(MAKE) --no-print-directory -C "$$client" SIDECAR_PYTHON="$(CURDIR)/$(BIN)/python" $(1) || exit 1; \
	else echo "left out: $$client: $$missing" >&2; [ "$(CLIENTS)" != all ] || exit 1; fi; done

# $(call stubs,DIRECTORY) writes the Python stubs below DIRECTORY.
stubs = $(GENERATE) --python_out=$(1) --mypy_out=quiet:$(1) proto/sidecar/v1/*.proto && \
	$(GENERATE) --grpc_python_out=$(1) --mypy_grpc_out=quiet:$(1) proto/sidecar/v1/*_service.proto

.DELETE_ON_ERROR:
.PHONY: help setup run test lint format proto docs lock release-contract bench bench-check fleet conformance fuzz fuzz-paths demo rootfs clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-18s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.installed ## Make .venv with everything that is needed here

# Always from an empty .venv, so that an interrupted run leaves nothing behind.
.venv/.locked: requirements/dev.txt
	@for python in $(or $(PYTHON),python3.11 python3); do \
		"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
		"$$python" -c 'import ensurepip, venv' 2>/dev/null || continue; \
		exec "$$python" -m venv --clear .venv; \
	done; \
	echo "Python 3.11 or newer with its venv module is needed: install it, or name it: make setup PYTHON=/path/to/python3" >&2; exit 1
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

# The old entry goes first: pip can't replace one that an interrupted run left incomplete.
.venv/.installed: .venv/.locked pyproject.toml
	@rm -rf .venv/lib/python3*/site-packages/jwt_sidecar-*.dist-info
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@broken=$$($(BIN)/python -m pip check --disable-pip-version-check) || { echo "$$broken" >&2; exit 1; }
	@touch $@

run: setup ## Start the sidecar with the quick start's configuration
	@echo 'Try, in another terminal:'
	@echo '  .venv/bin/jwt-sidecar issue --subject alice | .venv/bin/jwt-sidecar validate'
	@echo '  .venv/bin/jwt-sidecar issue --subject alice | .venv/bin/jwt-sidecar decode -'
	@echo '  curl http://127.0.0.1:9192/.well-known/jwks.json'
	@exec $(BIN)/jwt-sidecar serve --config deploy/quickstart/jwt-sidecar.yaml

test: setup ## Run the tests; ARGS="-k name" for some of them
	$(BIN)/python -m pytest $(or $(ARGS),-n 2 --dist loadfile)
	@$(if $(ARGS),,$(call IN_CLIENTS,setup test))

lint: setup ## Check style, types, the contract and that stubs and pages are fresh
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/hadolint deploy/Dockerfile
	$(BUF) lint
	$(BUF) breaking --against proto/released.binpb
	@fresh=$$(mktemp -d) && trap 'rm -rf "$$fresh"' EXIT && $(call stubs,"$$fresh") && \
	diff -rq -x __init__.py -x __pycache__ "$$fresh/sidecar/v1" sidecar/v1 || \
	{ echo 'sidecar/v1 is not what proto/ gives: run make proto' >&2; exit 1; }
	$(BIN)/python -m docs --check
	@$(call IN_CLIENTS,setup lint)

format: setup ## Format the code and sort its imports
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

proto: setup ## Write the stubs of every language from proto/
	rm -f sidecar/v1/*_pb2*
	$(call stubs,.)
	@$(call IN_CLIENTS,setup proto)

docs: setup ## Write the pages of docs/ that are made from code and data
	$(BIN)/python -m docs

lock: setup ## Write requirements/ from pyproject.toml; ARGS=--upgrade takes newer versions
	$(COMPILE) $(ARGS) --extra native --extra re2 -o requirements/runtime.txt pyproject.toml
	$(COMPILE) $(ARGS) --all-extras -c requirements/runtime.txt -o requirements/full.txt pyproject.toml
	$(COMPILE) $(ARGS) --group build -o requirements/build.txt
	$(COMPILE) $(ARGS) --all-extras --group dev -c requirements/full.txt -c requirements/build.txt -o requirements/dev.txt pyproject.toml

release-contract: setup ## At a release only: make proto/ what later changes must not break
	$(BUF) build --exclude-source-info -o proto/released.binpb

bench: setup ## Measure what everything costs, in about six minutes; keeps bench/results/
	$(BIN)/python -m bench $(ARGS)

bench-check: setup ## Measure again, and fail where a ratio is worse than in bench/results/
	$(BIN)/python -m bench.check $(ARGS)

fleet: setup ## Simulate what ten thousand sidecars ask of a provider of keys
	$(BIN)/python -m bench.fleet

conformance: setup ## Judge the cases in the file CASES and write docs/conformance.md
	$(BIN)/python -m tests.conformance "$(CASES)"

fuzz: setup ## Look for input that breaks a parser, for SECONDS
	$(BIN)/python -m tests.fuzz --seconds $(SECONDS)

fuzz-paths: setup ## Look for paths that get around a rule, for SECONDS; SEED repeats a run
	$(BIN)/python -m tests.paths --seconds $(SECONDS) $(addprefix --seed ,$(SEED)) $(ARGS)

demo: setup ## Show the sidecar behind Envoy
	$(BIN)/python deploy/demo/demo.py

rootfs: setup ## Build the image's file system by deploy/Dockerfile and serve in it, as root
	$(BIN)/python deploy/rootfs.py $(ARGS)

clean: ## Remove .venv, caches and build output
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
