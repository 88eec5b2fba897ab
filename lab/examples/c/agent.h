/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The methods of io.luoconsole.Agent that a cooperating VMM uses, and no more of their replies than it needs.
 */
#ifndef AGENT_H
#define AGENT_H

#include <stdbool.h>

#include "varlink.h"

#define AGENT_SOCKET "/run/luo-agent/io.luoconsole.Agent"

struct agent {
	const char *path;
	/* The status, which the agent sends again on every change. Each call has a connection of its own. */
	struct varlink status;
};

enum answer {
	ANSWER_DONE,
	/* The agent refused; agent_problem() says why. */
	ANSWER_REFUSED,
	/* Refused, because there is no session of that name. */
	ANSWER_NOT_FOUND,
	/* Refused, because a live update is under way. */
	ANSWER_NOT_NOW,
	/* No answer, or none that is understood. */
	ANSWER_NONE,
};

enum direction { OUTGOING, INCOMING };

/* What matters to a VMM of where the host stands in a live update. */
enum phase {
	/* None is under way. */
	PHASE_NORMAL,
	/* The kexec is announced, or begins: machines have to stand still. */
	PHASE_SUSPENDING,
	/* Any other. */
	PHASE_OTHER,
};

/* Whether a session may have this name here: one that needs no escapes in JSON. */
bool agent_is_name(const char *name);

/* A method whose only parameter is the name of a session. */
enum answer agent_call(struct agent *agent, const char *method, const char *session);

enum answer agent_find_session(struct agent *agent, const char *session, enum direction *direction);

/* `*descriptor` is the session's own; the caller closes it. */
enum answer agent_fetch_session(struct agent *agent, const char *session, int *descriptor);

/* Begins to follow the status on agent->status. */
bool agent_follow(struct agent *agent);

/* Reads what there is of the status; waits if there is nothing. `*phase` is the newest, if `*news`. */
bool agent_read_phase(struct agent *agent, enum phase *phase, bool *news);

const char *agent_problem(void);

#endif
