#!/bin/bash
# A real systemd as process 1 of namespaces of its own, to test the units in. Its
# root is a tmpfs, its /usr an overlay of the machine's: nothing that happens
# inside reaches the machine. Needs root, systemd and util-linux; no image.
#
#   box.sh boot DIR    run it in the foreground; killing this process ends it
#   box.sh sweep DIR   remove its cgroups afterwards
#
# DIR/root is copied over the box's root before systemd starts. DIR is /srv/box
# inside; systemd reports that it has booted to the socket DIR/notify.
set -euo pipefail

step=$1
dir=$(realpath "$2")

# hierarchies prints "mountpoint own-path type options" of each cgroup hierarchy. In
# version 2 the box goes below the root, where all controllers are switched on.
hierarchies() {
  local mount type options id names path
  while read -r _ mount type options _; do
    [[ $type == cgroup* ]] || continue
    while IFS=: read -r id names path; do
      if [[ $type == cgroup2 && $id == 0 ]]; then
        echo "$mount / $type -"
      elif [[ $type == cgroup && -n $names && ",$options," == *",$names,"* ]]; then
        echo "$mount $path $type $names"
      fi
    done </proc/self/cgroup
  done </proc/mounts
}

boot() {
  echo "cpulb-box-$$" >"$dir/name"
  hierarchies >"$dir/hierarchies"
  exec unshare --mount --pid --fork --kill-child --uts --ipc --net "$0" enter "$dir"
}

# enter runs as process 1. It moves into cgroups of its own first, so that the
# cgroup namespace that it makes next has them as its roots.
enter() {
  local mount path type own
  while read -r mount path type _; do
    own=$mount$path/$(cat "$dir/name")
    mkdir "$own"
    if [[ -e $own/cpuset.cpus && $type == cgroup ]]; then # empty in version 1, and then nothing may enter
      cat "$mount$path/cpuset.cpus" >"$own/cpuset.cpus"
      cat "$mount$path/cpuset.mems" >"$own/cpuset.mems"
    fi
    echo $$ >"$own/cgroup.procs"
  done <"$dir/hierarchies"
  exec unshare --cgroup "$0" init "$dir"
}

root_files() {
  mkdir -p usr .upper .work etc/systemd/system etc/tmpfiles.d var/lib srv/box proc sys dev run tmp root home old
  mount -t overlay -o lowerdir=/usr,upperdir=.upper,workdir=.work overlay usr
  local name unit
  for name in bin sbin lib lib32 lib64 libx32; do
    [[ ! -e usr/$name ]] || ln -s "usr/$name" "$name"
  done
  for name in passwd group nsswitch.conf ld.so.cache ld.so.conf ld.so.conf.d hosts localtime alternatives python3 python3.11; do
    [[ ! -e /etc/$name ]] || cp -a "/etc/$name" etc/
  done
  tr -d - </proc/sys/kernel/random/uuid >etc/machine-id
  echo box >etc/hostname
  ln -s /dev/null etc/tmpfiles.d/tmp.conf
  # What would reach for the machine's devices, clock, network or kernel.
  for unit in systemd-{sysctl,timesyncd,networkd,resolved,udevd,hwdb-update,firstboot,update-utmp,pstore,binfmt,logind}.service \
    ldconfig.service systemd-journald-audit.socket dev-hugepages.mount dev-mqueue.mount sys-fs-fuse-connections.mount; do
    ln -s /dev/null "etc/systemd/system/$unit"
  done
  [[ ! -d $dir/root ]] || cp -a --no-preserve=ownership "$dir/root/." .
}

kernel_files() {
  local name
  mount -t tmpfs -o mode=755 tmpfs run
  mount -t tmpfs -o mode=1777 tmpfs tmp
  mount --bind "$dir" srv/box
  mount -t proc proc proc
  mount --bind proc/sys proc/sys
  mount -o remount,bind,ro proc/sys # sysctls are the machine's
  mount -t sysfs -o ro sysfs sys
  mount -t tmpfs -o mode=755 tmpfs dev
  mkdir dev/pts dev/shm
  mount -t tmpfs -o mode=1777 tmpfs dev/shm
  mount -t devpts -o newinstance,mode=620,ptmxmode=666,gid=5 devpts dev/pts
  ln -s pts/ptmx dev/ptmx
  for name in null zero full random urandom tty; do
    touch "dev/$name"
    mount --bind "/dev/$name" "dev/$name"
  done
  ln -s /proc/self/fd dev/fd
  ln -s fd/0 dev/stdin
  ln -s fd/1 dev/stdout
  ln -s fd/2 dev/stderr
}

cgroup_files() {
  if grep -q '^/sys/fs/cgroup ' "$dir/hierarchies"; then
    mount -t cgroup2 cgroup2 sys/fs/cgroup
    return
  fi
  local mount type names at
  mount -t tmpfs -o mode=755 tmpfs sys/fs/cgroup
  while read -r mount _ type names; do
    at=sys/fs/cgroup/$(basename "$mount")
    mkdir "$at"
    if [[ $type == cgroup2 ]]; then
      mount -t cgroup2 cgroup2 "$at"
    else
      mount -t cgroup -o "$names" cgroup "$at"
    fi
  done <"$dir/hierarchies"
  mount -o remount,ro sys/fs/cgroup # or systemd would mount, and claim, further controllers
}

init() {
  mount --make-rprivate /
  mkdir -p "$dir/r"
  mount -t tmpfs -o mode=755 box "$dir/r"
  cd "$dir/r"
  root_files
  kernel_files
  cgroup_files
  hostname box
  pivot_root . old
  cd /
  umount -l /old
  rmdir /old
  exec env -i container=box NOTIFY_SOCKET=/srv/box/notify PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin \
    setpriv --bounding-set=-sys_time,-sys_module,-sys_rawio \
    /usr/lib/systemd/systemd --system --unit=basic.target --log-target=journal
}

sweep() {
  local mount path own
  [[ -s $dir/name ]] || return 0
  while read -r mount path _; do
    own=$mount$path/$(cat "$dir/name")
    [[ ! -d $own ]] || find "$own" -depth -type d -exec rmdir {} +
  done <"$dir/hierarchies"
}

case $step in
boot | enter | init | sweep) "$step" ;;
*) echo "usage: box.sh boot|sweep DIR" >&2; exit 2 ;;
esac
