// SPDX-License-Identifier: Apache-2.0
#include "worker.h"
#include "fault.h"
#include "log.h"
#include "patience.h"
#include "priority.h"
#include "process.h"
#include "work.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* How long a VMM whose connections are closed may take to end. */
#define END_MS 100

struct work work = { .pidfd = -1 };

static bool (*const acts[CODES])(const struct instruction *each) = {
#define ACT(NAME, name, code, place, act, ...) [code] = act,
	MACHINE_INSTRUCTIONS(ACT)
};

bool fail(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(work.problem, sizeof(work.problem), format, arguments);
	va_end(arguments);
	return false;
}

bool fail_errno(const char *doing, const char *name)
{
	return fail("%s %.400s: %s", doing, name, strerror(errno));
}

void tell_keeper(void)
{
	if (write(work.around->news, "", 1) < 0)
		return;
}

int file_of(uint64_t number)
{
	return work.around->files[number];
}

/* The instruction that is being done; none before the first. */
static struct instruction doing;

/* Says by which signal the VMM has ended, if one did it: it may have been well, and the host short of memory. */
static void say_its_signal(void)
{
	siginfo_t end = { 0 };

	/* That its connections are closed is seen before it has ended. */
	if (poll(&(struct pollfd){ work.pidfd, POLLIN, 0 }, 1, END_MS) <= 0)
		return;
	if (waitid(P_PID, work.vmm, &end, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	    (end.si_code == CLD_KILLED || end.si_code == CLD_DUMPED))
		say(work.machine->number, "problem", "its VMM was ended by signal %d", end.si_status);
}

/* Ends this machine's part. A VMM whose guest has not run is ended too: the agent starts another one. */
static _Noreturn void give_up(void)
{
	if (doing.name)
		say(work.machine->number, "at", "%s%s%.200s", doing.name, doing.text[0] ? " " : "", doing.text[0] ? doing.text[0] : "");
	if (work.pidfd >= 0)
		say_its_signal();
	say(work.machine->number, "failed", "%s", work.problem);
	if (work.pidfd >= 0 && work.around->progress->mark < RUNNING) {
		syscall(SYS_pidfd_send_signal, work.pidfd, SIGKILL, NULL, 0);
		/* The agent may start another one as soon as this process is gone. */
		poll(&(struct pollfd){ work.pidfd, POLLIN, 0 }, 1, 5000);
	}
	if (work.pidfd >= 0)
		say_last_words();
	_exit(1);
}

bool write_mark(const struct instruction *each)
{
	const struct machine *machine = work.machine;
	uint8_t mark = each->number[0], before = 0;
	ssize_t got = pread(machine->mark_file, &before, 1, machine->mark_offset);

	/* Somebody has settled this machine since, or had it run. */
	if (got < 0 || (mark == RUNNING ? before != STARTING : before > STARTING))
		return fail("its mark is %u already: it was settled, or started by somebody else", before);
	/* First, so that nobody ends a VMM whose file says that its guest may run. */
	work.around->progress->mark = mark;
	if (pwrite(machine->mark_file, &mark, 1, machine->mark_offset) != 1)
		return fail_errno("writing", "its mark");
	tell_keeper();
	return true;
}

bool write_note(const struct instruction *each)
{
	say(work.machine->number, each->text[0], "%s", "");
	return true;
}

/* Whether every file of a machine's part is in hand: there is no starting it with less. */
static bool is_whole(struct part part)
{
	struct instruction each;
	bool whole = work.machine->mark_file >= 0;

	while (next_instruction(&part, &each))
		if (each.code == HAND || each.code == ATTACH || each.code == PLAY)
			whole = whole && file_of(each.number[0]) >= 0;
	return whole;
}

/* Whether the whole state is there: writing the mark behind it would make up the rest. */
static bool has_its_state(void)
{
	struct stat facts;

	return !fstat(work.machine->mark_file, &facts) && (uint64_t)facts.st_size >= work.machine->mark_offset;
}

void bring_back(const struct machine *machine, const struct surroundings *around)
{
	struct part part = machine->part;
	bool done = true;

	come_first();
	work.machine = machine;
	work.around = around;
	if (!is_whole(part))
		done = fail("a file of it could not be retrieved");
	else if (!has_its_state())
		done = fail("its saved state is shorter than its record says");
	for (unsigned number = 0; done && next_instruction(&part, &doing); number++) {
		fault_point(machine->number, number, doing.name);
		if (doing.place != PROCESS)
			begin_wait();
		done = acts[doing.code](&doing);
		if (done && doing.place != PROCESS && doing.code != NOTE)
			say(machine->number, doing.name, "%.200s", doing.text[0] ? doing.text[0] : "");
	}
	if (!done)
		give_up();
	_exit(0);
}
