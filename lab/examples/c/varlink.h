/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The least of a Varlink client (https://varlink.org): a call is one JSON object and a NUL over a Unix socket, a reply
 * is another. A descriptor travels beside its reply (SCM_RIGHTS). A connection has one call at a time, so everything
 * before the reply's NUL belongs to that reply.
 */
#ifndef VARLINK_H
#define VARLINK_H

#include <stdbool.h>
#include <stddef.h>

#include "json.h"

struct varlink {
	/* -1 when not connected. */
	int socket;
	char *buffer;
	size_t used, room;
	/* The descriptor beside an incomplete reply; -1 for none. */
	int descriptor;
};

#define VARLINK_CLOSED ((struct varlink){ .socket = -1, .descriptor = -1 })

struct varlink_reply {
	/* The message, which the receiver of the reply frees. */
	char *message;
	struct json parameters;
	/* Name of the error, empty if the reply is not an error. */
	char error[128];
	bool continues;
	/* -1 for none; the receiver of the reply closes it. */
	int descriptor;
};

/* All of these return false with a reason in varlink_problem(); the connection is closed then. */

bool varlink_connect(struct varlink *varlink, const char *path);

/* Sends a call. `parameters` is a JSON object; `more` asks for a stream of replies. */
bool varlink_send(struct varlink *varlink, const char *method, const char *parameters, bool more);

/* Reads what there is on the socket, waiting if there is nothing. */
bool varlink_read(struct varlink *varlink);

/* Takes the next complete reply out of what was read. `*taken` says whether there was one. */
bool varlink_take(struct varlink *varlink, struct varlink_reply *reply, bool *taken);

/* Waits for the one reply to a call. */
bool varlink_call(struct varlink *varlink, const char *method, const char *parameters, struct varlink_reply *reply);

void varlink_close(struct varlink *varlink);
void varlink_done(struct varlink_reply *reply);

const char *varlink_problem(void);

#endif
