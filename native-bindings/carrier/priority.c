// SPDX-License-Identifier: Apache-2.0
#include "priority.h"
#include "work.h"
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

/* The nice value that comes before all others (sched(7)). */
#define FIRST_NICE (-20)
/* How often the threads of a VMM are gone through. */
#define MOST_PASSES 10

/* Puts a session's group of processes first or where it was, if the kernel has such groups (sched(7), autogroup). */
static void put_group(pid_t pid, int nice)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/autogroup", pid);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0)
		dprintf(fd, "%d", nice);
	close(fd);
}

void come_first(void)
{
	struct sched_param none = { 0 };

	if (sched_setscheduler(0, SCHED_OTHER | SCHED_RESET_ON_FORK, &none) || setpriority(PRIO_PROCESS, 0, FIRST_NICE))
		return;
	/* Another session's group is not its own to put anywhere. */
	if (getsid(0) == getpid())
		put_group(getpid(), FIRST_NICE);
}

/* Puts every thread of the VMM where it belongs. Returns whether one was elsewhere. */
static bool put_threads(const char *tasks, int nice)
{
	DIR *directory = opendir(tasks);
	struct dirent *each;
	bool moved = false;

	while (directory && (each = readdir(directory))) {
		id_t thread = strtoul(each->d_name, NULL, 10);

		if (!thread || getpriority(PRIO_PROCESS, thread) == nice)
			continue;
		moved |= !setpriority(PRIO_PROCESS, thread, nice);
	}
	if (directory)
		closedir(directory);
	return moved;
}

bool set_nice(const struct instruction *each)
{
	int nice = (int)each->number[0] + FIRST_NICE, times = 0;
	struct sched_param none = { 0 };
	char tasks[64];

	snprintf(tasks, sizeof(tasks), "/proc/%d/task", work.vmm);
	sched_setscheduler(work.vmm, SCHED_OTHER, &none);
	/* A thread that is made meanwhile begins where the one is that made it. */
	while (put_threads(tasks, nice) && ++times < MOST_PASSES)
		;
	put_group(work.vmm, nice);
	return true;
}
