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

static enum answer call(struct agent *agent, const char *method, const char *parameters, struct varlink_reply *reply)
{
	char full[64];
	struct varlink connection;
	enum answer answer = ANSWER_DONE;

	snprintf(full, sizeof(full), INTERFACE "%s", method);
	if (!varlink_connect(&connection, agent->path) || !varlink_call(&connection, full, parameters, reply))
		return no_answer(method, varlink_problem());
	varlink_close(&connection);
	if (*reply->error) {
		answer = refused(reply, method);
		varlink_done(reply);
	}
	return answer;
}

static enum answer call_about(struct agent *agent, const char *method, const char *session, struct varlink_reply *reply)
{
	char parameters[96];

	snprintf(parameters, sizeof(parameters), "{\"name\":\"%s\"}", session);
	return call(agent, method, parameters, reply);
}

enum answer agent_call(struct agent *agent, const char *method, const char *session)
{
	struct varlink_reply reply;
	enum answer answer = call_about(agent, method, session, &reply);

	if (answer == ANSWER_DONE)
		varlink_done(&reply);
	return answer;
}

enum answer agent_find_session(struct agent *agent, const char *session, enum direction *direction)
{
	struct varlink_reply reply;
	struct json found, value;
	char text[16] = "";
	enum answer answer = call_about(agent, "GetSession", session, &reply);

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
	enum answer answer = call_about(agent, "FetchSession", session, &reply);

	if (answer != ANSWER_DONE)
		return answer;
	/* An index into the descriptors beside the reply, of which there is at most one. */
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

/* The problem is text of this program, which needs no escapes. */
enum answer agent_report_still(struct agent *agent, const char *session, const char *why)
{
	char parameters[256];
	struct varlink_reply reply;
	enum answer answer;

	if (why)
		snprintf(parameters, sizeof(parameters), "{\"name\":\"%s\",\"problem\":\"%s\"}", session, why);
	else
		snprintf(parameters, sizeof(parameters), "{\"name\":\"%s\"}", session);
	answer = call(agent, "ReportStill", parameters, &reply);
	if (answer == ANSWER_DONE)
		varlink_done(&reply);
	return answer;
}

static bool follow(struct agent *agent, struct varlink *stream, const char *method, const char *parameters)
{
	if (varlink_connect(stream, agent->path) && varlink_send(stream, method, parameters, true))
		return true;
	no_answer(method, varlink_problem());
	return false;
}

bool agent_follow(struct agent *agent)
{
	return follow(agent, &agent->status, INTERFACE "GetStatus", "{}");
}

bool agent_attend(struct agent *agent, const char *session)
{
	char parameters[96];

	snprintf(parameters, sizeof(parameters), "{\"name\":\"%s\"}", session);
	return follow(agent, &agent->attendance, INTERFACE "AttendSession", parameters);
}

static bool understand_phase(struct json parameters, bool *normal)
{
	struct json status, value;
	char text[16];

	if (json_member(parameters, "status", &status) != 1 || json_member(status, "phase", &value) != 1 ||
	    !json_text(value, text, sizeof(text)))
		return false;
	*normal = !strcmp(text, "normal");
	return true;
}

static bool understand_still(struct json parameters, bool *still)
{
	struct json value;

	if (json_member(parameters, "still", &value) != 1)
		return false;
	*still = json_is(value, "true");
	return *still || json_is(value, "false");
}

static bool read_stream(struct varlink *stream, const char *method, bool (*understand)(struct json, bool *), bool *newest,
			bool *news)
{
	struct varlink_reply reply;
	bool taken, understood;

	*news = false;
	if (!varlink_read(stream)) {
		no_answer(method, varlink_problem());
		return false;
	}
	for (;;) {
		if (!varlink_take(stream, &reply, &taken)) {
			no_answer(method, varlink_problem());
			return false;
		}
		if (!taken)
			return true;
		if (*reply.error)
			refused(&reply, method);
		else
			no_answer(method, "a reply that is not understood");
		understood = !*reply.error && reply.continues && understand(reply.parameters, newest);
		varlink_done(&reply);
		if (!understood) {
			varlink_close(stream);
			return false;
		}
		*news = true;
	}
}

bool agent_read_phase(struct agent *agent, bool *normal, bool *news)
{
	return read_stream(&agent->status, "GetStatus", understand_phase, normal, news);
}

bool agent_read_still(struct agent *agent, bool *still, bool *news)
{
	return read_stream(&agent->attendance, "AttendSession", understand_still, still, news);
}
