#!/usr/bin/env bash
# Sets up what a make target needs and is missing, and nothing else; works again without network
# once everything is there. usage: lab/setup.sh PART…
# (parts: net, routers, deny, musl, arm64, memberlist, cluster, full, promtool)
set -euo pipefail
cd "$(dirname "$0")/.."
cache=$PWD/.cache
mkdir -p "$cache"

CARGO_DENY_VERSION=0.20.2
KUBERNETES_VERSION=1.36.3
HELM_VERSION=3.21.4

have() { command -v "$1" >/dev/null 2>&1; }

apt_install() {
  if [ "$(id -u)" != 0 ]; then
    echo "missing commands; install these Debian packages first: $*" >&2
    exit 1
  fi
  echo "installing Debian packages: $*" >&2
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

net() {
  local missing=()
  have ip || missing+=(iproute2)
  have nft || missing+=(nftables)
  [ ${#missing[@]} = 0 ] || apt_install "${missing[@]}"
}

# Routers to speak with. Their packages would start daemons on this host; the lab starts its own.
routers() {
  local missing=() policy=/usr/sbin/policy-rc.d made=
  have bird || missing+=(bird2)
  [ -x /usr/lib/frr/bfdd ] || missing+=(frr)
  have gobgpd || missing+=(gobgpd)
  have exabgp || missing+=(exabgp)
  [ ${#missing[@]} = 0 ] && return
  if [ "$(id -u)" = 0 ] && [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
    made=1
  fi
  apt_install "${missing[@]}"
  [ -z "$made" ] || rm "$policy"
}

deny() {
  [ -x "$cache/tools/bin/cargo-deny" ] &&
    [ "$("$cache/tools/bin/cargo-deny" --version)" = "cargo-deny $CARGO_DENY_VERSION" ] && return
  echo "building cargo-deny $CARGO_DENY_VERSION (once, some minutes)" >&2
  cargo install --quiet --locked cargo-deny --version "$CARGO_DENY_VERSION" --root "$cache/tools"
}

# The static target, where the toolchain can have it; the benches say which target they ran.
musl() {
  if ! rustup target list --installed 2>/dev/null | grep -qx x86_64-unknown-linux-musl &&
    ! rustup target add x86_64-unknown-linux-musl >/dev/null 2>&1; then
    echo "no musl target to be had here: the benches run on the host's libc" >&2
    return
  fi
  # Cryptography of TLS is in C and assembler.
  have x86_64-linux-musl-gcc || apt_install musl-tools
}

# What binaries for arm64 are made with: the toolchain has musl and a linker, TLS needs a C compiler.
arm64() {
  rustup target list --installed 2>/dev/null | grep -qx aarch64-unknown-linux-musl ||
    rustup target add aarch64-unknown-linux-musl
  have aarch64-linux-gnu-gcc || apt_install gcc-aarch64-linux-gnu libc6-dev-arm64-cross
}

# Members of the real gossip library, in the version MetalLB runs and in the newest.
memberlist() {
  local sum
  sum=$(cat lab/memberlist/* | sha256sum)
  [ "$(cat "$cache/memberlist/sum" 2>/dev/null)" = "$sum" ] && return
  have go || { echo "the gossip library needs the Go toolchain, 1.25 or newer" >&2; exit 1; }
  echo "building two versions of the gossip library (once)" >&2
  mkdir -p "$cache/memberlist"
  (cd lab/memberlist && go build -o "$cache/memberlist/v0.5.1" . &&
    go build -modfile=newest.mod -o "$cache/memberlist/newest" .)
  echo "$sum" >"$cache/memberlist/sum"
}

# The servers of the test clusters and what installs charts and overlays in it, from the Go modules
# pinned in lab/cluster.
cluster() {
  server etcd go.etcd.io/etcd/server/v3
  kubernetes cmd/kube-apiserver
  server helm helm.sh/helm/v3/cmd/helm "-X helm.sh/helm/v3/internal/version.version=v$HELM_VERSION" \
    "-X helm.sh/helm/v3/pkg/lint/rules.k8sVersionMajor=1" \
    "-X helm.sh/helm/v3/pkg/lint/rules.k8sVersionMinor=36" \
    "-X helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=1" \
    "-X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=36"
  server kustomize sigs.k8s.io/kustomize/kustomize/v5
}

# kubernetes PATH…: what is built from there in the module of Kubernetes.
kubernetes() {
  local path
  for path in "$@"; do
    server "${path##*/}" "k8s.io/kubernetes/$path" \
      "-X k8s.io/component-base/version.gitVersion=v$KUBERNETES_VERSION" \
      "-X k8s.io/component-base/version.gitMajor=1" \
      "-X k8s.io/component-base/version.gitMinor=36"
  done
}

# What the full cluster has beside: managers and nodes, what runs on them, and the MetalLB whose
# place is taken there, with its chart.
full() {
  cluster
  kubernetes cmd/kube-controller-manager cmd/kube-scheduler cmd/kubelet cmd/kube-proxy cmd/kubectl \
    test/images/agnhost
  server metallb-controller go.universe.tf/metallb/controller
  server metallb-speaker go.universe.tf/metallb/speaker
  runtime
  mkdir -p "$cache/cluster/images"
  image agnhost lab pause
  image metallb-controller lab
  image metallb-speaker lab
  chart metallb-chart metallb go.universe.tf/metallb charts/metallb
}

# chart NAME MODULE PACKAGE PATH: copies a chart a Go module has, unless that was done from the very
# same pins.
chart() {
  local at=$cache/cluster/$1 module=lab/cluster/$2 pins dir
  pins=$(cat "$module/go.mod" "$module/go.sum" | sha256sum)
  [ -d "$at" ] && [ "$(cat "$at.pins" 2>/dev/null)" = "$pins" ] && return
  dir=$(cd "$module" && go list -m -f '{{.Dir}}' "$3")
  rm -rf "$at"
  cp -r "$dir/$4" "$at"
  chmod -R u+w "$at"
  echo "$pins" >"$at.pins"
}

# image NAME TAG [ARGUMENT]: packs a program for the nodes, unless that was done.
image() {
  local archive=$cache/cluster/images/$1.tar program=$cache/cluster/$1
  [ ! "$archive" -nt "$program" ] || return 0
  lab/cluster/full/image.sh "$archive.new" "docker.io/library/$1:$2" "$program" "${@:3}"
  mv "$archive.new" "$archive"
}

# What runs containers, out of Debian's packages: installed, it would start daemons here.
runtime() {
  local dir=$cache/cluster/node new
  [ -d "$dir" ] && return
  new=$(mktemp -d)
  echo "fetching containerd, runc and network plugins (once)" >&2
  unpack "$new" containerd runc containernetworking-plugins
  mkdir -p "$dir.new/cni"
  cp "$new"/usr/bin/{containerd,containerd-shim-runc-v2,ctr} "$new/usr/sbin/runc" "$dir.new"
  cp "$new"/usr/lib/cni/{host-local,loopback,ptp} "$dir.new/cni"
  mv "$dir.new" "$dir"
  rm -r "$new"
}

# unpack DIR PACKAGE…: fetches Debian packages and unpacks them in DIR, installing nothing.
unpack() {
  local dir=$1 deb
  [ "$(id -u)" != 0 ] || apt-get update -qq
  (cd "$dir" && apt-get download -qq "${@:2}" >/dev/null 2>&1) ||
    { echo "Debian's packages ${*:2} can't be fetched" >&2; exit 1; }
  for deb in "$dir"/*.deb; do dpkg-deb -x "$deb" "$dir"; done
}

# server NAME PACKAGE LDFLAGS…: builds PACKAGE in the module of that name, or of the project it is
# of, unless that was done from the very same pins.
server() {
  local name=$1 package=$2 module=lab/cluster/$1 pins
  case $name in
    kube* | agnhost) module=lab/cluster/kubernetes ;;
    metallb-*) module=lab/cluster/metallb ;;
  esac
  pins=$(cat $module/go.mod $module/go.sum | sha256sum)
  [ -x "$cache/cluster/$name" ] && [ "$(cat "$cache/cluster/$name.pins" 2>/dev/null)" = "$pins" ] && return
  have go || { echo "Go is needed to build $name: see https://go.dev/doc/install" >&2; exit 1; }
  mkdir -p "$cache/cluster"
  echo "building $name (once, some minutes)" >&2
  (cd $module && CGO_ENABLED=0 go build -trimpath -ldflags "-s -w ${*:3}" -o "$cache/cluster/$name" "$package")
  echo "$pins" >"$cache/cluster/$name.pins"
}

# What tests alert rules, out of Debian's package: installed, that would start a server here.
promtool() {
  [ -x "$cache/cluster/promtool" ] && return
  local dir
  dir=$(mktemp -d)
  echo "fetching promtool (once)" >&2
  unpack "$dir" prometheus
  mkdir -p "$cache/cluster"
  mv "$dir/usr/bin/promtool" "$cache/cluster/promtool"
  rm -r "$dir"
}

for part in "$@"; do
  case $part in
    net | routers | deny | musl | arm64 | memberlist | cluster | full | promtool) "$part" ;;
    *) echo "unknown part: $part" >&2; exit 2 ;;
  esac
done
