// SPDX-License-Identifier: Apache-2.0
#include "keeper.h"
#include "device.h"
#include "fault.h"
#include "handover.h"
#include "log.h"
#include "priority.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* How often the device is tried while somebody else has it: altogether no longer than process 1 waits. */
#define DEVICE_TRIES 300
#define DEVICE_PAUSE_US 5000
/* Nothing has come of any machine for so long: one more is started. */
#define IDLE_MS 1000
/* Descriptors of the ordinary program. */
#define PROGRAM_FILE 3
#define FIRST_FILE 4

enum state { RETRIEVING, WORKING, DONE, FAILED };
static const char *const state_name[] = { "retrieving", "working", "done", "failed" };

static struct handover all = { .together = MOST_MACHINES };
static struct {
	pid_t pid;
	int pidfd;
	const char *state;
} workers[MOST_MACHINES];
static struct progress *progress;
static pid_t holder;
/* Whether it is an ordinary program, whose output somebody has chosen. */
static bool ordinary;
/* Descriptors that the holder closes when the keeper is gone; -1 for none. Both have one table of descriptors. */
static struct {
	volatile int device, gate;
} *to_close;

static void write_status(const char *directory, enum state state)
{
	char path[256], new_path[256];
	FILE *status;
	int fd;

	snprintf(path, sizeof(path), "%s/status", directory);
	snprintf(new_path, sizeof(new_path), "%s/status.new", directory);
	/* The agent acts upon it as root: nobody else may write it. */
	fd = open(new_path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	status = fd < 0 ? NULL : fdopen(fd, "w");
	if (!status)
		return;
	fprintf(status, "luo-carrier 1\nstate %s\nkeeper %d\nholder %d\n", state_name[state], getpid(), holder);
	for (unsigned i = 0; i < all.machine_count; i++) {
		char pid[20] = "-";

		if (progress[i].vmm)
			snprintf(pid, sizeof(pid), "%d", progress[i].vmm);
		fprintf(status, "machine %u %s %s %s\n", i, pid, workers[i].state ? workers[i].state : "waiting", all.machines[i].session);
	}
	if (fclose(status) == 0)
		rename(new_path, path);
}

/* --- the device ----------------------------------------------------------------------------------- */

static _Noreturn void stay(void)
{
	for (;;)
		pause();
}

/* Shares the keeper's descriptors, so that a crash of it closes none. Does nothing else. */
static _Noreturn void hold(pid_t keeper)
{
	int pidfd = syscall(SYS_pidfd_open, keeper, 0);

	prctl(PR_SET_NAME, "carrier-holder");
	/* What the keeper still uses must not be closed. */
	if (pidfd < 0)
		stay();
	while (poll(&(struct pollfd){ pidfd, POLLIN, 0 }, 1, -1) < 0 && errno == EINTR)
		;
	/* The host waits for this, and the agent needs the device. */
	close(to_close->gate);
	close(to_close->device);
	stay();
}

/* Closes one of them for good. */
static void let_go(volatile int *descriptor)
{
	int fd = *descriptor;

	/* First: the number may soon be another file's. */
	*descriptor = -1;
	close(fd);
}

static int open_patiently(void)
{
	int fd = open_device();

	for (int i = 0; fd == -EBUSY && i < DEVICE_TRIES; i++) {
		usleep(DEVICE_PAUSE_US);
		fd = open_device();
	}
	return fd;
}

/* --- workers ------------------------------------------------------------------------------------ */

static void start_worker(unsigned i, const char *directory, int news)
{
	struct surroundings around = { directory, all.files, &progress[i], news, ordinary };
	pid_t keeper = getpid();

	workers[i].state = "working";
	workers[i].pid = fork();
	if (workers[i].pid == 0) {
		/* Whoever ends the keeper wants nothing more to be done. One that is gone already tells nobody. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != keeper)
			_exit(1);
		bring_back(&all.machines[i], &around);
	}
	workers[i].pidfd = workers[i].pid < 0 ? -1 : (int)syscall(SYS_pidfd_open, workers[i].pid, 0);
	if (workers[i].pidfd >= 0)
		return;
	/* Nobody would see its end. */
	workers[i].state = "failed";
	if (workers[i].pid > 0)
		kill(workers[i].pid, SIGKILL);
}

/* A worker has ended. */
static void settle(unsigned i)
{
	int status = 0;

	waitpid(workers[i].pid, &status, 0);
	close(workers[i].pidfd);
	workers[i].pidfd = -1;
	workers[i].state = WIFSIGNALED(status) ? "crashed" : WEXITSTATUS(status) ? "failed" : "running";
	if (!WIFSIGNALED(status))
		return;
	if (WTERMSIG(status) == SIGALRM)
		say(i, "failed", "the carrier's process for it did nothing for too long");
	else
		say(i, "failed", "the carrier's process for it was ended by signal %d", WTERMSIG(status));
	/* Its guest has not run: the agent starts another one. */
	if (progress[i].vmm && progress[i].mark < RUNNING)
		kill(progress[i].vmm, SIGKILL);
}

/* Starts machines in the program's order, and returns when the last has ended. */
static void watch_workers(const char *directory, const int news[2])
{
	struct pollfd waits[MOST_MACHINES + 1];
	unsigned begun = 0, more = 0;
	char bytes[256];

	for (;;) {
		unsigned busy = 0;

		for (unsigned i = 0; i < begun; i++)
			busy += workers[i].pidfd >= 0;
		for (; begun < all.machine_count && busy < all.together + more; busy++)
			start_worker(begun++, directory, news[1]);
		write_status(directory, WORKING);
		fault_point(ALL, 3, "started");
		if (!busy)
			return;
		for (unsigned i = 0; i < begun; i++)
			waits[i] = (struct pollfd){ workers[i].pidfd, POLLIN, 0 };
		waits[begun] = (struct pollfd){ news[0], POLLIN, 0 };
		/* Those that are started wait for something: that must not keep others from starting. */
		if (!poll(waits, begun + 1, begun < all.machine_count ? IDLE_MS : -1))
			more++;
		while (read(news[0], bytes, sizeof(bytes)) > 0)
			;
		for (unsigned i = 0; i < begun; i++)
			if (workers[i].pidfd >= 0 && waits[i].revents)
				settle(i);
	}
}

/* Has all machines brought back. Returns whether all of them run, or have been told to. */
static bool bring_all_back(const char *directory)
{
	int news[2];
	bool all_told = true;

	if (pipe2(news, O_CLOEXEC | O_NONBLOCK)) {
		say(ALL, "failed", "pipe: %s", strerror(errno));
		write_status(directory, FAILED);
		return false;
	}
	watch_workers(directory, news);
	for (unsigned i = 0; i < all.machine_count; i++)
		all_told = all_told && progress[i].mark >= RUNNING;
	say(ALL, "done", "%s", "");
	write_status(directory, DONE);
	return all_told;
}

static void *shared_memory(size_t bytes)
{
	return mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

static bool prepare(void)
{
	/* As many as all files and sessions; a VMM gets limits of its own. */
	struct rlimit open_files = { MOST_FILES + 1024, MOST_FILES + 1024 };

	setrlimit(RLIMIT_NOFILE, &open_files);
	signal(SIGPIPE, SIG_IGN);
	come_first();
	/* What others may have is given to them one by one. */
	umask(077);
	progress = shared_memory(MOST_MACHINES * sizeof(*progress));
	to_close = shared_memory(sizeof(*to_close));
	return progress != MAP_FAILED && to_close != MAP_FAILED;
}

/* There is nothing that it could do. What it has taken it keeps, for the agent. */
static _Noreturn void give_up(const char *directory, const char *why)
{
	say(ALL, "failed", "%s", why);
	write_status(directory, FAILED);
	let_go(&to_close->device);
	let_go(&to_close->gate);
	if (all.session_count)
		stay();
	if (holder > 0)
		kill(holder, SIGKILL);
	_exit(1);
}

void keep(const char *directory, int gate)
{
	const char *problem;
	int device;

	setsid();
	open_log(directory);
	say(ALL, "born", "%s", "");
	if (!prepare())
		_exit(1);
	to_close->device = -1;
	to_close->gate = gate;
	/* As fork, with one table of descriptors for both. */
	pid_t keeper = getpid();
	holder = syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, 0);
	if (holder == 0)
		hold(keeper);
	write_status(directory, RETRIEVING);
	fault_point(ALL, 0, "begun");
	device = open_patiently();
	to_close->device = device;
	if (device < 0)
		give_up(directory, device == -ENOENT ? "this kernel has no /dev/liveupdate" : strerror(-device));
	fault_point(ALL, 1, "opened");
	problem = take_sessions(device, &all);
	if (problem)
		give_up(directory, problem);
	/* Retrieving takes as long as there is memory, and needs no device: the host goes on. */
	let_go(&to_close->device);
	let_go(&to_close->gate);
	write_status(directory, WORKING);
	take_files(&all);
	say(ALL, "retrieved", "%u sessions, %u files, %u machines", all.session_count, all.file_count, all.machine_count);
	fault_point(ALL, 2, "retrieved");
	bring_all_back(directory);
	fault_point(ALL, 4, "done");
	stay();
}

int resume(const char *directory)
{
	const char *problem;

	ordinary = true;
	open_log(directory);
	say(ALL, "born", "%s", "");
	if (!prepare())
		return 1;
	problem = use_given(PROGRAM_FILE, FIRST_FILE, &all);
	if (problem) {
		say(ALL, "failed", "%s", problem);
		fprintf(stderr, "carrier: %s\n", problem);
		return 2;
	}
	return bring_all_back(directory) ? 0 : 1;
}
