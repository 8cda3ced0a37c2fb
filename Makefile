# What one does with Lectern. `make` alone lists it.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# The targets depend on each other's order, and cargo uses all cores by itself.
.NOTPARALLEL:

# Outside the working tree, so that a fresh clone and the one before it share what takes long to
# build: LanceDB, mistral.rs and Tauri.
export CARGO_TARGET_DIR ?= $(HOME)/.cache/lectern/target

PYTHON ?= python3
CARGO_DENY := 0.20.2
BIN := $(CARGO_TARGET_DIR)/debug
# Features of the programs, such as `metal` on macOS.
FEATURES ?=
# How they are compiled: `dist` makes what people install, and takes long.
PROFILE := dev
BENCH_MODELS := $(addprefix qwen2.5-coder-,1.5b-instruct-q4_k_m 0.5b-instruct-q4_k_m) smollm2-135m-instruct-q4_1

# $(call stage,NAME,COMMAND) runs a command and prints its wall time. No commas in either, and `&&`
# between two commands: macOS's make 3.81 does not know .SHELLFLAGS.
stage = @printf '\n── %s\n' '$(1)'; begin=$$(date +%s); $(2) && printf '── %s: %d s\n' '$(1)' $$(($$(date +%s) - begin))

.PHONY: help
help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## install what the build needs (Debian: by apt-get)
	$(call stage,setup,scripts/setup.sh)

.PHONY: models
models: ## fetch the default models, 1.3 GB, into the user's cache
	$(call stage,models,$(PYTHON) scripts/fetch_models.py)

.PHONY: pdfium
pdfium: ## fetch the library that reads PDF, 8 MB, into the user's cache
	$(call stage,pdfium,$(PYTHON) -B scripts/fetch_pdfium.py)

.PHONY: run
run: setup models pdfium ui build ## build all and open the window; without a display, a demonstration in the terminal
	@if [ -n "$${DISPLAY:-}$${WAYLAND_DISPLAY:-}" ] || [ "$$(uname -s)" != Linux ]; then \
	  exec '$(BIN)/lectern-desktop'; \
	else \
	  exec scripts/demo.sh; \
	fi

# Always the whole workspace: cargo then chooses the same features for the dependencies each time,
# and the heavy ones are built once. The window and the tests start these programs.
.PHONY: build
build: sources
	$(call stage,build,cargo build --workspace --bins --profile $(PROFILE) $(if $(FEATURES),--features $(FEATURES)))

.PHONY: cuda
cuda: sources ui ## build the programs for NVIDIA graphics cards; needs none
	$(call stage,cuda,scripts/cuda.sh)

.PHONY: test
test: setup-tests models-tests pdfium ui build ## run all tests: Rust, the page in Chromium, the window under Xvfb
	$(call stage,cargo test,cargo test --workspace)
	$(call stage,npm test,npm --prefix ui test)

# The crates that cargo takes from vendor/: nothing of cargo works without them.
.PHONY: sources
sources:
	@$(PYTHON) scripts/patch_sources.py

.PHONY: setup-tests models-tests
setup-tests:
	$(call stage,setup,scripts/setup.sh --tests)
models-tests:
	$(call stage,models,$(PYTHON) scripts/fetch_models.py --tests)

.PHONY: lint
lint: lint-quick ui ## check formatting, clippy, the page's types, licences
	$(call stage,clippy,cargo clippy --workspace --all-targets -- -D warnings)
	$(call stage,cargo deny,cargo deny --version 2>/dev/null | grep -qF ' $(CARGO_DENY)' || cargo install --locked cargo-deny --version $(CARGO_DENY) && cargo deny --locked check licenses)

# What takes seconds: clippy compiles every dependency a second time, and cargo-deny, which reads the
# licences' texts where licences.py believes the crates, takes four minutes to install.
.PHONY: lint-quick
lint-quick: sources ui/node_modules/.package-lock.json
	$(call stage,cargo fmt,cargo fmt --all -- --check)
	$(call stage,page,npm --prefix ui run lint && npm --prefix ui run check)
	$(call stage,licences,$(PYTHON) -B -m doctest scripts/licences.py scripts/patch_sources.py scripts/convert_e5.py scripts/bench_models.py && $(PYTHON) scripts/licences.py)

.PHONY: bench
bench: setup models pdfium ui build ## measure: the program on samples/ and the models beside their peers
	$(call stage,bench,scripts/bench.sh)
	$(call stage,models,$(PYTHON) scripts/fetch_models.py $(BENCH_MODELS))
	$(call stage,build,cargo build --workspace --examples)
	$(call stage,peers,$(PYTHON) scripts/bench_models.py)

.PHONY: dist
dist: PROFILE = dist
dist: setup ui build ## make the packages of this system: .deb and .rpm, .dmg, or .msi
	$(call stage,dist,$(PYTHON) -B scripts/dist.py --profile $(PROFILE))

.PHONY: test-dist
test-dist: ## install, use and remove the package on a clean Debian in a folder; needs root and debootstrap
	$(call stage,test-dist,scripts/test_deb.sh)

# The page. npm writes node_modules/.package-lock.json and Vite dist/index.html last, so they say
# when each was done.
UI_SOURCES := $(shell find ui -type d \( -name node_modules -o -name dist -o -name test-results -o -name tests \) -prune -o -type f -print 2>/dev/null)

.PHONY: ui
ui: ui/dist/index.html ## build the page of the window, if its sources changed

ui/node_modules/.package-lock.json: ui/package.json ui/package-lock.json
	$(call stage,npm ci,npm --prefix ui ci --no-audit --no-fund && touch $@)

ui/dist/index.html: ui/node_modules/.package-lock.json $(UI_SOURCES)
	$(call stage,ui,npm --prefix ui run build && touch $@)

.PHONY: types
types: sources ## write the TypeScript types of the page anew from crates/app
	$(call stage,types,cargo test -p lectern-app export_bindings)

.PHONY: clean
clean: sources ## remove what was built from this tree; what took long (dependencies, models) stays
	cargo clean --workspace
	rm -rf vendor ui/dist ui/node_modules ui/test-results "$${XDG_CACHE_HOME:-$$HOME/.cache}/lectern/demo"
