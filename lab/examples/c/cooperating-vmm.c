// SPDX-License-Identifier: Apache-2.0
/*
 * A VMM that carries its machine through a live update itself. The agent only lends it a session. The VMM decides what
 * to preserve in it, and under which tokens, and retrieves it itself.
 *
 *     cooperating-vmm SESSION [SOCKET]
 *
 * Started without such a session, it makes a machine and the session, and preserves the machine's files. It attends the
 * session. Before a live update leaves, the agent asks it to stop the machine, and waits until the state is in a
 * preserved file. If the update is aborted, the machine goes on. Started after the kexec, it finds the session
 * incoming, takes the machine out of it and lets it run. Only then does it have the session finished, and preserves the
 * files again. It never makes a new machine where the old one may still be. If the session cannot be retrieved, or is
 * one of this kernel, it says so and ends.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "session.h"
#include "vmm.h"

static const long COUNT_NS = 250000000;

static bool preserve(struct vmm *vmm, int session, uint64_t token, int file)
{
	int error = session_preserve(session, token, file);

	if (error)
		say_wrong("session %s: preserving token 0x%" PRIx64 ": %s", vmm->session, token, strerror(-error));
	return !error;
}

/*
 * Does the work left before the next live update. Called whenever none is under way, so a failure is tried again with
 * the next news. The machine runs in any case.
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
	/* The agent holds the session. If it stayed open here, those who may close it could not. */
	close(session);
	if (vmm->protection == PROTECTED)
		machine_say(&vmm->machine, "protected");
}

static const char *stand_still(struct vmm *vmm)
{
	const char *wrong = machine_suspend(&vmm->machine);

	if (wrong)
		say_wrong("writing the device state: %s", wrong);
	else
		machine_say(&vmm->machine, "suspended");
	return wrong;
}

/* From the first moment on: a live update that comes too early must hear that. */
static void attend(struct vmm *vmm)
{
	if (!agent_attend(&vmm->agent, vmm->session))
		say_wrong("%s", agent_problem());
}

static void go_on(struct vmm *vmm)
{
	const char *wrong = machine_run(&vmm->machine);

	if (wrong)
		die("going on with the machine: %s", wrong);
	machine_say(&vmm->machine, "resumed");
}

/* The agent waits for this. A machine that cannot be carried over says so, and does not stop for nothing. */
static void answer(struct vmm *vmm)
{
	const char *problem = NULL;

	if (vmm->protection != PROTECTED)
		problem = "the machine is not preserved yet";
	else if (stand_still(vmm))
		problem = "the device state could not be written";
	if (agent_report_still(&vmm->agent, vmm->session, problem) != ANSWER_DONE)
		say_wrong("%s", agent_problem());
}

static void read_attendance(struct vmm *vmm)
{
	bool still, news;

	if (!agent_read_still(&vmm->agent, &still, &news))
		say_wrong("%s", agent_problem());
	else if (news && still && vmm->machine.running)
		answer(vmm);
	else if (news && !still && !vmm->machine.running)
		go_on(vmm);
}

static void read_status(struct vmm *vmm)
{
	bool normal, news;

	if (!agent_read_phase(&vmm->agent, &normal, &news))
		say_wrong("%s", agent_problem());
	else if (news && normal)
		protect(vmm);
	if (news && vmm->agent.attendance.socket < 0)
		attend(vmm);
}

static void on_tick(struct vmm *vmm, int timer)
{
	uint64_t ticks;

	if (read(timer, &ticks, sizeof(ticks)) != sizeof(ticks))
		return;
	if (vmm->machine.running)
		machine_count(&vmm->machine);
	/* An agent that is gone comes back; meanwhile the machine goes on as before. */
	if (vmm->agent.status.socket < 0)
		agent_follow(&vmm->agent);
}

static void run(struct vmm *vmm, int signals, int timer)
{
	for (;;) {
		struct pollfd ready[] = {
			{ .fd = vmm->agent.status.socket, .events = POLLIN },
			{ .fd = vmm->agent.attendance.socket, .events = POLLIN },
			{ .fd = timer, .events = POLLIN },
			{ .fd = signals, .events = POLLIN },
		};

		if (poll(ready, 4, -1) < 0) {
			if (errno == EINTR)
				continue;
			die("poll: %s", strerror(errno));
		}
		if (ready[3].revents)
			return;
		if (ready[0].revents)
			read_status(vmm);
		if (ready[1].revents)
			read_attendance(vmm);
		if (ready[2].revents)
			on_tick(vmm, timer);
	}
}

int main(int argc, char **argv)
{
	struct vmm vmm = { .agent = { AGENT_SOCKET, VARLINK_CLOSED, VARLINK_CLOSED } };
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
	vmm_start(&vmm);
	attend(&vmm);
	run(&vmm, signals, timer);
	/* Replacing the kernel without the agent stops services first: the state must be there then too. */
	if (vmm.machine.running)
		stand_still(&vmm);
	return 0;
}
