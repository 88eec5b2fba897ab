// SPDX-License-Identifier: Apache-2.0
#include "worker.h"
#include "fault.h"
#include "log.h"
#include "needs.h"
#include "setup.h"
#include "talk.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/openat2.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* How much of what a failed VMM wrote is kept, in bytes. */
#define LAST_WORDS 500
/* Where the descriptors begin that a VMM is handed. */
#define FIRST_HANDED 3

/* The process to start. */
static struct {
	char *words[MOST_WORDS + 2], *variables[MOST_VARIABLES + 1];
	gid_t groups[MOST_GROUPS];
	int handed[MOST_HANDED];
	struct rlimit limits[RLIM_NLIMITS];
	bool limited[RLIM_NLIMITS];
	unsigned word_count, variable_count, group_count, handed_count;
	const char *stands_in;
	uid_t uid;
	gid_t gid;
	mode_t umask;
	bool has_rights, no_new_privileges;
	uint64_t bounding, inheritable, ambient;
} process = { .word_count = 1, .stands_in = "/", .umask = 022 };

static const struct machine *machine;
static const struct surroundings *around;
static struct vmm vmm = { .pidfd = -1 };

static void tell_keeper(void)
{
	if (write(around->news, "", 1) < 0)
		return;
}

static void say_last_words(void);

/* Ends this machine's part. A VMM whose guest has not run is ended too: the agent starts another one. */
static _Noreturn void give_up(const char *problem)
{
	say(machine->number, "failed", "%s", problem);
	if (vmm.pidfd >= 0 && around->progress->mark < RUNNING) {
		syscall(SYS_pidfd_send_signal, vmm.pidfd, SIGKILL, NULL, 0);
		/* The agent may start another one as soon as this process is gone. */
		poll(&(struct pollfd){ vmm.pidfd, POLLIN, 0 }, 1, 5000);
	}
	if (vmm.pidfd >= 0)
		say_last_words();
	_exit(1);
}

static _Noreturn void give_up_errno(const char *what, const char *name)
{
	char problem[600];

	snprintf(problem, sizeof(problem), "%s %.400s: %s", what, name, strerror(errno));
	give_up(problem);
}

/* The VMM's FIFO, open so that what is in there outlives the VMM; -1 where it has none. */
static int output = -1;

/* A path in the carrier's directory, of this machine. */
static const char *own_path(const char *suffix)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%d.%s", around->directory, machine->number, suffix);
	return path;
}

static int open_pid_file(void)
{
	return open(own_path("pid"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
}

/*
 * Where the VMM writes: a FIFO that keeps it until there is a journal (`relay.c`). It is no file, which would grow for
 * as long as the machine runs, and never full so that the VMM would stand still.
 */
static int open_output(void)
{
	const char *path = own_path("out");

	if ((mkfifo(path, 0600) && errno != EEXIST) || lchown(path, process.uid, process.gid))
		give_up_errno("making", path);
	return open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
}

/* Puts the last that a VMM wrote into the log: with its FIFO it would be lost. */
static void say_last_words(void)
{
	char data[65536];
	ssize_t bytes = around->inherits ? 0 : read(output, data, sizeof(data) - 1), from;

	if (bytes <= 0)
		return;
	data[bytes] = '\0';
	from = bytes > LAST_WORDS ? bytes - LAST_WORDS : 0;
	say(machine->number, "output", "%s", data + from);
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

static void make_directory(const struct instruction *each)
{
	const char *path = each->text[0], *name;
	int parent = open_parent(path, &name), fd;
	bool made = parent >= 0 && !mkdirat(parent, name, 0700);

	if (parent < 0 || (!made && errno != EEXIST))
		give_up_errno("making directory", path);
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	/* One that was there has an owner already. */
	if (fd < 0 || (made && (fchown(fd, each->number[1], each->number[2]) || fchmod(fd, each->number[0]))))
		give_up_errno("giving away directory", path);
	close(fd);
	close(parent);
}

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
 * Becomes the VMM's user, with its capabilities and no others. execve gives root what is in the bounding set or is
 * inheritable, and every other user what is ambient (capabilities(7)).
 */
static bool take_identity(void)
{
	bool of_user = process.uid != 0 && process.has_rights;

	/* First: what is not in the bounding set any more cannot be made inheritable. */
	if (process.has_rights && !set_capabilities(NULL, process.inheritable))
		return false;
	for (int i = 0; process.has_rights && is_capability(i); i++)
		if (!(process.bounding >> i & 1) && prctl(PR_CAPBSET_DROP, i, 0, 0, 0))
			return false;
	/* Otherwise all is lost with root, and nothing can be made ambient. */
	if (of_user && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0))
		return false;
	if (setgroups(process.group_count, process.groups) || setresgid(process.gid, process.gid, process.gid) ||
	    setresuid(process.uid, process.uid, process.uid))
		return false;
	if (of_user && !set_capabilities(&process.ambient, process.inheritable))
		return false;
	for (int i = 0; is_capability(i); i++)
		if (process.ambient >> i & 1 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0))
			return false;
	return true;
}

/* In the VMM's process: becomes it. */
static _Noreturn void become(pid_t worker)
{
	int nothing = open("/dev/null", O_RDWR | O_CLOEXEC), pid = open_pid_file();
	int lowest = FIRST_HANDED + process.handed_count;
	sigset_t none;

	/* Until its number is written down it must not outlive whoever started it: nobody would know of it. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != worker)
		_exit(1);
	/* Written by itself and before anything else: whoever finds a VMM finds its number here. */
	if (dprintf(pid, "%d\n", getpid()) < 0)
		give_up_errno("writing the number of", "the VMM");
	prctl(PR_SET_PDEATHSIG, 0);
	setsid();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (dup2(nothing, 0) < 0 || (!around->inherits && (dup2(output, 1) < 0 || dup2(output, 2) < 0)))
		give_up_errno("opening", "/dev/null or the output of the VMM");
	/* First out of the way: a number that is wanted may be one of those handed over. */
	for (unsigned i = 0; i < process.handed_count; i++)
		process.handed[i] = fcntl(process.handed[i], F_DUPFD_CLOEXEC, lowest);
	for (unsigned i = 0; i < process.handed_count; i++)
		if (dup2(process.handed[i], FIRST_HANDED + i) < 0)
			give_up_errno("handing over", "a file");
	syscall(SYS_close_range, lowest, ~0u, 4u /* CLOSE_RANGE_CLOEXEC */);
	umask(process.umask);
	for (int i = 0; i < RLIM_NLIMITS; i++)
		if (process.limited[i] && setrlimit(i, &process.limits[i]))
			give_up_errno("setting", "a limit");
	/* Who is not root is nobody else already. */
	if (geteuid() == 0 && !take_identity())
		give_up_errno("becoming", "the user of the VMM");
	/* As that user: what lies below may not be for everybody. */
	if (chdir(process.stands_in))
		give_up_errno("standing in", process.stands_in);
	if (process.no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		give_up_errno("giving up", "new privileges");
	execve(process.words[0], process.words, process.variables);
	give_up_errno("executing", process.words[0]);
}

static void start(const char *program)
{
	pid_t pid, own = getpid();

	process.words[0] = (char *)program;
	if (!around->inherits)
		output = open_output();
	pid = fork();
	if (pid == 0) {
		/* What it says of itself is not the guest's end. */
		vmm.pidfd = -1;
		become(own);
	}
	if (pid < 0)
		give_up_errno("forking for", program);
	vmm.pid = pid;
	vmm.uid = geteuid() == 0 ? process.uid : geteuid();
	vmm.pidfd = syscall(SYS_pidfd_open, pid, 0);
	around->progress->vmm = pid;
	tell_keeper();
	if (vmm.pidfd < 0)
		give_up_errno("watching", program);
}

static void write_mark(uint8_t mark)
{
	uint8_t before = 0;

	/* Somebody has settled this machine since, and may have started it elsewhere. */
	if (mark == RUNNING && (pread(machine->mark_file, &before, 1, machine->mark_offset) != 1 || before != STARTING))
		give_up("it was settled while it was started");
	/* First, so that nobody ends a VMM whose file says that its guest may run. */
	around->progress->mark = mark;
	if (pwrite(machine->mark_file, &mark, 1, machine->mark_offset) != 1)
		give_up_errno("writing", "its mark");
	tell_keeper();
}

/* Does what makes the process. */
static void prepare(const struct instruction *each)
{
	const uint64_t *number = each->number;

	switch (each->code) {
	case DIRECTORY:
		make_directory(each);
		break;
	case USER:
		process.uid = number[0];
		process.gid = number[1];
		break;
	case GROUP:
		process.groups[process.group_count++] = number[0];
		break;
	case RIGHTS:
		process.has_rights = true;
		process.bounding = number[0];
		process.inheritable = number[1];
		process.ambient = number[2];
		break;
	case NO_NEW_PRIVILEGES:
		process.no_new_privileges = true;
		break;
	case LIMIT:
		process.limited[number[0]] = true;
		process.limits[number[0]] = (struct rlimit){ number[1], number[2] };
		break;
	case VARIABLE:
		process.variables[process.variable_count++] = (char *)each->text[0];
		break;
	case STAND:
		process.stands_in = each->text[0];
		break;
	case UMASK:
		process.umask = number[0];
		break;
	case WORD:
		process.words[process.word_count++] = (char *)each->text[0];
		break;
	default:
		process.handed[process.handed_count++] = around->files[number[0]];
		break;
	}
}

/* Does what is not only of the process: waits, and what happens with the VMM. False: `vmm.problem` */
static bool act(const struct instruction *each)
{
	static int stream = -1, monitor = -1, attached[MOST_ATTACHED];
	static unsigned attached_count;
	const uint64_t *number = each->number;
	bool done;

	switch (each->code) {
	case MOUNTED:
	case PRESENT:
	case INTERFACE:
		return wait_for(&vmm, machine->session, each);
	case MODULE:
		load_module(machine->number, each);
		return true;
	case NODE:
		give_node(each);
		return true;
	case PATIENCE:
		vmm.quiet_s = number[0];
		vmm.whole_s = number[1];
		vmm.least_bytes = number[2];
		begin_wait(&vmm);
		return true;
	case START:
		start(each->text[0]);
		return true;
	case CONNECT:
		stream = connect_to(&vmm, each->text[0]);
		return stream >= 0;
	case ATTACH:
		attached[attached_count++] = around->files[number[0]];
		return true;
	case PLAY:
		done = play(&vmm, stream, around->files[number[0]], number[1], number[2], attached, attached_count);
		attached_count = 0;
		return done;
	case SHUT:
		shutdown(stream, SHUT_WR);
		return true;
	case CLOSE:
		close(stream);
		stream = -1;
		return true;
	case MONITOR:
		monitor = connect_to(&vmm, each->text[0]);
		return monitor >= 0 && begin_monitor(&vmm, monitor);
	case TELL:
		return tell(&vmm, monitor, each->text[0]);
	case UNTIL:
		return until(&vmm, monitor, each->text[0], each->text[1], each->text[2]);
	case MARK:
		write_mark(number[0]);
		return true;
	default:
		say(machine->number, each->text[0], "%s", "");
		return true;
	}
}

/* Whether every file of a machine's part is in hand: there is no starting it with less. */
static bool is_whole(struct part part)
{
	struct instruction each;
	bool whole = machine->mark_file >= 0;

	while (next_instruction(&part, &each))
		if (each.code == HAND || each.code == ATTACH || each.code == PLAY)
			whole = whole && around->files[each.number[0]] >= 0;
	return whole;
}

/* Whether the whole state is there: writing the mark behind it would make up the rest. */
static bool has_its_state(void)
{
	struct stat facts;

	return !fstat(machine->mark_file, &facts) && (uint64_t)facts.st_size >= machine->mark_offset;
}

void bring_back(const struct machine *own, const struct surroundings *surroundings)
{
	struct part part = own->part;
	struct instruction each;

	machine = own;
	around = surroundings;
	vmm.machine = own->number;
	if (!is_whole(part))
		give_up("a file of it could not be retrieved");
	if (!has_its_state())
		give_up("its saved state is shorter than its record says");
	for (unsigned number = 0; next_instruction(&part, &each); number++) {
		fault_point(own->number, number, each.name);
		if ((each.code >= DIRECTORY && each.code <= HAND) || each.code == RIGHTS || each.code == NO_NEW_PRIVILEGES) {
			prepare(&each);
			continue;
		}
		begin_wait(&vmm);
		if (!act(&each))
			give_up(vmm.problem);
		if (each.code != NOTE)
			say(own->number, each.name, "%.200s", each.text[0] ? each.text[0] : "");
	}
	_exit(0);
}
