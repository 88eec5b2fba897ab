// SPDX-License-Identifier: Apache-2.0
#include "setup.h"
#include "log.h"
#include "work.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Tests have another. */
#ifndef FIRST_PROCESS
#define FIRST_PROCESS 1
#endif

/* A second mount would hide the first, and mount(2) says nothing of it. */
static void mount_once(const char *type, const char *where, unsigned long flags, const char *options)
{
	struct statx facts;

	if (statx(AT_FDCWD, where, 0, 0, &facts) || facts.stx_attributes & STATX_ATTR_MOUNT_ROOT)
		return;
	mount(type, where, type, MS_NOSUID | flags, options);
}

void set_up(const char *directory)
{
	/* As systemd mounts them (src/shared/mount-setup.c): it leaves what is there as it is. */
	mount_once("proc", "/proc", MS_NODEV | MS_NOEXEC, NULL);
	mount_once("sysfs", "/sys", MS_NODEV | MS_NOEXEC, NULL);
	mount_once("devtmpfs", "/dev", MS_STRICTATIME, "mode=0755");
	mount_once("tmpfs", "/run", MS_NODEV | MS_STRICTATIME, "mode=0755,size=20%,nr_inodes=800k");
	mkdir(directory, 0711);
}

static void set_loopback_up(void)
{
	struct ifreq request = { .ifr_name = "lo" };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (ioctl(fd, SIOCGIFFLAGS, &request) == 0) {
		request.ifr_flags |= IFF_UP;
		if (ioctl(fd, SIOCSIFFLAGS, &request) == 0) {
			close(fd);
			return;
		}
	}
	say(ALL, "problem", "lo cannot be set up: %s", strerror(errno));
	close(fd);
}

bool give_node(const struct instruction *each)
{
	/* A link of udev's leads to whatever number the device has this time: it is followed. */
	int fd = open(each->text[0], O_PATH | O_CLOEXEC);
	struct stat facts;
	char path[40];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (fd < 0 || fstat(fd, &facts))
		say(ALL, "problem", "%s: %s", each->text[0], strerror(errno));
	else if (!S_ISCHR(facts.st_mode) && !S_ISBLK(facts.st_mode))
		say(ALL, "problem", "%s is no device", each->text[0]);
	else if (fchownat(fd, "", each->number[1], each->number[2], AT_EMPTY_PATH) || chmod(path, each->number[0]))
		say(ALL, "problem", "%s cannot be given away: %s", each->text[0], strerror(errno));
	close(fd);
	/* It may be usable all the same. */
	return true;
}

void set_up_more(const struct instruction *instruction)
{
	if (instruction->code == LOOPBACK)
		set_loopback_up();
	else if (mount(NULL, "/", NULL, MS_REMOUNT, NULL))
		say(ALL, "problem", "the root file system cannot be made writable: %s", strerror(errno));
}

/* Whether this process has a namespace that is not that of process 1. */
static bool is_apart(const char *kind)
{
	char path[2][40];
	struct stat facts[2];

	snprintf(path[0], sizeof(path[0]), "/proc/%d/ns/%s", FIRST_PROCESS, kind);
	snprintf(path[1], sizeof(path[1]), "/proc/self/ns/%s", kind);
	for (int i = 0; i < 2; i++)
		if (stat(path[i], &facts[i]))
			return false;
	return facts[0].st_ino != facts[1].st_ino;
}

bool need_apart(const struct instruction *each)
{
	(void)each;
	/* A service manager that cannot make them passes over that. */
	if (is_apart("mnt") && is_apart("net"))
		return true;
	return fail("the service manager gave it no file systems or no network of its own, so nothing was started");
}

bool make_tap(const struct instruction *each)
{
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	bool made;

	if (each->number[1] > 1)
		request.ifr_flags |= IFF_MULTI_QUEUE;
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", each->text[0]);
	made = fd >= 0 && !ioctl(fd, TUNSETIFF, &request) && !ioctl(fd, TUNSETOWNER, (unsigned long)each->number[0]) &&
	       !ioctl(fd, TUNSETPERSIST, 1UL);
	if (!made)
		fail_errno("making the tap", each->text[0]);
	close(fd);
	return made;
}

bool load_module(const struct instruction *each)
{
	int file = open(each->text[0], O_RDONLY | O_CLOEXEC);

	/* It may be there: another machine needs it, or the host was faster. */
	if (file < 0 || (syscall(SYS_finit_module, file, each->text[1], (int)each->number[0]) && errno != EEXIST))
		say(work.machine->number, "problem", "module %s: %s", each->text[0], strerror(errno));
	close(file);
	/* What it makes is waited for. */
	return true;
}
