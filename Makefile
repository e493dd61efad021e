# The commands of this project. Each does its own set-up (lab/setup.sh) and works again without
# network once set up. See CONTRIBUTING.md.
CARGO ?= cargo
# The static target, if the toolchain has it; what is released is measured.
MUSL = $(shell rustup target list --installed 2>/dev/null | grep -x x86_64-unknown-linux-musl | sed 's/^/--target /')
DENY := .cache/tools/bin/cargo-deny

# What runs in the pods of the full cluster: the static binary, without the long link.
STATIC := x86_64-unknown-linux-musl

.PHONY: demo test e2e cluster static bench simulate soak fuzz image lint deny clean help

help: ## list the targets
	@grep -hE '^[a-z0-9]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

test: lint ## every check and every test but those of the full cluster
	@lab/setup.sh net routers memberlist cluster promtool
	$(CARGO) build --locked --package corten
	$(CARGO) test --workspace --locked --no-fail-fast

e2e: static ## the chart and the image on three nodes with kubelets; needs root
	$(CARGO) test --locked --package corten-lab --features e2e --test e2e

cluster: static ## a shell beside three nodes with kubelets; when it ends they do
	$(CARGO) build --quiet --locked --package corten-lab --bin corten-runc --bin corten-cluster
	@target/debug/corten-cluster

static:
	@lab/setup.sh net routers musl full
	$(CARGO) build --locked --profile lab --package corten --target $(STATIC)
	deploy/image/pack.sh target/e2e amd64=target/$(STATIC)/lab/corten

demo: ## three nodes, two LANs, a dozen Services: watch them work
	@lab/setup.sh net
	@echo "building (some minutes the first time)"
	@$(CARGO) build --quiet --locked --workspace --bins
	@target/debug/corten-demo

bench: ## memory, start, latency; thousands of Services; routers; allocation and election
	@lab/setup.sh net routers musl cluster
	$(CARGO) build --locked --profile lab --package corten-lab --bins
	$(CARGO) build --locked --release --package corten $(MUSL)
	CORTEN_BIN=target/$(if $(MUSL),$(word 2,$(MUSL))/)release/corten target/lab/corten-bench
	CORTEN_BIN=target/$(if $(MUSL),$(word 2,$(MUSL))/)release/corten target/lab/corten-failover
	CORTEN_BIN=target/$(if $(MUSL),$(word 2,$(MUSL))/)release/corten target/lab/corten-scale
	CORTEN_BIN=target/$(if $(MUSL),$(word 2,$(MUSL))/)release/corten target/lab/corten-routing table
	CORTEN_BIN=target/$(if $(MUSL),$(word 2,$(MUSL))/)release/corten target/lab/corten-routing loss
	$(CARGO) bench --locked --package corten-lab

soak: ## ten minutes of SIGKILLs at random moments
	@lab/setup.sh net
	$(CARGO) build --locked --package corten
	CORTEN_SOAK=600 $(CARGO) test --locked --package corten-lab --test daemon -- crashing

simulate: ## 10,000 seeds of speakers in virtual time, some ten minutes
	$(CARGO) build --locked --profile lab --package corten-lab --bin corten-simulate
	target/lab/corten-simulate seeds $(or $(CORTEN_SEEDS),10000)

image: ## container images without a container engine, and what is in them: target/image
	deploy/image/build.sh $(ARCH)

fuzz: ## ten minutes of packets that are almost right, for each protocol
	CORTEN_FUZZ=600 $(CARGO) test --locked --package corten-lab --test fuzz -- --nocapture

lint: deny ## formatting, lints, licences, duplicate versions, documentation links
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --features corten-lab/e2e --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked --quiet

deny:
	@lab/setup.sh deny
	$(DENY) --locked check --hide-inclusion-graph licenses bans sources
	@if timeout 20 git ls-remote -q https://github.com/RustSec/advisory-db HEAD >/dev/null 2>&1; \
	then $(DENY) --locked check advisories; \
	else echo "advisories: NOT checked, their database can't be reached from here"; fi

clean: ## remove everything built or cached
	$(CARGO) clean
	rm -rf .cache
