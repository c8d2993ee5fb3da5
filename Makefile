# What people type. Everything here works from a fresh checkout; `make` alone explains.

TARGET  := x86_64-unknown-linux-musl
OUT     := $(or $(CARGO_TARGET_DIR),target)/$(TARGET)
BELLJAR := $(OUT)/release/belljar
CARGO   := cargo
LOCKED  := --locked --target $(TARGET)

PREFIX       ?= /usr/local
FUZZ_SECONDS ?= 600
FUZZ_TARGETS ?= profile spec options challenge codec layer archive wire session tree rpc sandbox packet hello dns rule
export SOAK_RUNS ?= $(if $(GUESTS),2000,20000)
# Percent of the kills, steps and rounds of the tests that are slow by construction. CONTRIBUTING.md says more.
export BELLJAR_TEST_SCALE ?= 10

# rustup's directory, for shells that were started before it was installed.
export PATH := $(PATH):$(HOME)/.cargo/bin
export BELLJAR_RELEASE_BIN ?= $(abspath $(BELLJAR))

ROOT := $(filter 0,$(shell id -u))
AS_USER := $(if $(ROOT),CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_RUNNER=$(CURDIR)/tests/run-as-user)

# A benchmark that misses a target must fail although its output goes through `tee`.
SHELL := bash
.SHELLFLAGS := -o pipefail -ec

.DEFAULT_GOAL := help
.PHONY: help build wheel npm demo rootfs quick test test-all test-vm test-vm-all check lint bench soak overshoot trace order fuzz docs install doctor fmt clean
.PHONY: stage-vm setup-build setup-quick setup-demo setup-rootfs setup-test setup-vm setup-vm-all

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# What is shipped is compiled by rustc itself, whoever lints.
build: setup-build ## the static release binary
	@env -u RUSTC_WORKSPACE_WRAPPER $(CARGO) build --release $(LOCKED)

wheel: build ## a wheel of the Python package that carries the binary, in dist/
	@sdk/python/wheel $(BELLJAR) dist

npm: build ## a package of the TypeScript client that carries the binary, in dist/
	@sdk/typescript/package $(BELLJAR) dist

demo: setup-demo build ## three real programs in sandboxes, then one that tries to break out
	@BELLJAR=$(BELLJAR) tests/demo

rootfs: setup-rootfs build ## the images `python`, `node`, `shell` and `git`, from the recipes below rootfs/: minutes, and a mirror of Debian
	@for name in python node shell git; do $(BELLJAR) image build rootfs/$$name || exit; done

# Tests come last in `check`, so that their summary is what a reader of the log sees first.
test: setup-test build ## every test; as root: as an ordinary user first, then what may differ as root; what is slow scaled down
	@tests/suite

test-all: export BELLJAR_TEST_SCALE = 100
test-all: setup-test setup-vm-all build ## every test at full length, as root too, and all guests
	@tests/suite whole
	@$(MAKE) --no-print-directory test-vm-all

# Lints come with the compilation of the tests (.cargo/clippy), so that nothing is compiled for them alone.
quick lint check: export RUSTC_WORKSPACE_WRAPPER = $(CURDIR)/.cargo/clippy
quick: setup-quick ## format, clippy, unit tests and a smoke run: what to run after each change
	$(CARGO) fmt --check
	$(CARGO) test --quiet $(LOCKED) --lib
	$(CARGO) test --quiet $(LOCKED) --test rules
	$(CARGO) test --quiet $(LOCKED) --test run smoke::

check: lint test ## format, clippy, documentation, tests; CI runs this and test-vm

lint: setup-test
	$(CARGO) fmt --check
	$(CARGO) test $(LOCKED) --no-run --lib --bins --benches --test '*'
	RUSTDOC=$(CURDIR)/.cargo/rustdoc $(CARGO) test --quiet $(LOCKED) --doc

# Guests run the same programs: Cargo's runner puts them where guests find them, in place of running them.
STAGE := CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_RUNNER=$(CURDIR)/tests/vm/stage

test-vm: GUESTS ?= fast
test-vm: setup-vm ## the sandbox tests on other hosts, in guests: cgroup v2, systemd, user namespaces switched off
test-vm-all: GUESTS ?= all
test-vm-all: setup-vm-all ## the same, and on older kernels and in a virtual machine
test-vm test-vm-all: stage-vm
	@tests/vm/run $(GUESTS)

stage-vm: build
	$(CARGO) test $(LOCKED) --no-run --tests
	@tests/vm/stage clean
	@$(STAGE) $(CARGO) test --quiet $(LOCKED) --test '*'

bench: setup-test build ## start-up, rate, memory and imports, next to bubblewrap, umoci and tar in the same run
	@mkdir -p bench/out
	@$(if $(ROOT),tests/run-as-user )bench/run | tee bench/out/latest.md
	@$(if $(ROOT),tests/run-as-user )bench/lasting | tee -a bench/out/latest.md
	@$(if $(ROOT),tests/run-as-user )bench/warm | tee -a bench/out/latest.md
	@$(if $(ROOT),tests/run-as-user )bench/copies | tee -a bench/out/latest.md
	@$(if $(ROOT),tests/run-as-user )bench/completions | tee -a bench/out/latest.md
	@$(if $(ROOT),tests/run-as-user )bench/serve | tee -a bench/out/latest.md
	@$(if $(ROOT),tests/run-as-user )bench/ready | tee -a bench/out/latest.md
	@$(CARGO) bench --quiet $(LOCKED) --bench filter | tee -a bench/out/latest.md
	@$(CARGO) bench --quiet $(LOCKED) --bench network | tee -a bench/out/latest.md

soak: ## SOAK_RUNS (20000) runs of one parent, after which nothing has grown; GUESTS=micro: there
overshoot: ## how far a sandbox gets beyond each limit on this machine, as a table; GUESTS=micro: there
ifdef GUESTS
soak overshoot: setup-vm$(if $(filter qemu,$(GUESTS)),-all) stage-vm
	@$(STAGE) $(CARGO) bench --quiet $(LOCKED) --bench $@
	@ONLY=$@ tests/vm/run $(GUESTS)
else
soak overshoot: setup-test build
	@$(AS_USER) $(CARGO) bench --quiet $(LOCKED) --bench $@
endif

trace: setup-test build ## the system calls of one start, counted and in order
	@$(if $(ROOT),tests/run-as-user )bench/trace

# Cargo does not know that the linker reads it.
order: setup-test ## which functions of the program stand side by side, from what a start enters now; as root
	@$(if $(ROOT),:,echo "order: needs root, to look into sandboxes that are being made" >&2; exit 1)
	$(CARGO) rustc --release $(LOCKED) --bin belljar -- -C strip=none
	bench/order $(BELLJAR) nobody > $(BELLJAR).order
	mv $(BELLJAR).order .cargo/start.order
	touch src/main.rs

fuzz: setup-test ## fuzz each parser for FUZZ_SECONDS (600); needs nightly Rust and cargo-fuzz
	@FUZZ_SECONDS=$(FUZZ_SECONDS) fuzz/run $(FUZZ_TARGETS)

# The schemas first: the binary carries them.
docs: setup-build ## regenerate the JSON Schemas, man pages and completions from the code
	UPDATE_SCHEMA=1 $(CARGO) test $(LOCKED) --lib schema
	$(CARGO) build --release $(LOCKED)
	mkdir -p docs/man docs/completions
	$(BELLJAR) man docs/man
	for shell in bash zsh fish; do $(BELLJAR) completions $$shell > docs/completions/belljar.$$shell; done

# Does not build, so that `sudo make install` compiles nothing as root.
install: ## install binary, man pages and completions below DESTDIR and PREFIX (/usr/local)
	@test -x $(BELLJAR) || { echo "install: $(BELLJAR) is missing; run \`make build\` first" >&2; exit 1; }
	install -Dm755 $(BELLJAR) $(DESTDIR)$(PREFIX)/bin/belljar
	install -d $(addprefix $(DESTDIR)$(PREFIX)/share/,man/man1 bash-completion/completions zsh/site-functions fish/vendor_completions.d)
	$(BELLJAR) man $(DESTDIR)$(PREFIX)/share/man/man1
	$(BELLJAR) completions bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/belljar
	$(BELLJAR) completions zsh > $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_belljar
	$(BELLJAR) completions fish > $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/belljar.fish

doctor: build ## what this machine can enforce
	@$(BELLJAR) doctor

fmt: ## format the code
	$(CARGO) fmt

clean: ## remove what was built
	$(CARGO) clean
	rm -rf fuzz/target fuzz/corpus fuzz/artifacts bench/out

setup-build setup-quick setup-demo setup-rootfs setup-test setup-vm setup-vm-all: setup-%:
	@tests/setup $*
