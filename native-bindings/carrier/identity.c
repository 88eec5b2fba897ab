// SPDX-License-Identifier: Apache-2.0
#include "process.h"
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Sets capabilities; `permitted` NULL leaves what is permitted as it is. */
static bool set_capabilities(const uint64_t *permitted, uint64_t inheritable)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &head, data))
		return false;
	for (int i = 0; i < 2; i++) {
		data[i].inheritable = inheritable >> 32 * i;
		if (permitted)
			data[i].permitted = data[i].effective = *permitted >> 32 * i;
	}
	return !syscall(SYS_capset, &head, data);
}

/* Whether this kernel knows a capability: the last one follows from the first that it does not. */
static bool is_capability(int number)
{
	return prctl(PR_CAPBSET_READ, number, 0, 0, 0) >= 0;
}

/*
 * execve gives root what is in the bounding set or is inheritable, and every other user what is ambient (capabilities(7)).
 */
bool become_user(const struct identity *identity)
{
	bool keeps_some = identity->uid != 0 && identity->has_rights;

	/* First: what is not in the bounding set any more cannot be made inheritable. */
	if (identity->has_rights && !set_capabilities(NULL, identity->inheritable))
		return false;
	for (int i = 0; identity->has_rights && is_capability(i); i++)
		if (!(identity->bounding >> i & 1) && prctl(PR_CAPBSET_DROP, i, 0, 0, 0))
			return false;
	/* Otherwise all is lost with root, and nothing can be made ambient. */
	if (keeps_some && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0))
		return false;
	if (setgroups(identity->group_count, identity->groups) || setresgid(identity->gid, identity->gid, identity->gid) ||
	    setresuid(identity->uid, identity->uid, identity->uid))
		return false;
	if (keeps_some && !set_capabilities(&identity->ambient, identity->inheritable))
		return false;
	for (int i = 0; is_capability(i); i++)
		if (identity->ambient >> i & 1 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0))
			return false;
	return true;
}

/*
 * From then on execve gives this label or fails (`handle_onexec`, security/apparmor/domain.c). Every kernel with AppArmor
 * that has live updates has this file. `attr/exec` could be another security module's.
 */
bool be_confined(const char *profile)
{
	char line[MOST_PROFILE_BYTES + 8];
	int length = snprintf(line, sizeof(line), "exec %s", profile);
	int fd = open("/proc/self/attr/apparmor/exec", O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, line, length) == length;
}
