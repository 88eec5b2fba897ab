// SPDX-License-Identifier: Apache-2.0
/* See agent.h. */
#include "agent.h"

#include <stdio.h>
#include <string.h>

#define INTERFACE "io.luoconsole.Agent."

static char problem[1024];

const char *agent_problem(void)
{
	return problem;
}

static enum answer refused(const struct varlink_reply *reply, const char *method)
{
	int length = reply->parameters.length > 512 ? 512 : (int)reply->parameters.length;

	snprintf(problem, sizeof(problem), "%s: %s %.*s", method, reply->error, length, reply->parameters.start);
	if (!strcmp(reply->error, INTERFACE "SessionNotFound"))
		return ANSWER_NOT_FOUND;
	if (!strcmp(reply->error, INTERFACE "WrongPhase"))
		return ANSWER_NOT_NOW;
	return ANSWER_REFUSED;
}

static enum answer no_answer(const char *method, const char *why)
{
	snprintf(problem, sizeof(problem), "%s: %s", method, why);
	return ANSWER_NONE;
}

bool agent_is_name(const char *name)
{
	size_t length = strlen(name);

	return length > 0 && length < 64 &&
	       strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.") == length;
}

static enum answer call(struct agent *agent, const char *method, const char *session, struct varlink_reply *reply)
{
	char full[64], parameters[96];
	struct varlink connection;
	enum answer answer = ANSWER_DONE;

	snprintf(full, sizeof(full), INTERFACE "%s", method);
	snprintf(parameters, sizeof(parameters), "{\"name\":\"%s\"}", session);
	if (!varlink_connect(&connection, agent->path) || !varlink_call(&connection, full, parameters, reply))
		return no_answer(method, varlink_problem());
	varlink_close(&connection);
	if (*reply->error) {
		answer = refused(reply, method);
		varlink_done(reply);
	}
	return answer;
}

enum answer agent_call(struct agent *agent, const char *method, const char *session)
{
	struct varlink_reply reply;
	enum answer answer = call(agent, method, session, &reply);

	if (answer == ANSWER_DONE)
		varlink_done(&reply);
	return answer;
}

enum answer agent_find_session(struct agent *agent, const char *session, enum direction *direction)
{
	struct varlink_reply reply;
	struct json found, value;
	char text[16] = "";
	enum answer answer = call(agent, "GetSession", session, &reply);

	if (answer != ANSWER_DONE)
		return answer;
	if (json_member(reply.parameters, "session", &found) == 1 && json_member(found, "direction", &value) == 1)
		json_text(value, text, sizeof(text));
	varlink_done(&reply);
	if (!strcmp(text, "incoming"))
		*direction = INCOMING;
	else if (!strcmp(text, "outgoing"))
		*direction = OUTGOING;
	else
		return no_answer("GetSession", "a session of no known direction");
	return ANSWER_DONE;
}

enum answer agent_fetch_session(struct agent *agent, const char *session, int *descriptor)
{
	struct varlink_reply reply;
	struct json value;
	int index;
	enum answer answer = call(agent, "FetchSession", session, &reply);

	if (answer != ANSWER_DONE)
		return answer;
	/* An index into the descriptors that came along, of which there is one at most. */
	if (json_member(reply.parameters, "fileDescriptor", &value) != 1 || !json_index(value, 0, &index) ||
	    reply.descriptor < 0) {
		varlink_done(&reply);
		return no_answer("FetchSession", "a reply without the descriptor it should come with");
	}
	*descriptor = reply.descriptor;
	reply.descriptor = -1;
	varlink_done(&reply);
	return ANSWER_DONE;
}

bool agent_follow(struct agent *agent)
{
	if (varlink_connect(&agent->status, agent->path) &&
	    varlink_send(&agent->status, INTERFACE "GetStatus", "{}", true))
		return true;
	no_answer("GetStatus", varlink_problem());
	return false;
}

/* Whether the kexec is announced: the time until which it can still be called off is set. */
static bool understand_progress(struct json status, bool *announced)
{
	struct json progress, ends;
	int set = json_member(status, "progress", &progress);

	*announced = false;
	if (set == 1 && !json_is(progress, "null"))
		set = json_member(progress, "graceEndsAtUs", &ends);
	else
		return set <= 1;
	*announced = set == 1 && !json_is(ends, "null");
	return set <= 1;
}

static bool understand_phase(struct json parameters, enum phase *phase)
{
	struct json status, value;
	char text[16];
	bool announced;

	if (json_member(parameters, "status", &status) != 1 || json_member(status, "phase", &value) != 1 ||
	    !json_text(value, text, sizeof(text)) || !understand_progress(status, &announced))
		return false;
	/* The stream leaves out what is out of date already: `suspending` may be over before it could be told. */
	if (!strcmp(text, "normal"))
		*phase = PHASE_NORMAL;
	else if (announced || !strcmp(text, "suspending") || !strcmp(text, "kexec"))
		*phase = PHASE_SUSPENDING;
	else
		*phase = PHASE_OTHER;
	return true;
}

bool agent_read_phase(struct agent *agent, enum phase *phase, bool *news)
{
	struct varlink_reply reply;
	bool taken, understood;

	*news = false;
	if (!varlink_read(&agent->status)) {
		no_answer("GetStatus", varlink_problem());
		return false;
	}
	for (;;) {
		if (!varlink_take(&agent->status, &reply, &taken)) {
			no_answer("GetStatus", varlink_problem());
			return false;
		}
		if (!taken)
			return true;
		if (*reply.error)
			refused(&reply, "GetStatus");
		else
			no_answer("GetStatus", "a status that is not understood");
		understood = !*reply.error && reply.continues && understand_phase(reply.parameters, phase);
		varlink_done(&reply);
		if (!understood) {
			varlink_close(&agent->status);
			return false;
		}
		*news = true;
	}
}
