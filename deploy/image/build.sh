#!/usr/bin/env bash
# Builds the static binaries, packs them into target/image and lists what is in them.
# usage: deploy/image/build.sh [amd64] [arm64]      (amd64 unless given)
set -euo pipefail
cd "$(dirname "$0")/../.."
MOST=$((15 * 1024 * 1024))
[ $# -gt 0 ] || set -- amd64
pairs=()
for arch in "$@"; do
  case $arch in
    amd64)
      target=x86_64-unknown-linux-musl
      lab/setup.sh musl
      ;;
    arm64)
      target=aarch64-unknown-linux-musl
      lab/setup.sh arm64
      export CC_aarch64_unknown_linux_musl=aarch64-linux-gnu-gcc
      export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER=rust-lld
      ;;
    *) echo "usage: $0 [amd64] [arm64]" >&2; exit 2 ;;
  esac
  cargo build --locked --release --package corten --target "$target"
  binary=target/$target/release/corten
  size=$(stat -c %s "$binary")
  [ "$size" -le "$MOST" ] || { echo "$binary: $size bytes, more than $MOST" >&2; exit 1; }
  pairs+=("$arch=$binary")
done
deploy/image/pack.sh target/image "${pairs[@]}"
cargo run --quiet --locked --package corten-lab --bin corten-sbom >target/image/corten.cdx.json
du -b "${pairs[@]#*=}" target/image/corten.oci.tar target/image/corten.cdx.json
