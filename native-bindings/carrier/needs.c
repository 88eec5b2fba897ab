// SPDX-License-Identifier: Apache-2.0
/*
 * What a machine needs before its VMM can be started: a mount, a file or device, a network interface, a security profile.
 * Whoever makes it is part of the host, which boots meanwhile. So it is waited for with events of the kernel.
 */
#include "log.h"
#include "patience.h"
#include "work.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/major.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define MOUNTS "/proc/self/mountinfo"
/* Tests have a file of their own. */
#ifndef KERNEL_LOG
#define KERNEL_LOG "/dev/kmsg"
#endif
/*
 * The console shows what is below its level: 7, or 4 with `quiet` on the command line, which is Debian's way
 * (CONFIG_CONSOLE_LOGLEVEL_QUIET). A guest that stands still is an error for whoever looks there.
 */
#define SHOWN "<3>"
#define EACH_WAIT 3
/* Of what the kernel itself says of devices (`kobject_uevent_net_broadcast`, lib/kobject_uevent.c). */
#define KERNEL_GROUP 1
/* Where the service manager mounts securityfs before it does anything else; a profile is loaded later in any case. */
#define SECURITY "/sys/kernel/security"
/* What is loaded of AppArmor, and what becomes readable when that changes (security/apparmor/apparmorfs.c). */
#define PROFILES SECURITY "/apparmor/profiles"
#define REVISION SECURITY "/apparmor/revision"
/* More links than this in one path are a circle. */
#define MOST_LINKS 16
#define WAY_EVENTS (IN_CREATE | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)

/* --- whether it is there -------------------------------------------------------------------------- */

/* Takes the octal escapes out of a field of mountinfo, and ends it (`mangle_path`, fs/seq_file.c). */
static void unescape(char *field)
{
	char *to = field;

	for (; *field && *field != ' '; field++)
		if (field[0] == '\\' && field[1] && field[2] && field[3]) {
			*to++ = (field[1] - '0') << 6 | (field[2] - '0') << 3 | (field[3] - '0');
			field += 3;
		} else
			*to++ = *field;
	*to = '\0';
}

static bool is_mount_point(const char *path)
{
	FILE *mounts = fopen(MOUNTS, "re");
	char *line = NULL;
	size_t room = 0;
	bool found = false;

	while (mounts && !found && getline(&line, &room, mounts) > 0) {
		char *field = line;

		/* Behind the mount's number, its parent's, the device's, and its root within that. */
		for (int i = 0; i < 4 && field; i++)
			field = strchr(field + (i > 0), ' ');
		if (!field)
			continue;
		unescape(++field);
		found = !strcmp(field, path);
	}
	free(line);
	if (mounts)
		fclose(mounts);
	return found;
}

/*
 * Whether a node has its device. systemd makes the nodes of modules that are not loaded (modules.devname), such as
 * /dev/net/tun, and no VMM can use one so early. All of these are misc devices, and each of those is in sysfs.
 */
static bool has_device(const struct stat *facts)
{
	char path[64];

	if (!S_ISCHR(facts->st_mode) || major(facts->st_rdev) != MISC_MAJOR)
		return true;
	snprintf(path, sizeof(path), "/sys/dev/char/%u:%u", MISC_MAJOR, minor(facts->st_rdev));
	return !access(path, F_OK);
}

/*
 * Whether a node gets its device when it is opened: the kernel loads the module then (`misc_open`, drivers/char/misc.c).
 * Nothing else loads some of them. Done once, as it would be in vain each other time.
 */
static bool gets_device(const char *path, const struct stat *facts)
{
	static const char *opened;
	int fd;

	if (opened == path)
		return false;
	opened = path;
	fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd >= 0)
		close(fd);
	return has_device(facts);
}

/* Whether a line of the loaded profiles is this one: a name, and the mode behind it (`seq_show_profile`). */
static bool is_loaded(const char *profile)
{
	FILE *profiles = fopen(PROFILES, "re");
	char *line = NULL;
	size_t room = 0;
	bool found = false;

	while (profiles && !found && getline(&line, &room, profiles) > 0) {
		line[strcspn(line, "\n")] = '\0';
		found = !strcmp(line, profile);
	}
	free(line);
	if (profiles)
		fclose(profiles);
	return found;
}

static bool is_met(const struct instruction *need)
{
	struct stat facts;

	if (need->code == MOUNTED)
		return is_mount_point(need->text[0]);
	if (need->code == PRESENT)
		return !stat(need->text[0], &facts) && (has_device(&facts) || gets_device(need->text[0], &facts));
	if (need->code == PROFILE)
		return is_loaded(need->text[0]);
	return if_nametoindex(need->text[0]);
}

/* --- what tells of a change ------------------------------------------------------------------------ */

/*
 * Watches each directory of a path that is there, from the top down: so what is made on the way meanwhile is either
 * there to be watched, or an event of the one above it. A link is followed, as what it leads to may be missing.
 */
static bool watch_way(int watch, const char *path, unsigned links)
{
	char at[PATH_MAX], target[PATH_MAX], onward[PATH_MAX];

	for (const char *end = path; end;) {
		size_t length = end - path;
		const char *rest = end;
		ssize_t bytes;

		snprintf(at, sizeof(at), "%.*s", length ? (int)length : 1, path);
		bytes = readlink(at, target, sizeof(target) - 1);
		if (bytes > 0) {
			/* A link that does not begin at the root begins in its own directory. */
			int above = target[0] == '/' ? 0 : (int)(strrchr(at, '/') - at + 1);

			target[bytes] = '\0';
			if (links == MOST_LINKS ||
			    snprintf(onward, sizeof(onward), "%.*s%s%s", above, at, target, rest) >= (int)sizeof(onward)) {
				errno = ELOOP;
				return false;
			}
			return watch_way(watch, onward, links + 1);
		}
		if (inotify_add_watch(watch, at, WAY_EVENTS) < 0)
			return errno == ENOENT || errno == ENOTDIR;
		if (!*end)
			return true;
		end = strchr(end + 1, '/');
		if (!end)
			end = path + strlen(path);
	}
	return true;
}

/* A socket that gets the kernel's messages of a kind. */
static int open_events(int protocol, unsigned groups)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = groups };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);

	if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address))) {
		close(fd);
		return -1;
	}
	return fd;
}

/*
 * Opens what tells of profiles, once securityfs is mounted. AppArmor is in there from the first program on or never
 * (`aa_create_aafs`). False: never
 */
static bool watch_profiles(int *events)
{
	/* First: what is mounted between the two looks is an event. */
	bool mounted = is_mount_point(SECURITY);

	if (*events < 0)
		*events = open(REVISION, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	return *events >= 0 || !mounted;
}

/* What becomes ready when a need may be met: mounts, whatever the need is, and what is of its kind. */
static void subscribe(const struct instruction *need, struct pollfd waits[EACH_WAIT])
{
	/* A mount can bring a path too, and nothing tells of that in its directory. */
	waits[0] = (struct pollfd){ open(MOUNTS, O_RDONLY | O_CLOEXEC), POLLPRI, 0 };
	waits[1] = waits[2] = (struct pollfd){ -1, POLLIN, 0 };
	if (need->code == PRESENT) {
		waits[1].fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
		/* A device whose node is there already is no event of the directory. */
		waits[2].fd = open_events(NETLINK_KOBJECT_UEVENT, KERNEL_GROUP);
	} else if (need->code == INTERFACE)
		/* One comes, goes or changes its name. */
		waits[1].fd = open_events(NETLINK_ROUTE, RTMGRP_LINK);
}

/* Reads what has come, so that only what comes later makes it ready again. */
static void drain(int fd)
{
	char data[8192];
	ssize_t got;

	do
		got = read(fd, data, sizeof(data));
	/* Messages that had no room are lost, which is a change too. */
	while (got > 0 || (got < 0 && (errno == EINTR || errno == ENOBUFS)));
}

/* --- waiting --------------------------------------------------------------------------------------- */

static void describe(const struct instruction *need, char *text, size_t room)
{
	const char *before = need->code == INTERFACE ? "the network interface "
			     : need->code == PROFILE ? "the security profile "
						     : "";

	snprintf(text, room, "%s%.400s%s", before, need->text[0], need->code == MOUNTED ? " to be mounted" : "");
}

/* For whoever sits at the host's console, and has nothing else so early. */
static void tell_console(const char *what)
{
	int log = open(KERNEL_LOG, O_WRONLY | O_CLOEXEC);
	char line[600];
	int length = snprintf(line, sizeof(line), SHOWN "luo: %s waits for %s", work.machine->session, what);

	for (char *each = line; *each; each++)
		if (*each < ' ' || *each > '~')
			*each = '?';
	if (log >= 0 && write(log, line, length) < 0)
		say(ALL, "problem", KERNEL_LOG ": %s", strerror(errno));
	close(log);
}

/* With what tells of changes in hand, until then. False: `problem` */
static bool wait_with(const struct instruction *need, struct pollfd waits[EACH_WAIT], int64_t end_ms)
{
	bool said = false;
	char what[500];

	describe(need, what, sizeof(what));
	for (;;) {
		int64_t left_ms = end_ms - now_ms();

		/* First this, then the look: nothing that happens between them is missed. */
		if (need->code == PROFILE && !watch_profiles(&waits[1].fd))
			return fail("%s cannot be loaded: the kernel runs without AppArmor", what);
		if (waits[0].fd < 0 || ((need->code == PRESENT || need->code == INTERFACE) && waits[1].fd < 0) ||
		    (need->code == PRESENT && waits[2].fd < 0) ||
		    (need->code == PRESENT && !watch_way(waits[1].fd, need->text[0], 0)))
			return fail("it cannot wait for %s: %s", what, strerror(errno));
		if (is_met(need))
			return true;
		if (left_ms <= 0)
			return fail("after %llu s it still waited for %s", (unsigned long long)need->number[0], what);
		if (!said) {
			say(work.machine->number, "waits", "for %s", what);
			/* What comes after the start of the VMM is the agent's to make, not the host's. */
			if (!work.vmm)
				tell_console(what);
		}
		said = true;
		poll(waits, EACH_WAIT, (int)left_ms);
		for (int i = 1; i < EACH_WAIT; i++)
			if (waits[i].fd >= 0)
				drain(waits[i].fd);
	}
}

/* False after the instruction's limit, which begins with the machine's first wait: `problem` */
bool wait_for_need(const struct instruction *need)
{
	/* Of this process's one machine: when it began to wait, for whatever came first. 0: not yet. */
	static int64_t began_ms;
	struct pollfd waits[EACH_WAIT];
	bool met;

	if (is_met(need))
		return true;
	if (!began_ms)
		began_ms = now_ms();
	alarm(need->number[0] + HANG_S);
	subscribe(need, waits);
	met = wait_with(need, waits, began_ms + (int64_t)need->number[0] * 1000);
	for (int i = 0; i < EACH_WAIT; i++)
		close(waits[i].fd);
	return met;
}
