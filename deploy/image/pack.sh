#!/usr/bin/env bash
# Packs static binaries into images (an OCI layout and a tar of it) with tar, gzip and sha256sum: no
# container engine. The same binaries give the same bytes.
#
# usage: deploy/image/pack.sh OUT ARCH=BINARY…      (ARCH: amd64, arm64)
#
# OUT/oci is the layout, OUT/corten.oci.tar its archive, OUT/root what the Containerfile copies.
# It has three references that differ in the entry point only: corten, controller, speaker.
set -euo pipefail

out=$1
shift
[ $# -gt 0 ] || { echo "usage: $0 OUT ARCH=BINARY…" >&2; exit 2; }
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$(dirname "$0")/../../Cargo.toml" | head -n 1)
rm -rf "$out/oci" "$out/root" "$out/corten.oci.tar"
blobs=$out/oci/blobs/sha256
mkdir -p "$blobs"

# Gives a blob's digest and size as JSON; the blob is what comes in, or the file named.
blob() {
  local new=$blobs/new digest
  cat "$@" >"$new"
  digest=$(sha256sum "$new" | cut -d ' ' -f 1)
  mv "$new" "$blobs/$digest"
  printf '"digest": "sha256:%s", "size": %s' "$digest" "$(stat -c %s "$blobs/$digest")"
}

declare -A manifests=([corten]= [controller]= [speaker]=)
for pair in "$@"; do
  arch=${pair%%=*} binary=${pair#*=}
  case $arch in
    amd64 | arm64) ;;
    *) echo "$pair: the architecture is amd64 or arm64" >&2; exit 2 ;;
  esac
  root=$out/root/$arch
  mkdir -p "$root"
  install -m 0755 "$binary" "$root/corten"
  ln -s corten "$root/controller"
  ln -s corten "$root/speaker"
  tar --create --file "$out/layer" --directory "$root" --format=ustar --sort=name --mtime=@0 \
    --owner=0 --group=0 --numeric-owner controller corten speaker
  plain=$(sha256sum "$out/layer" | cut -d ' ' -f 1)
  gzip --no-name --best "$out/layer"
  layer=$(blob "$out/layer.gz")
  rm "$out/layer.gz"
  for name in corten controller speaker; do
    config=$(printf '{"architecture": "%s", "os": "linux", "config": {"Entrypoint": ["/%s"], "Labels": {"org.opencontainers.image.title": "%s", "org.opencontainers.image.version": "%s", "org.opencontainers.image.licenses": "Apache-2.0"}}, "rootfs": {"type": "layers", "diff_ids": ["sha256:%s"]}}' \
      "$arch" "$name" "$name" "$version" "$plain" | blob)
    manifest=$(printf '{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": {"mediaType": "application/vnd.oci.image.config.v1+json", %s}, "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", %s}]}' \
      "$config" "$layer" | blob)
    manifests[$name]+=$(printf '%s{"mediaType": "application/vnd.oci.image.manifest.v1+json", %s, "platform": {"architecture": "%s", "os": "linux"}}' \
      "${manifests[$name]:+, }" "$manifest" "$arch")
  done
done

index='application/vnd.oci.image.index.v1+json'
references=
for name in corten controller speaker; do
  platforms=$(printf '{"schemaVersion": 2, "mediaType": "%s", "manifests": [%s]}' "$index" "${manifests[$name]}" | blob)
  references+=$(printf '%s{"mediaType": "%s", %s, "annotations": {"org.opencontainers.image.ref.name": "%s"}}' \
    "${references:+, }" "$index" "$platforms" "$name")
done
printf '{"schemaVersion": 2, "mediaType": "%s", "manifests": [%s]}' "$index" "$references" >"$out/oci/index.json"
printf '{"imageLayoutVersion": "1.0.0"}' >"$out/oci/oci-layout"
tar --create --file "$out/corten.oci.tar" --directory "$out/oci" --format=ustar --sort=name --mtime=@0 \
  --owner=0 --group=0 --numeric-owner blobs index.json oci-layout
