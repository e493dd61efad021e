# The commands of this project. Each does its own set-up (lab/setup.sh) and works again without
# network once set up. See CONTRIBUTING.md.
CARGO ?= cargo
DENY := .cache/tools/bin/cargo-deny

.PHONY: demo test bench soak lint deny clean help

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

test: lint ## every check and every test
	@lab/setup.sh net
	$(CARGO) test --workspace --locked

lint: deny ## formatting, lints, licences, duplicate versions, documentation links
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
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
