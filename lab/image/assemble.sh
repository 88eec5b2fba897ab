#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# assemble.sh BASE_TAR FILES KERNELS DEB IMAGE SIZE
#
# Makes a lab host's root file system: the base, the lab's own files, both kernels, the agent's
# package if DEB is not empty, and all of it as an ext4 file system. Runs as root in a mount
# namespace of its own (or as the root of a user namespace), so nothing it mounts outlives it.
set -eu
base=$1 files=$2 kernels=$3 deb=$4 image=$5 size=$6

root=$image.root
mkdir "$root"
unmount() { for mounted in proc dev; do if mountpoint -q "$root/$mounted"; then umount -R "$root/$mounted"; fi; done; }
trap 'unmount; rm -rf --one-file-system "$root"' EXIT
tar -xf "$base" -C "$root" --exclude='./dev/*'
cp -r --no-preserve=ownership "$files/." "$root/"
cp "$kernels"/vmlinuz-* "$kernels"/config-* "$root/boot/"

mount -t proc proc "$root/proc"
mount -t tmpfs dev "$root/dev"
for node in null zero random urandom; do
  : > "$root/dev/$node"
  mount --bind "/dev/$node" "$root/dev/$node"
done
in_root() { chroot "$root" /usr/bin/env PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 "$@"; }

if [ -n "$deb" ]; then
  cp "$deb" "$root/agent.deb"
  in_root dpkg --install /agent.deb
  rm "$root/agent.deb"
fi

# People who may look and people who may act. The groups come with the agent's package.
for user in operator viewer; do
  in_root useradd --create-home --shell /bin/bash --gid users --password '*' "$user"
done
if in_root getent group luo-console > /dev/null; then in_root usermod -aG luo-console viewer; fi
if in_root getent group luo-console-operator > /dev/null; then in_root usermod -aG luo-console-operator operator; fi

in_root systemctl set-default --quiet multi-user.target
in_root systemctl enable --quiet lab-network.service lab-ready.service ssh.service

# What a machine of one boot's or one day's life does not need, and waits for under emulation.
in_root systemctl mask --quiet \
  modprobe@.service kmod-static-nodes.service systemd-hwdb-update.service systemd-journal-catalog-update.service \
  systemd-update-done.service systemd-update-utmp.service systemd-random-seed.service systemd-firstboot.service \
  systemd-networkd-wait-online.service systemd-timesyncd.service systemd-binfmt.service \
  proc-sys-fs-binfmt_misc.automount sys-kernel-config.mount sys-fs-fuse-connections.mount \
  systemd-modules-load.service systemd-udev-load-credentials.service systemd-network-generator.service \
  systemd-tmpfiles-setup-dev-early.service systemd-remount-fs.service systemd-sysctl.service \
  dev-mqueue.mount run-lock.mount systemd-ask-password-console.path systemd-ask-password-wall.path \
  systemd-journald-audit.socket systemd-tmpfiles-clean.timer fstrim.timer e2scrub_all.timer e2scrub_reap.service dpkg-db-backup.timer
# A host with AppArmor has the profiles that its test puts there: compiling the package's own takes minutes under emulation.
find "$root/etc/apparmor.d" -maxdepth 1 -type f -delete
mkdir -p "$root/etc/systemd/system-generators" "$root/etc/systemd/network"
for generator in ssh gpt-auto hibernate-resume system-update factory-reset rc-local sysv tpm2; do
  ln -sf /dev/null "$root/etc/systemd/system-generators/systemd-$generator-generator"
done
# No renaming of eth0.
ln -sf /dev/null "$root/etc/systemd/network/99-default.link"

# Each host is somebody: key, name and machine id come from outside, or from its own first boot.
rm -f "$root"/etc/ssh/ssh_host_* "$root/etc/hostname" "$root/var/lib/dbus/machine-id"
: > "$root/etc/machine-id"
printf '127.0.0.1 localhost\n::1 localhost\n' > "$root/etc/hosts"
printf '# The kernel mounts the root file system read-write.\n' > "$root/etc/fstab"
in_root sh -c 'ssh-keygen -q -t ed25519 -N "" -f /etc/ssh/ssh_host_ed25519_key && mkdir -p /run/sshd && sshd -t'
rm -f "$root"/etc/ssh/ssh_host_*
unmount
# Says that /etc and /var fit this /usr; a first boot would otherwise bring them up to date.
touch "$root/etc/.updated" "$root/var/.updated"

mke2fs -q -t ext4 -L lab-root -m 0 -E assume_storage_prezeroed=1 -d "$root" "$image" "$size"
