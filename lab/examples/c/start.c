// SPDX-License-Identifier: Apache-2.0
/*
 * How a VMM gets its machine. It never makes a new one where the old one may still be. Agent and kernel must both
 * answer plainly that there is no such session; any other answer ends the program.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "session.h"
#include "vmm.h"

void say_wrong(const char *format, ...)
{
	va_list arguments;

	fputs("cooperating-vmm: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
}

static void wait_for_normal(struct vmm *vmm)
{
	bool normal, news;

	do {
		if (!agent_read_phase(&vmm->agent, &normal, &news))
			die("%s", agent_problem());
	} while (!news || !normal);
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

/* The kernel may have a session that the agent does not have: only asking the kernel tells. */
static enum answer ask_kernel(struct vmm *vmm)
{
	wait_for_normal(vmm);
	return agent_call(&vmm->agent, "RetrieveSession", vmm->session);
}

void vmm_start(struct vmm *vmm)
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
