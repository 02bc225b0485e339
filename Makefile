# What one can do here. Every goal sets up what it needs by itself; `make help` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash

# One profile for everything: the solver is built once, and what is tested is what is shipped.
CARGO := cargo
PROFILE := --release
PREFIX ?= /usr/local

.PHONY: help setup build demo test transcripts bless chaos bench fuzz downtime model mutants lint generated install clean

help: ## show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: ## install the system packages that are missing (Debian, Ubuntu)
	@scripts/setup.sh

build: setup ## build the program: target/release/decant
	$(CARGO) build $(PROFILE) --workspace

demo: build ## see it work on this machine: plan, move real virtual machines, check their disks
	target/release/decant demo

test: setup ## run every test
	@scripts/test.sh

bless: setup ## rewrite the command-line transcripts with what the commands print now
	TRYCMD=overwrite $(CARGO) test $(PROFILE) --test cli

chaos: setup ## kill the executor at random moments, many times, and check every disk
	@scripts/chaos.sh

bench: setup ## measure the planner
	@scripts/bench.sh

fuzz: setup ## plan and report a thousand random fleets of the shape that real ones have
	DECANT_FUZZ=1000 DECANT_FUZZ_SEED=$${SEED:-$$(date +%s)} $(CARGO) test $(PROFILE) --workspace --test stranger fuzz \
		-- --include-ignored --nocapture --test-threads=1

downtime: setup ## measure for how long a guest stands still, by the size of its base
	@scripts/downtime.sh

model: setup ## explore the protocol further than every test run does (docs/model.md)
	DECANT_MODEL=1 $(CARGO) test $(PROFILE) -p decant-executor --test model -- --test-threads=1

mutants: setup ## change the protocol's code in one place at a time and see whether a test notices (hours; docs/mutants.md)
	nice scripts/mutants.py

lint: setup ## format, warnings, the planner on its own
	$(CARGO) fmt --all --check
	$(CARGO) check $(PROFILE) -p decant-planner
	$(CARGO) clippy $(PROFILE) --workspace --all-targets -- -D warnings

generated: setup ## write again everything that is generated
	@scripts/generate.sh

install: build ## install the program, its manual pages and its completion below PREFIX (/usr/local)
	install -D -m 755 target/release/decant $(DESTDIR)$(PREFIX)/bin/decant
	target/release/decant man $(DESTDIR)$(PREFIX)/share/man/man1
	install -d $(DESTDIR)$(PREFIX)/share/bash-completion/completions
	target/release/decant completion bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/decant

clean: ## remove what was built
	$(CARGO) clean
