#!/usr/bin/env bash
# Packs one static program into an image, as an archive that `ctr images import` reads.
# usage: image.sh ARCHIVE NAME PROGRAM [ARGUMENT]     (NAME: such as docker.io/library/web:lab)
set -euo pipefail
archive=$1 name=$2 program=$3
dir=$(mktemp -d)
trap 'rm -r "$dir"' EXIT
base=$(basename "$program")
tar --create --file "$dir/layer.tar" --directory "$(dirname "$program")" --mode=0755 \
  --owner=0 --group=0 --numeric-owner "$base"
printf '{"architecture": "%s", "os": "linux", "config": {"Entrypoint": ["/%s"], "Cmd": [%s]}, "rootfs": {"type": "layers", "diff_ids": ["sha256:%s"]}}' \
  "$(dpkg --print-architecture)" "$base" "${4:+\"$4\"}" "$(sha256sum "$dir/layer.tar" | cut -d ' ' -f 1)" >"$dir/config.json"
printf '[{"Config": "config.json", "RepoTags": ["%s"], "Layers": ["layer.tar"]}]' "$name" >"$dir/manifest.json"
tar --create --file "$archive" --directory "$dir" manifest.json config.json layer.tar
