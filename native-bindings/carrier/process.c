// SPDX-License-Identifier: Apache-2.0
#include "process.h"
#include "log.h"
#include "priority.h"
#include "work.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* How much of what a failed VMM wrote is kept, in bytes. */
#define LAST_WORDS 500
/* Where the descriptors begin that a VMM is handed. */
#define FIRST_HANDED 3

/* The process to start. */
static struct {
	struct identity identity;
	char *words[MOST_WORDS + 2], *variables[MOST_VARIABLES + 1];
	int handed[MOST_HANDED];
	struct rlimit limits[RLIM_NLIMITS];
	bool limited[RLIM_NLIMITS], confined;
	unsigned word_count, variable_count, handed_count;
	const char *stands_in;
	mode_t umask;
} process = { .word_count = 1, .stands_in = "/", .umask = 022 };

/* The VMM's FIFO, open so that what is in there outlives the VMM; -1 where it has none. */
static int output = -1;

/* --- what describes it ----------------------------------------------------------------------------- */

bool describe_process(const struct instruction *each)
{
	const uint64_t *number = each->number;
	char *text = (char *)each->text[0];

	switch (each->code) {
	case USER:
		process.identity.uid = number[0];
		process.identity.gid = number[1];
		break;
	case GROUP:
		process.identity.groups[process.identity.group_count++] = number[0];
		break;
	case RIGHTS:
		process.identity.has_rights = true;
		process.identity.bounding = number[0];
		process.identity.inheritable = number[1];
		process.identity.ambient = number[2];
		break;
	case CONFINE:
		process.confined = true;
		break;
	case LABEL:
		process.identity.label = text;
		break;
	case LIMIT:
		process.limited[number[0]] = true;
		process.limits[number[0]] = (struct rlimit){ number[1], number[2] };
		break;
	case VARIABLE:
		process.variables[process.variable_count++] = text;
		break;
	case STAND:
		process.stands_in = text;
		break;
	case UMASK:
		process.umask = number[0];
		break;
	case WORD:
		process.words[process.word_count++] = text;
		break;
	case HAND:
		process.handed[process.handed_count++] = file_of(number[0]);
		break;
	default:
		return fail("nothing of a process is described by %s", each->name);
	}
	return true;
}

/* Opens the directory that a path lies in. A link on the way may be a user's, who would have root follow it. */
static int open_parent(const char *path, const char **name)
{
	struct open_how how = { .flags = O_PATH | O_DIRECTORY | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS };
	const char *slash = strrchr(path, '/');
	char parent[PATH_MAX];

	*name = slash + 1;
	snprintf(parent, sizeof(parent), "%.*s", slash == path ? 1 : (int)(slash - path), path);
	return syscall(SYS_openat2, AT_FDCWD, parent, &how, sizeof(how));
}

bool make_directory(const struct instruction *each)
{
	const char *path = each->text[0], *name;
	int parent = open_parent(path, &name), fd;
	bool made = parent >= 0 && !mkdirat(parent, name, 0700);

	if (parent < 0 || (!made && errno != EEXIST))
		return fail_errno("making directory", path);
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	/* One that was there has an owner already. */
	if (fd < 0 || (made && (fchown(fd, each->number[1], each->number[2]) || fchmod(fd, each->number[0]))))
		return fail_errno("giving away directory", path);
	close(fd);
	close(parent);
	return true;
}

/* --- what starts it -------------------------------------------------------------------------------- */

/* A path in the carrier's directory, of this machine. */
static const char *own_path(const char *suffix)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%d.%s", work.around->directory, work.machine->number, suffix);
	return path;
}

/*
 * Where the VMM writes: a FIFO that keeps it until there is a journal (`relay.c`). It is no file, which would grow for
 * as long as the machine runs, and never full so that the VMM would stand still.
 */
static bool open_output(void)
{
	const char *path = own_path("out");

	if ((mkfifo(path, 0600) && errno != EEXIST) || lchown(path, process.identity.uid, process.identity.gid))
		return fail_errno("making", path);
	output = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
	return true;
}

void say_last_words(void)
{
	char data[65536];
	ssize_t bytes = work.around->inherits ? 0 : read(output, data, sizeof(data) - 1), from;

	if (bytes <= 0)
		return;
	data[bytes] = '\0';
	from = bytes > LAST_WORDS ? bytes - LAST_WORDS : 0;
	say(work.machine->number, "output", "%s", data + from);
}

/* Puts the files that it is handed behind the descriptors from 3 on, and lets nothing else through. */
static bool hand_over(void)
{
	int lowest = FIRST_HANDED + process.handed_count;

	/* First out of the way: a number that is wanted may be one of those handed over. */
	for (unsigned i = 0; i < process.handed_count; i++)
		process.handed[i] = fcntl(process.handed[i], F_DUPFD_CLOEXEC, lowest);
	for (unsigned i = 0; i < process.handed_count; i++)
		if (dup2(process.handed[i], FIRST_HANDED + i) < 0)
			return false;
	syscall(SYS_close_range, lowest, ~0u, 4u /* CLOSE_RANGE_CLOEXEC */);
	return true;
}

/* In the VMM's process: becomes it, or returns with a `problem`. */
static bool become(pid_t worker)
{
	int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
	int pid = open(own_path("pid"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	bool inherits = work.around->inherits;
	sigset_t none;

	/* Until its number is written down it must not outlive whoever started it: nobody would know of it. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != worker)
		_exit(1);
	/* Written by itself and before anything else: whoever finds a VMM finds its number here. */
	if (dprintf(pid, "%d\n", getpid()) < 0)
		return fail_errno("writing the number of", "the VMM");
	prctl(PR_SET_PDEATHSIG, 0);
	setsid();
	come_first();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (dup2(nothing, 0) < 0 || (!inherits && (dup2(output, 1) < 0 || dup2(output, 2) < 0)))
		return fail_errno("opening", "/dev/null or the output of the VMM");
	if (!hand_over())
		return fail_errno("handing over", "a file");
	umask(process.umask);
	for (int i = 0; i < RLIM_NLIMITS; i++)
		if (process.limited[i] && setrlimit(i, &process.limits[i]))
			return fail_errno("setting", "a limit");
	/* Who is not root is nobody else already. */
	if (geteuid() == 0 && !become_user(&process.identity))
		return fail_errno("becoming", "the user of the VMM");
	/* As that user: what lies below may not be for everybody. */
	if (chdir(process.stands_in))
		return fail_errno("standing in", process.stands_in);
	if (process.identity.label && !be_confined(process.identity.label))
		return fail_errno("setting the security label", process.identity.label);
	if (process.confined && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return fail_errno("giving up", "new privileges");
	execve(process.words[0], process.words, process.variables);
	return fail_errno("executing", process.words[0]);
}

bool start_vmm(const struct instruction *each)
{
	pid_t own = getpid();

	process.words[0] = (char *)each->text[0];
	if (!work.around->inherits && !open_output())
		return false;
	work.vmm = fork();
	if (work.vmm == 0) {
		become(own);
		/* What it says of itself is not the guest's end: its parent sees that. */
		say(work.machine->number, "failed", "%s", work.problem);
		_exit(1);
	}
	if (work.vmm < 0)
		return fail_errno("forking for", each->text[0]);
	work.uid = geteuid() == 0 ? process.identity.uid : geteuid();
	work.pidfd = syscall(SYS_pidfd_open, work.vmm, 0);
	work.around->progress->vmm = work.vmm;
	tell_keeper();
	return work.pidfd >= 0 || fail_errno("watching", each->text[0]);
}
