/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The methods of io.luoconsole.Agent that a cooperating VMM uses, and no more of their replies than it needs.
 */
#ifndef AGENT_H
#define AGENT_H

#include <stdbool.h>

#include "varlink.h"

#define AGENT_SOCKET "/run/luo-console/io.luoconsole.Agent"

struct agent {
	const char *path;
	/* Streams, which the agent sends again on every change: its status, and whether the machine has to stop. */
	struct varlink status, attendance;
};

enum answer {
	ANSWER_DONE,
	/* The agent refused; agent_problem() says why. */
	ANSWER_REFUSED,
	/* Refused, because the session was not found. */
	ANSWER_NOT_FOUND,
	/* Refused, because a live update is under way. */
	ANSWER_NOT_NOW,
	/* No answer, or one that this program does not understand. */
	ANSWER_NONE,
};

enum direction { OUTGOING, INCOMING };

/* Whether a session may have this name here: one that needs no escapes in JSON. */
bool agent_is_name(const char *name);

/* A method whose only parameter is the name of a session. */
enum answer agent_call(struct agent *agent, const char *method, const char *session);

enum answer agent_find_session(struct agent *agent, const char *session, enum direction *direction);

/* `*descriptor` is the session's own; the caller closes it. */
enum answer agent_fetch_session(struct agent *agent, const char *session, int *descriptor);

/* Says that the machine is stopped and all of it preserved, or why it cannot be carried over; NULL for no problem. */
enum answer agent_report_still(struct agent *agent, const char *session, const char *problem);

/* Begin to follow agent->status, or agent->attendance of a session. */
bool agent_follow(struct agent *agent);
bool agent_attend(struct agent *agent, const char *session);

/*
 * Read what there is on a stream, and wait if there is nothing. `*normal` (no live update is under way) or `*still`
 * (the machine has to stop) is the newest of it, if `*news`. On failure the stream is closed.
 */
bool agent_read_phase(struct agent *agent, bool *normal, bool *news);
bool agent_read_still(struct agent *agent, bool *still, bool *news);

const char *agent_problem(void);

#endif
