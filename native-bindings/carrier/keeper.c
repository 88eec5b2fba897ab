// SPDX-License-Identifier: Apache-2.0
#include "keeper.h"
#include "device.h"
#include "fault.h"
#include "log.h"
#include "program.h"
#include "setup.h"
#include "worker.h"
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

/* Where the agent puts the program: `programToken` of liveupdate/tokens.ts. */
#define PROGRAM_TOKEN 0xffffffffffff4000ull
/* The index session, by its name and by its former one. */
static const char *const index_names[] = { "luo-console", "luo-agent" };
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

static uint8_t program[PROGRAM_HEADER_BYTES + MOST_BODY_BYTES];
/* What was taken of the kernel; the program has numbers of its own for them. */
static struct {
	const char *name;
	int fd;
} taken[MOST_SESSIONS + 2];
/* By the numbers of the program: a place in `taken`, and a descriptor or a negative errno. */
static int sessions[MOST_SESSIONS], files[MOST_FILES];
static struct machine machines[MOST_MACHINES];
static struct {
	pid_t pid;
	int pidfd;
	const char *state;
} workers[MOST_MACHINES];
/* How many machines are started at once: more than there are processors make each other wait. */
static uint64_t together = MOST_MACHINES;
static unsigned taken_count, session_count, file_count, machine_count;
static struct progress *progress;
static pid_t holder;
/* Shared with the holder, which closes them when the keeper is gone. */
static int device = -1, gate_end = -1;

static void write_status(const char *directory, enum state state)
{
	char path[256], new_path[256];
	FILE *status;

	snprintf(path, sizeof(path), "%s/status", directory);
	snprintf(new_path, sizeof(new_path), "%s/status.new", directory);
	status = fopen(new_path, "we");
	if (!status)
		return;
	fprintf(status, "luo-carrier 1\nstate %s\nkeeper %d\nholder %d\n", state_name[state], getpid(), holder);
	for (unsigned i = 0; i < machine_count; i++) {
		char pid[20] = "-";

		if (progress[i].vmm)
			snprintf(pid, sizeof(pid), "%d", progress[i].vmm);
		fprintf(status, "machine %u %s %s %s\n", i, pid, workers[i].state, machines[i].session);
	}
	if (fclose(status) == 0)
		rename(new_path, path);
}

/* --- what was handed over ----------------------------------------------------------------------- */

/* Shares the keeper's descriptors, so that a crash of it closes none. Does nothing else. */
static _Noreturn void hold(pid_t keeper)
{
	int pidfd = syscall(SYS_pidfd_open, keeper, 0);

	prctl(PR_SET_NAME, "carrier-holder");
	while (pidfd >= 0 && poll(&(struct pollfd){ pidfd, POLLIN, 0 }, 1, -1) < 0 && errno == EINTR)
		;
	/* The host waits for this, and the agent needs the device. */
	close(gate_end);
	close(device);
	for (;;)
		pause();
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

/* Reads a program and looks at it. Returns what is wrong, or NULL. */
static const char *read_program(int file, struct part *part)
{
	size_t bytes = 0;
	ssize_t got;

	while (bytes < sizeof(program) && (got = pread(file, program + bytes, sizeof(program) - bytes, bytes)) > 0)
		bytes += got;
	return check_program(program, bytes, part);
}

/* Takes a session, unless it was. One that cannot be taken costs only its machines. Returns its place in `taken`. */
static int take(const char *name)
{
	for (unsigned i = 0; i < taken_count; i++)
		if (!strcmp(taken[i].name, name))
			return i;
	taken[taken_count].name = name;
	taken[taken_count].fd = take_session(device, name);
	if (taken[taken_count].fd < 0)
		say(ALL, "problem", "session %s: %s", name, strerror(-taken[taken_count].fd));
	return taken_count++;
}

static int retrieve(const struct instruction *each)
{
	int session = sessions[each->number[0]];
	int file = taken[session].fd < 0 ? -ENOENT : retrieve_file(taken[session].fd, each->number[1]);

	if (file < 0)
		say(ALL, "problem", "token %#llx of session %s: %s", (unsigned long long)each->number[1],
		    taken[session].name, strerror(-file));
	return file;
}

/* Goes through the instructions outside of machines. `given`: the first of files that are there already, or -1. */
static void begin(struct part part, int given)
{
	struct instruction each;

	while (next_instruction(&part, &each)) {
		switch (each.code) {
		case SESSION:
			if (given < 0)
				sessions[session_count++] = take(each.text[0]);
			break;
		case FETCH:
			files[file_count] = given < 0 ? retrieve(&each) : given + (int)file_count;
			file_count++;
			break;
		case MACHINE:
			machines[machine_count] = (struct machine){ .number = machine_count,
								    .session = each.text[0],
								    .part = { part.at, part.at + each.number[2] },
								    .mark_file = files[each.number[0]],
								    .mark_offset = each.number[1] };
			workers[machine_count++].state = "waiting";
			part.at += each.number[2];
			break;
		case TOGETHER:
			together = each.number[0];
			break;
		default:
			set_up_more(&each);
			break;
		}
	}
}

/* Finds the program in the sessions of the index's names. Returns its file, or a negative errno. */
static int find_program(void)
{
	int file = -ENOENT;

	for (unsigned i = 0; i < sizeof(index_names) / sizeof(index_names[0]) && file < 0; i++) {
		int session = take_session(device, index_names[i]);

		if (session < 0)
			continue;
		/* Kept in any case: the agent needs it. */
		taken[taken_count].name = index_names[i];
		taken[taken_count++].fd = session;
		file = retrieve_file(session, PROGRAM_TOKEN);
	}
	return file;
}

/* --- workers ------------------------------------------------------------------------------------ */

static void start_worker(unsigned i, const char *directory, int news)
{
	struct surroundings around = { directory, files, &progress[i], news };
	pid_t keeper = getpid();

	workers[i].state = "working";
	workers[i].pid = fork();
	if (workers[i].pid == 0) {
		/* Whoever ends the keeper wants nothing more to be done. One that is gone already tells nobody. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != keeper)
			_exit(1);
		bring_back(&machines[i], &around);
	}
	workers[i].pidfd = workers[i].pid < 0 ? -1 : (int)syscall(SYS_pidfd_open, workers[i].pid, 0);
	if (workers[i].pidfd < 0)
		workers[i].state = "failed";
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
		for (; begun < machine_count && busy < together + more; busy++)
			start_worker(begun++, directory, news[1]);
		write_status(directory, WORKING);
		fault_point(ALL, 4, "started");
		if (!busy)
			return;
		for (unsigned i = 0; i < begun; i++)
			waits[i] = (struct pollfd){ workers[i].pidfd, POLLIN, 0 };
		waits[begun] = (struct pollfd){ news[0], POLLIN, 0 };
		/* Those that are started wait for something: that must not keep others from starting. */
		if (!poll(waits, begun + 1, begun < machine_count ? IDLE_MS : -1))
			more++;
		while (read(news[0], bytes, sizeof(bytes)) > 0)
			;
		for (unsigned i = 0; i < begun; i++)
			if (workers[i].pidfd >= 0 && waits[i].revents)
				settle(i);
	}
}

/* Has all machines brought back. Returns whether all of them run. */
static bool bring_all_back(const char *directory)
{
	int news[2];
	bool all = true;

	if (pipe2(news, O_CLOEXEC | O_NONBLOCK)) {
		say(ALL, "failed", "pipe: %s", strerror(errno));
		write_status(directory, FAILED);
		return false;
	}
	watch_workers(directory, news);
	for (unsigned i = 0; i < machine_count; i++)
		all = all && !strcmp(workers[i].state, "running");
	say(ALL, "done", "%s", "");
	write_status(directory, DONE);
	return all;
}

static bool prepare(void)
{
	/* As many as all files and sessions; a VMM gets limits of its own. */
	struct rlimit open_files = { MOST_FILES + 1024, MOST_FILES + 1024 };

	setrlimit(RLIMIT_NOFILE, &open_files);
	signal(SIGPIPE, SIG_IGN);
	umask(0);
	progress = mmap(NULL, MOST_MACHINES * sizeof(*progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return progress != MAP_FAILED;
}

static _Noreturn void stay(void)
{
	for (;;)
		pause();
}

/* There is nothing that it could do. What it has taken it keeps, for the agent. */
static _Noreturn void give_up(const char *directory, const char *why)
{
	say(ALL, "failed", "%s", why);
	write_status(directory, FAILED);
	close(device);
	close(gate_end);
	if (taken_count)
		stay();
	kill(holder, SIGKILL);
	_exit(1);
}

void keep(const char *directory, int gate)
{
	struct part part;
	const char *problem;
	int file;

	setsid();
	gate_end = gate;
	open_log(directory);
	say(ALL, "born", "%s", "");
	if (!prepare())
		give_up(directory, "there is no memory to share");
	/* As fork, with one table of descriptors for both. */
	pid_t keeper = getpid();
	holder = syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, 0);
	if (holder == 0)
		hold(keeper);
	write_status(directory, RETRIEVING);
	fault_point(ALL, 0, "begun");
	device = open_patiently();
	if (device < 0)
		give_up(directory, device == -ENOENT ? "this kernel has no /dev/liveupdate" : strerror(-device));
	fault_point(ALL, 1, "opened");
	file = find_program();
	if (file < 0)
		give_up(directory, taken_count ? "the index session has no resume program" : "no index session was handed over");
	problem = read_program(file, &part);
	close(file);
	if (problem) {
		char text[200];

		snprintf(text, sizeof(text), "the resume program cannot be used: %s", problem);
		give_up(directory, text);
	}
	fault_point(ALL, 2, "read");
	begin(part, -1);
	close(device);
	device = -1;
	say(ALL, "retrieved", "%u sessions, %u files, %u machines", taken_count, file_count, machine_count);
	close(gate_end);
	gate_end = -1;
	fault_point(ALL, 3, "retrieved");
	bring_all_back(directory);
	fault_point(ALL, 5, "done");
	stay();
}

int resume(const char *directory)
{
	struct part part;
	const char *problem;

	open_log(directory);
	say(ALL, "born", "%s", "");
	if (!prepare())
		return 1;
	problem = read_program(PROGRAM_FILE, &part);
	if (problem) {
		fprintf(stderr, "carrier: the resume program cannot be used: %s\n", problem);
		return 2;
	}
	begin(part, FIRST_FILE);
	return bring_all_back(directory) ? 0 : 1;
}
