// SPDX-License-Identifier: Apache-2.0
/*
 * A VMM that comes through a live update by its own doing. The agent only lends it a session: what is preserved in
 * it, and under which tokens, is the VMM's own business, and so is getting it back.
 *
 *     cooperating-vmm SESSION [SOCKET]
 *
 * Started where there is no such session, it makes a machine and the session, and preserves the machine's files.
 * It follows the agent's status: when a live update announces its kexec the machine stands still and its state is
 * written into a preserved file; if the update is called off, it goes on. Started after the kexec, it finds the
 * session incoming, takes the machine out of it, lets it run, and only then has the session finished and its files
 * preserved anew. It never makes a new machine where the old one may still be: if the session cannot be retrieved,
 * or is one of this kernel, it says so and ends.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "agent.h"
#include "machine.h"
#include "session.h"

static const uint64_t MEMORY_TOKEN = 0x1000, STATE_TOKEN = 0x1001;
static const long COUNT_NS = 250000000;

/* Where the machine's files are, seen from the session. */
enum protection {
	/* In the incoming session still. */
	TO_FINISH,
	/* Neither, or only the first of them, is in the outgoing session. */
	TO_PRESERVE,
	TO_PRESERVE_STATE,
	PROTECTED,
};

struct vmm {
	const char *session;
	struct agent agent;
	struct machine machine;
	enum protection protection;
};

static void say_wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void say_wrong(const char *format, ...)
{
	va_list arguments;

	fputs("cooperating-vmm: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
}

#define die(...) (say_wrong(__VA_ARGS__), exit(1))

static void wait_for_normal(struct vmm *vmm)
{
	enum phase phase;
	bool news;

	do {
		if (!agent_read_phase(&vmm->agent, &phase, &news))
			die("%s", agent_problem());
	} while (!news || phase != PHASE_NORMAL);
}

static int retrieve(struct vmm *vmm, int session, uint64_t token, const char *what)
{
	int file, error = session_retrieve(session, token, &file);

	if (error)
		die("session %s: token 0x%" PRIx64 ", the machine's %s: %s; no other machine is started in its place",
		    vmm->session, token, what, strerror(-error));
	return file;
}

/* Takes the machine out of the incoming session. The agent keeps the session, so this can be done again. */
static void take_machine(struct vmm *vmm)
{
	int session, memory, state;
	const char *wrong;

	if (agent_fetch_session(&vmm->agent, vmm->session, &session) != ANSWER_DONE)
		die("%s", agent_problem());
	memory = retrieve(vmm, session, MEMORY_TOKEN, "memory");
	state = retrieve(vmm, session, STATE_TOKEN, "device state");
	close(session);
	wrong = machine_restore(&vmm->machine, memory, state);
	if (wrong)
		die("session %s: %s; no other machine is started in its place", vmm->session, wrong);
	vmm->protection = TO_FINISH;
	machine_say(&vmm->machine, "retrieved");
}

static void make_machine(struct vmm *vmm)
{
	const char *wrong;

	if (agent_call(&vmm->agent, "CreateSession", vmm->session) != ANSWER_DONE)
		die("%s", agent_problem());
	wrong = machine_create(&vmm->machine);
	if (wrong)
		die("a new machine: %s", wrong);
	vmm->protection = TO_PRESERVE;
	machine_say(&vmm->machine, "created");
}

/* That the agent has no such session does not mean that the kernel has none: only asking for it tells. */
static enum answer ask_kernel(struct vmm *vmm)
{
	wait_for_normal(vmm);
	return agent_call(&vmm->agent, "RetrieveSession", vmm->session);
}

static void start(struct vmm *vmm)
{
	enum direction direction = INCOMING;
	enum answer answer = agent_find_session(&vmm->agent, vmm->session, &direction);
	const char *wrong;

	if (answer == ANSWER_NOT_FOUND)
		answer = ask_kernel(vmm);
	if (answer == ANSWER_NOT_FOUND)
		make_machine(vmm);
	else if (answer != ANSWER_DONE)
		die("%s", agent_problem());
	else if (direction == OUTGOING)
		die("session %s exists and no live update has carried it here: the machine in it runs, or ended without one; "
		    "closing the session gives that machine up",
		    vmm->session);
	else
		take_machine(vmm);
	wrong = machine_run(&vmm->machine);
	if (wrong)
		die("starting the machine: %s", wrong);
}

static bool preserve(struct vmm *vmm, int session, uint64_t token, int file)
{
	int error = session_preserve(session, token, file);

	if (error)
		say_wrong("session %s: preserving token 0x%" PRIx64 ": %s", vmm->session, token, strerror(-error));
	return !error;
}

/*
 * Does what is left to do until the next live update can come. Called whenever none is under way, so what fails is
 * tried again with the next news; the machine runs in any case.
 */
static void protect(struct vmm *vmm)
{
	int session;

	if (vmm->protection == PROTECTED)
		return;
	if (vmm->protection == TO_FINISH) {
		if (agent_call(&vmm->agent, "FinishSession", vmm->session) != ANSWER_DONE) {
			say_wrong("%s", agent_problem());
			return;
		}
		vmm->protection = TO_PRESERVE;
	}
	if (agent_fetch_session(&vmm->agent, vmm->session, &session) != ANSWER_DONE) {
		say_wrong("%s", agent_problem());
		return;
	}
	if (vmm->protection == TO_PRESERVE && preserve(vmm, session, MEMORY_TOKEN, vmm->machine.memory_file))
		vmm->protection = TO_PRESERVE_STATE;
	if (vmm->protection == TO_PRESERVE_STATE && preserve(vmm, session, STATE_TOKEN, vmm->machine.state_file))
		vmm->protection = PROTECTED;
	/* The agent holds the session; kept open here, it could not be closed by those who may close it. */
	close(session);
	if (vmm->protection == PROTECTED)
		machine_say(&vmm->machine, "protected");
}

static void stand_still(struct vmm *vmm)
{
	const char *wrong = machine_suspend(&vmm->machine);

	if (wrong)
		say_wrong("writing the device state: %s", wrong);
	else
		machine_say(&vmm->machine, "suspended");
}

static void enter(struct vmm *vmm, enum phase phase)
{
	if (phase == PHASE_SUSPENDING && vmm->machine.running)
		stand_still(vmm);
	if (phase != PHASE_NORMAL)
		return;
	if (!vmm->machine.running) {
		const char *wrong = machine_run(&vmm->machine);

		if (wrong)
			die("going on with the machine: %s", wrong);
		machine_say(&vmm->machine, "resumed");
	}
	protect(vmm);
}

/* An agent that is gone comes back, and the machine does as it did meanwhile. */
static void read_news(struct vmm *vmm)
{
	enum phase phase;
	bool news;

	if (!agent_read_phase(&vmm->agent, &phase, &news))
		say_wrong("%s", agent_problem());
	else if (news)
		enter(vmm, phase);
}

static void on_tick(struct vmm *vmm, int timer)
{
	uint64_t ticks;

	if (read(timer, &ticks, sizeof(ticks)) != sizeof(ticks))
		return;
	if (vmm->machine.running)
		machine_count(&vmm->machine);
	if (vmm->agent.status.socket < 0)
		agent_follow(&vmm->agent);
}

static void run(struct vmm *vmm, int signals, int timer)
{
	for (;;) {
		struct pollfd ready[] = {
			{ .fd = vmm->agent.status.socket, .events = POLLIN },
			{ .fd = timer, .events = POLLIN },
			{ .fd = signals, .events = POLLIN },
		};

		if (poll(ready, 3, -1) < 0) {
			if (errno == EINTR)
				continue;
			die("poll: %s", strerror(errno));
		}
		if (ready[2].revents)
			return;
		if (ready[0].revents)
			read_news(vmm);
		if (ready[1].revents)
			on_tick(vmm, timer);
	}
}

int main(int argc, char **argv)
{
	struct vmm vmm = { .agent = { AGENT_SOCKET, VARLINK_CLOSED } };
	struct itimerspec every = { { 0, COUNT_NS }, { 0, COUNT_NS } };
	sigset_t ends;
	int signals, timer;

	if (argc < 2 || argc > 3) {
		fprintf(stderr, "usage: cooperating-vmm SESSION [SOCKET]\n");
		return 2;
	}
	if (!agent_is_name(argv[1])) {
		say_wrong("session '%s': 1 to 63 letters, digits, '-', '_' or '.' are expected", argv[1]);
		return 2;
	}
	vmm.session = argv[1];
	if (argc == 3)
		vmm.agent.path = argv[2];
	setvbuf(stdout, NULL, _IOLBF, 0);
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	signals = signalfd(-1, &ends, SFD_CLOEXEC);
	timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	if (signals < 0 || timer < 0 || timerfd_settime(timer, 0, &every, NULL))
		die("signalfd or timerfd: %s", strerror(errno));
	if (!agent_follow(&vmm.agent))
		die("%s", agent_problem());
	start(&vmm);
	run(&vmm, signals, timer);
	/* Whoever replaces the kernel without the agent stops services first: the state has to be there all the same. */
	if (vmm.machine.running)
		stand_still(&vmm);
	return 0;
}
