#!/bin/sh
# enter.sh root|user NAME COMMAND...: runs COMMAND in a cgroup of its own that is its to divide, as systemd gives one to
# a service with Delegate=yes: as root, or as the account without privileges. Leaves no process behind.
set -u
as=$1 name=$2
shift 2
group=/sys/fs/cgroup/system.slice/$name.service
mkdir "$group" || exit 125
if [ "$as" = user ]; then
  chown 4242:4242 "$group"
  for file in $(cat /sys/kernel/cgroup/delegate); do
    [ -e "$group/$file" ] && chown 4242:4242 "$group/$file"
  done
  set -- setpriv --reuid=4242 --regid=4242 --clear-groups --inh-caps=-all \
    env HOME=/home/worker USER=worker XDG_RUNTIME_DIR=/run/user/4242 "$@"
fi
# The shell in between joins: whoever is in the group becomes the command.
sh -c 'echo 0 >"$0/cgroup.procs" && exec "$@"' "$group" "$@"
status=$?
echo 1 >"$group/cgroup.kill"
exit "$status"
