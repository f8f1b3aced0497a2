# Everything one does with this project. Each target does its own set-up and is quick the second time.
# Quiet when all is well; on failure the last lines of the log in .podium/log are shown.
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
BIN := .venv/bin

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: ## Set up and run the main job: push flows to Git, run them in containers, read the records in Git (DEMO=once ends by itself)
	@tools/venv.sh runtime
	@tools/machine.sh demo
	@exec $(BIN)/python -m tools.demo $(if $(filter once,$(DEMO)),--once)

.PHONY: test
test: dev ## Set up and run every test
	@tools/machine.sh test
	@tools/tests.sh all

.PHONY: check
check: dev ## The fast half: lint, types, imports, unit, property and architecture tests
	@tools/tests.sh fast

.PHONY: dev
dev: ## Make .venv with everything for working on Podium
	@tools/venv.sh dev

.PHONY: bench
bench: dev ## Measure what the design promises, and the peers that are installed (PEERS=1 installs them, PEERS=0 leaves them out, KEEP=1 keeps the figures)
	@tools/machine.sh demo
	@$(BIN)/python -m benchmarks --peers $(if $(filter 0,$(PEERS)),no,$(if $(PEERS),yes,auto)) $(if $(KEEP),--keep)

.PHONY: ui-shots
ui-shots: dev ## Take a picture of every page, light, dark and on a phone, into .podium/shots (ONLY=pattern of names)
	@tools/machine.sh test
	@$(BIN)/python -m tools.ui.shots $(if $(ONLY),--only '$(ONLY)')

.PHONY: simulate
simulate: dev ## Run many simulated worlds (SEEDS=2000, FIRST=0), or one and make it smaller if it fails (SEED=n)
	@nice $(BIN)/python -m tools.simulate $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),2000) --first $(or $(FIRST),0))

.PHONY: mutants
mutants: dev ## Break the engine in many small ways, one at a time: the tests must notice (takes a quarter of an hour)
	@nice $(BIN)/python -m tools.mutants

.PHONY: faults
faults: dev ## Kill, starve and disturb real daemons and audit what they promised (NIGHTLY=1: 200 rounds and every planted bug)
	@tools/machine.sh test
	@NIGHTLY=$(NIGHTLY) tools/faults.sh

.PHONY: kubernetes
kubernetes: dev ## Build and start a real Kubernetes (ten minutes, once), and run what needs one (KEEP=1 leaves it running)
	@tools/machine.sh demo
	@$(BIN)/podium images get busybox --write .podium/podium.toml
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'kubernetes>=34,<37' 'python-dateutil<3'
	@tools/kubernetes/cluster.sh up
	@KUBERNETES_TESTS=1 nice $(BIN)/pytest -q -m kubernetes; code=$$?; $(if $(KEEP),:,tools/kubernetes/cluster.sh stop); exit $$code

.PHONY: docs
docs: dev ## Write the generated pages of docs/ (settings, errors, command line)
	@$(BIN)/python -m tools.docs

.PHONY: lock
lock: dev ## Pin all dependencies anew, with hashes
	@tools/lock.sh

.PHONY: engine-stop
engine-stop: ## End the Docker Engine that `make` started, if it did
	@tools/engine.sh stop

.PHONY: clean
clean: engine-stop ## Remove what `make` made here (not the images, not .venv)
	@rm -rf .podium build dist daemon/*.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	@find daemon tests tools benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

.PHONY: distclean
distclean: clean ## Also remove .venv
	@rm -rf .venv
