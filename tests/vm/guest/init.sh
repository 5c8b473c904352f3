#!/bin/sh
# First program of the machine, in the initramfs (busybox): loads the modules, puts an overlay over the host's tree,
# which it gets read-only, and goes on there with setup.sh.
export PATH=/bin
mount -t devtmpfs devtmpfs /dev
exec </dev/null >/dev/console 2>&1
set -e
for module in /modules/*.ko; do insmod "$module"; done
p9=trans=virtio,version=9p2000.L,msize=262144
mkdir -p /lower /upper /root
mount -t 9p -o "ro,cache=loose,$p9" host /lower
mount -t tmpfs -o mode=755 upper /upper
mkdir /upper/files /upper/work
mount -t overlay -o lowerdir=/lower,upperdir=/upper/files,workdir=/upper/work root /root
cd /root
mkdir -p dev proc sys run tmp
# Of the overlay without what is mounted over it: host paths beneath /tmp and /run are found there again.
mount -t tmpfs -o mode=755 run run
mkdir run/job run/host run/below run/scratch
mount -o bind . run/below
mount -o bind /lower run/host
mount -t 9p -o "cache=none,$p9" job run/job
mount -t devtmpfs devtmpfs dev
mkdir -p dev/pts dev/shm
mount -t devpts -o ptmxmode=666 devpts dev/pts
mount -t tmpfs -o mode=1777 shm dev/shm
mount -t tmpfs -o mode=1777 tmp tmp
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 -o nsdelegate cgroup2 sys/fs/cgroup
ifconfig lo 127.0.0.1 up
exec switch_root /root /bin/sh /run/job/setup.sh
