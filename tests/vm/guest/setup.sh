#!/bin/sh
# PID 1 of the machine once the host's tree is its root: what an init system would have done, then the command, then the end.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
set -u
cd /
echo brokkr-test >/proc/sys/kernel/hostname
echo core >/proc/sys/kernel/core_pattern
for port in /sys/class/virtio-ports/*; do
  [ "$(cat "$port/name")" = out ] && out=/dev/${port##*/}
done
ln -sf /proc/self/fd /dev/fd
ln -sf /proc/self/fd/0 /dev/stdin
ln -sf /proc/self/fd/1 /dev/stdout
ln -sf /proc/self/fd/2 /dev/stderr
# As udev's rules have it.
chmod 666 /dev/fuse

mount -t ext4 /dev/vda /run/scratch && chmod 1777 /run/scratch
swapon /dev/vdb

# An account without privileges, as an operator would make for a worker.
sed -i '/:4242:/d' /etc/passwd /etc/group
echo 'worker:x:4242:4242::/home/worker:/bin/sh' >>/etc/passwd
echo 'worker:x:4242:' >>/etc/group
mkdir -p /home/worker /run/user/4242
chmod 700 /home/worker /run/user/4242
chown 4242:4242 /home/worker /run/user/4242

# Host paths the command needs: back again where a fresh /tmp or /run hides them, and open to that account.
tab=$(printf '\t')
while IFS=$tab read -r path from; do
  if [ "$path" != "$from" ] || { [ ! -e "$path" ] && [ -e "/run/below$path" ]; }; then
    if [ -d "/run/below$from" ]; then mkdir -p "$path"; else mkdir -p "${path%/*}" && : >"$path"; fi
    mount -o bind "/run/below$from" "$path"
  fi
  parent=$path
  while [ "$parent" ]; do
    [ -d "$parent" ] && chmod a+x "$parent"
    parent=${parent%/*}
  done
done </run/job/visible

# Every controller down to where services live, as systemd does once a unit asks for them.
mkdir /sys/fs/cgroup/system.slice
for controller in $(cat /sys/fs/cgroup/cgroup.controllers); do
  echo "+$controller" >/sys/fs/cgroup/cgroup.subtree_control
  echo "+$controller" >/sys/fs/cgroup/system.slice/cgroup.subtree_control
done

# The soft one only, as systemd has it.
ulimit -S -c 0
setsid -w /bin/sh /run/job/command </dev/null >"$out" 2>&1
echo $? >/run/job/status
cut -d ' ' -f 1 /proc/uptime >/run/job/uptime
umount /run/scratch 2>/dev/null || sync
# qemu runs with -no-reboot: to reboot is to end, and quicker than to power off.
echo b >/proc/sysrq-trigger
sleep 60
