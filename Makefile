# The commands of this project; each does its own set-up. See CONTRIBUTING.md.
.PHONY: test lint
test: lint
	cargo test --workspace --locked
lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
