#!/usr/bin/env bash
# A node of the full cluster: containerd, kubelet and kube-proxy in namespaces of their own, which
# end with this process. To be started by root in the node's network namespace; lab/src/full does.
#
# From the environment: NODE (name), ADDRESSES (IPv4,IPv6), PODS4 and PODS6 (prefixes), CGROUP (path
# of the node's control group), PROGRAMS, IMAGES, CONFIG (directories), RUNTIME (what containerd
# runs as runc), INPATH (its PATH).
set -euo pipefail

# Outside: into a control group of its own, then into all other namespaces.
if [ "${1:-}" != inside ]; then
  for hierarchy in /sys/fs/cgroup/*/; do
    [ -e "$hierarchy/cgroup.procs" ] || continue
    group=$hierarchy/$CGROUP
    mkdir -p "$group"
    # A new group of this controller has no processors and no memory.
    if [ -e "$group/cpuset.cpus" ]; then
      for file in cpuset.cpus cpuset.mems; do
        cat "$hierarchy/$file" >"$(dirname "$group")/$file"
        cat "$hierarchy/$file" >"$group/$file"
      done
    fi
    echo $$ >"$group/cgroup.procs"
  done
  exec unshare --cgroup --mount --pid --uts --ipc --fork --kill-child "$0" inside
fi

# A root in memory. Of the host it has programs and libraries.
root=$CONFIG/root
mkdir -p "$root"
mount -t tmpfs -o mode=0755,size=4g node "$root"
cd "$root"
mkdir -p usr etc proc sys dev run tmp root old var/lib/kubelet var/log programs images config
ln -s usr/bin usr/sbin usr/lib .
[ ! -e /usr/lib64 ] || ln -s usr/lib64 .
ln -s ../run var/run
mount --bind -o ro /usr usr
mount --bind -o ro "$PROGRAMS" programs
mount --bind -o ro "$IMAGES" images
mount --bind -o ro "$CONFIG" config
touch runtime
mount --bind -o ro "$RUNTIME" runtime
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t tmpfs -o mode=0755 cgroup sys/fs/cgroup
while read -r controller hierarchy _ enabled; do
  case $controller:$hierarchy:$enabled in \#*:*:* | *:0:* | *:*:0) continue ;; esac
  mkdir "sys/fs/cgroup/$controller"
  mount -t cgroup -o "$controller" cgroup "sys/fs/cgroup/$controller"
done </proc/cgroups
mkdir sys/fs/cgroup/systemd
mount -t cgroup -o none,name=systemd cgroup sys/fs/cgroup/systemd
mount -t tmpfs -o mode=0755 dev dev
for device in null zero full random urandom tty; do
  mknod -m 0666 dev/$device c $((0x$(stat -c %t /dev/$device))) $((0x$(stat -c %T /dev/$device)))
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
# The kubelet looks for processes killed for want of memory in the kernel's log.
: >dev/kmsg
cp /etc/ld.so.cache etc/
ln -s /proc/self/mounts etc/mtab
printf 'root:x:0:0:root:/root:/bin/sh\n' >etc/passwd
printf 'root:x:0:\n' >etc/group
printf '127.0.0.1 localhost\n::1 localhost\n' >etc/hosts
printf 'nameserver 127.0.0.1\n' >etc/resolv.conf
cat /proc/sys/kernel/random/uuid | tr -d - >etc/machine-id
# Settings of the whole machine that the kubelet sees to; here it finds files that are as it wants.
for setting in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 \
  kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
  file=run/settings/${setting%=*}
  mkdir -p "$(dirname "$file")"
  echo "${setting#*=}" >"$file"
  mount --bind "$file" "proc/sys/${setting%=*}"
done
pivot_root . old
umount -l /old
mount --make-rshared /
hostname "$NODE"
export HOME=/root PATH=$INPATH

mkdir -p /etc/cni/net.d
cat >/etc/cni/net.d/10-pods.conflist <<EOF
{"cniVersion": "0.4.0", "name": "pods", "plugins": [{
  "type": "ptp", "mtu": 1500, "ipMasq": false,
  "ipam": {"type": "host-local", "ranges": [[{"subnet": "$PODS4"}], [{"subnet": "$PODS6"}]],
    "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]}}]}
EOF
containerd -c /config/containerd.toml >/var/log/containerd.log 2>&1 &
for _ in $(seq 600); do
  if ctr version >/dev/null 2>&1; then break; fi
  sleep 0.1
done
ctr --namespace k8s.io images import /images/agnhost.tar >/dev/null
kube-proxy --config /config/proxy.yaml --hostname-override "$NODE" >/var/log/kube-proxy.log 2>&1 &
kubelet --config /config/kubelet.yaml --kubeconfig /config/kubeconfig \
  --hostname-override "$NODE" --node-ip "$ADDRESSES" >/var/log/kubelet.log 2>&1 &
# Without one of them it isn't a node.
wait -n
echo "a part of $NODE ended" >&2
tail -n 20 /var/log/containerd.log /var/log/kube-proxy.log /var/log/kubelet.log >&2
exit 1
