#!/bin/sh
# Removes control groups when the lab is gone, however that ended: then standard input ends.
# usage: reap.sh NAME
cat >/dev/null
for _ in $(seq 300); do
  find /sys/fs/cgroup/*/"$1" -depth -type d -exec rmdir {} + 2>/dev/null
  [ -n "$(find /sys/fs/cgroup/*/"$1" -maxdepth 0 2>/dev/null)" ] || exit 0
  # Whoever was in them is still leaving.
  sleep 0.1
done
exit 1
