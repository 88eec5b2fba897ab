// SPDX-License-Identifier: Apache-2.0
#include "patience.h"
#include "log.h"
#include "work.h"
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A VMM goes on that uses this part of one processor, or whose memory grows by so much, within its patience. */
#define BUSY_SHARE 20
#define GROWN_BYTES (1 << 20)

int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

/* What a VMM has used so far, all its threads together. */
struct effort {
	int64_t busy_ms, resident_bytes;
};

/* Of this process's one VMM: since when something is waited for, and when it was last seen to go on. */
static struct {
	int64_t began_ms, seen_ms;
	struct effort seen;
} wait;

static struct effort effort_of(pid_t pid)
{
	char path[40], text[1024];
	unsigned long user = 0, system = 0;
	long pages = 0;
	const char *behind_name;
	ssize_t bytes;
	int stat;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	stat = open(path, O_RDONLY | O_CLOEXEC);
	bytes = read(stat, text, sizeof(text) - 1);
	close(stat);
	text[bytes < 0 ? 0 : bytes] = '\0';
	/* A name may have any bytes (proc_pid_stat(5)): what is wanted are fields 14, 15 and 24. */
	behind_name = strrchr(text, ')');
	if (behind_name)
		sscanf(behind_name, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d %*d %*d %*u %*u %ld", &user,
		       &system, &pages);
	return (struct effort){ (int64_t)(user + system) * 1000 / sysconf(_SC_CLK_TCK), (int64_t)pages * sysconf(_SC_PAGESIZE) };
}

static void seen(int64_t at_ms, struct effort effort)
{
	wait.seen_ms = at_ms;
	wait.seen = effort;
	/* It ends this process if that hangs, and the keeper ends the VMM: no wait takes so long without a look. */
	alarm(2 * work.quiet_s + HANG_S);
}

void begin_wait(void)
{
	wait.began_ms = now_ms();
	seen(wait.began_ms, work.vmm ? effort_of(work.vmm) : (struct effort){ 0 });
}

/* Whether a VMM that is not ready goes on all the same: it may have much memory to fill or to lock. */
static bool goes_on(const char *what)
{
	struct effort effort = effort_of(work.vmm);
	int64_t at_ms = now_ms();

	if (effort.busy_ms - wait.seen.busy_ms < (at_ms - wait.seen_ms) / BUSY_SHARE &&
	    effort.resident_bytes - wait.seen.resident_bytes < GROWN_BYTES)
		return fail("the VMM did not %s: for %u s it did hardly anything", what, work.quiet_s);
	/* One that is busy without end, with nothing that it would have to do. */
	if (at_ms - wait.began_ms >= work.whole_s * 1000ll)
		return fail("the VMM did not %s: it was busy for %u s", what, work.whole_s);
	seen(at_ms, effort);
	say(work.machine->number, "waits", "for its VMM, which is busy, to %s", what);
	return true;
}

bool wait_a_while(int fd, short events, int most_ms, const char *what, bool *is_ready)
{
	struct pollfd waits[] = { { fd, events, 0 }, { work.pidfd, POLLIN, 0 } };
	int64_t left_ms = wait.seen_ms + work.quiet_s * 1000ll - now_ms();

	if (left_ms <= 0 && !goes_on(what))
		return false;
	if (left_ms <= 0)
		left_ms = work.quiet_s * 1000ll;
	if (poll(waits, 2, most_ms < left_ms ? most_ms : (int)left_ms) < 0)
		waits[0].revents = waits[1].revents = 0;
	*is_ready = waits[0].revents;
	return *is_ready || !waits[1].revents || fail("the VMM did not %s: it ended", what);
}

bool ready(int fd, short events, const char *what)
{
	bool is_ready = false;

	while (!is_ready)
		if (!wait_a_while(fd, events, INT_MAX, what, &is_ready))
			return false;
	return true;
}

bool set_patience(const struct instruction *each)
{
	work.quiet_s = each->number[0];
	work.whole_s = each->number[1];
	work.least_bytes = each->number[2];
	begin_wait();
	return true;
}
