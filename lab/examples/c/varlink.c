// SPDX-License-Identifier: Apache-2.0
/* See varlink.h. */
#define _GNU_SOURCE
#include "varlink.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { PIECE = 65536, LONGEST = 16 << 20 };

static char problem[256];

const char *varlink_problem(void)
{
	return problem;
}

static bool fail(struct varlink *varlink, const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool fail(struct varlink *varlink, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(problem, sizeof(problem), format, arguments);
	va_end(arguments);
	varlink_close(varlink);
	return false;
}

void varlink_close(struct varlink *varlink)
{
	if (varlink->socket >= 0)
		close(varlink->socket);
	if (varlink->descriptor >= 0)
		close(varlink->descriptor);
	free(varlink->buffer);
	*varlink = VARLINK_CLOSED;
}

void varlink_done(struct varlink_reply *reply)
{
	if (reply->descriptor >= 0)
		close(reply->descriptor);
	free(reply->message);
	reply->descriptor = -1;
	reply->message = NULL;
}

bool varlink_connect(struct varlink *varlink, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	*varlink = VARLINK_CLOSED;
	if (strlen(path) >= sizeof(address.sun_path))
		return fail(varlink, "%s: a path of at most %zu bytes is expected", path, sizeof(address.sun_path) - 1);
	strcpy(address.sun_path, path);
	varlink->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (varlink->socket < 0)
		return fail(varlink, "socket: %s", strerror(errno));
	if (connect(varlink->socket, (struct sockaddr *)&address, sizeof(address)))
		return fail(varlink, "connect to %s: %s", path, strerror(errno));
	return true;
}

bool varlink_send(struct varlink *varlink, const char *method, const char *parameters, bool more)
{
	char *message;
	int length = asprintf(&message, "{\"method\":\"%s\",\"parameters\":%s%s}", method, parameters,
			      more ? ",\"more\":true" : "");
	/* The NUL that ends the text ends the message. */
	size_t left = length + 1, sent = 0;

	if (length < 0)
		return fail(varlink, "%s: %s", method, strerror(ENOMEM));
	while (left) {
		ssize_t taken = send(varlink->socket, message + sent, left, MSG_NOSIGNAL);

		if (taken < 0 && errno == EINTR)
			continue;
		if (taken < 0) {
			int error = errno;

			free(message);
			return fail(varlink, "%s: send: %s", method, strerror(error));
		}
		sent += taken;
		left -= taken;
	}
	free(message);
	return true;
}

/* Keeps the one descriptor that may come with a reply; any more are closed. False if there were more. */
static bool keep_descriptors(struct varlink *varlink, struct msghdr *header)
{
	bool one = !(header->msg_flags & MSG_CTRUNC);

	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = CMSG_LEN(0); at + sizeof(int) <= c->cmsg_len; at += sizeof(int)) {
			int descriptor;

			memcpy(&descriptor, (char *)c + at, sizeof(descriptor));
			if (varlink->descriptor < 0) {
				varlink->descriptor = descriptor;
			} else {
				close(descriptor);
				one = false;
			}
		}
	}
	return one;
}

bool varlink_read(struct varlink *varlink)
{
	union {
		struct cmsghdr aligned;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec piece;
	struct msghdr header = {
		.msg_iov = &piece,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t got;

	if (varlink->room - varlink->used < PIECE) {
		char *buffer;

		if (varlink->used + PIECE > LONGEST)
			return fail(varlink, "a reply of over %d bytes", LONGEST);
		buffer = realloc(varlink->buffer, varlink->used + PIECE);
		if (!buffer)
			return fail(varlink, "a reply: %s", strerror(ENOMEM));
		varlink->buffer = buffer;
		varlink->room = varlink->used + PIECE;
	}
	piece = (struct iovec){ varlink->buffer + varlink->used, varlink->room - varlink->used };
	do
		got = recvmsg(varlink->socket, &header, MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return fail(varlink, "recvmsg: %s", strerror(errno));
	if (!keep_descriptors(varlink, &header))
		return fail(varlink, "a reply came with more than one descriptor");
	if (got == 0)
		return fail(varlink, "the agent closed the connection");
	varlink->used += got;
	return true;
}

static bool understand(struct varlink_reply *reply, size_t length)
{
	struct json whole, error, more;
	int errors, continues;

	if (!json_read(reply->message, length, &whole))
		return false;
	if (json_member(whole, "parameters", &reply->parameters) != 1 || *reply->parameters.start != '{')
		return false;
	errors = json_member(whole, "error", &error);
	if (errors > 1 || (errors && (!json_text(error, reply->error, sizeof(reply->error)) || !*reply->error)))
		return false;
	continues = json_member(whole, "continues", &more);
	reply->continues = continues && json_is(more, "true");
	return continues <= 1;
}

bool varlink_take(struct varlink *varlink, struct varlink_reply *reply, bool *taken)
{
	char *end = varlink->used ? memchr(varlink->buffer, '\0', varlink->used) : NULL;
	size_t length;

	*taken = false;
	*reply = (struct varlink_reply){ .descriptor = -1 };
	if (!end)
		return true;
	length = end - varlink->buffer;
	/* With its NUL: a walk through the text never runs off its end. */
	reply->message = malloc(length + 1);
	if (!reply->message)
		return fail(varlink, "a reply: %s", strerror(ENOMEM));
	memcpy(reply->message, varlink->buffer, length + 1);
	varlink->used -= length + 1;
	memmove(varlink->buffer, end + 1, varlink->used);
	reply->descriptor = varlink->descriptor;
	varlink->descriptor = -1;
	if (!understand(reply, length)) {
		varlink_done(reply);
		return fail(varlink, "a reply that is no reply of Varlink");
	}
	*taken = true;
	return true;
}

bool varlink_call(struct varlink *varlink, const char *method, const char *parameters, struct varlink_reply *reply)
{
	bool taken;

	if (!varlink_send(varlink, method, parameters, false))
		return false;
	for (;;) {
		if (!varlink_read(varlink) || !varlink_take(varlink, reply, &taken))
			return false;
		if (!taken)
			continue;
		if (reply->continues || varlink->used) {
			varlink_done(reply);
			return fail(varlink, "%s: more than one reply", method);
		}
		return true;
	}
}
