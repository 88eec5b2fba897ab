// SPDX-License-Identifier: Apache-2.0
/* The monitor of a VMM that was started. What it says is believed no more than what comes of its other sockets. */
#include "log.h"
#include "patience.h"
#include "stream.h"
#include "work.h"
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINE_BYTES (256u << 10)

static int monitor = -1;
/* What has come of the monitor: of one machine in this process. */
static char line[LINE_BYTES];
static size_t filled, used;

/* The next line, without its end. NULL: `problem` */
static const char *next_line(void)
{
	for (;;) {
		char *end = memchr(line + used, '\n', filled - used), *begin = line + used;
		ssize_t got;

		if (end) {
			*end = '\0';
			used = end + 1 - line;
			return begin;
		}
		memmove(line, begin, filled - used);
		filled -= used;
		used = 0;
		if (filled == sizeof(line)) {
			fail("a line of the monitor has over %u bytes", LINE_BYTES);
			return NULL;
		}
		if (!ready(monitor, POLLIN, "answer on its monitor"))
			return NULL;
		got = read(monitor, line + filled, sizeof(line) - filled);
		if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
			fail("the VMM hung up its monitor");
			return NULL;
		}
		if (got > 0)
			filled += got;
	}
}

static bool begins(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

static bool send_command(const char *command)
{
	const char *pieces[] = { command, "\r\n" };

	for (int i = 0; i < 2; i++)
		for (size_t left = strlen(pieces[i]); left;) {
			ssize_t sent = send(monitor, pieces[i] + strlen(pieces[i]) - left, left, MSG_NOSIGNAL);

			if (sent < 0 && errno != EAGAIN && errno != EINTR)
				return fail("the VMM hung up its monitor");
			if (sent < 0 && !ready(monitor, POLLOUT, "read from its monitor"))
				return false;
			left -= sent > 0 ? sent : 0;
		}
	return true;
}

/* The answer to a command. `events`: how many came before it, which may tell of what has changed since it was given. */
static const char *answer_to(const char *command, unsigned *events)
{
	const char *answer;

	*events = 0;
	if (!send_command(command))
		return NULL;
	for (; (answer = next_line()); ++*events) {
		if (begins(answer, "{\"return\""))
			return answer;
		if (begins(answer, "{\"error\"")) {
			fail("QEMU answered %.300s to %.100s", answer, command);
			return NULL;
		}
	}
	return NULL;
}

/* Whether one of several texts, with `|` between them, is in an answer. */
static bool has_one_of(const char *answer, const char *texts)
{
	char text[100];

	for (size_t length; *texts; texts += length + (texts[length] == '|')) {
		length = strcspn(texts, "|");
		snprintf(text, sizeof(text), "%.*s", (int)length, texts);
		if (strstr(answer, text))
			return true;
	}
	return false;
}

bool open_monitor(const struct instruction *each)
{
	const char *greeting;
	unsigned events;

	monitor = connect_to(each->text[0]);
	greeting = monitor < 0 ? NULL : next_line();
	if (greeting && !begins(greeting, "{\"QMP\""))
		return fail("a monitor greets with QMP, this one with %.100s", greeting);
	return greeting && answer_to("{\"execute\":\"qmp_capabilities\"}", &events);
}

bool tell_monitor(const struct instruction *each)
{
	unsigned events;

	return answer_to(each->text[0], &events);
}

/* Whatever comes of it costs nothing. */
bool try_monitor(const struct instruction *each)
{
	unsigned events;

	if (!answer_to(each->text[0], &events))
		say(work.machine->number, "problem", "%s", work.problem);
	return true;
}

bool ask_until(const struct instruction *each)
{
	const char *wanted = each->text[0], *refused = each->text[1], *command = each->text[2], *answer;
	unsigned events;

	while ((answer = answer_to(command, &events))) {
		if (*wanted == '!' ? !has_one_of(answer, wanted + 1) : !!strstr(answer, wanted))
			return true;
		if (*refused && strstr(answer, refused))
			return fail("QEMU answered %.300s to %.100s", answer, command);
		/* What has changed since is told by an event, which QEMU may have sent before its answer. */
		if (!events && !next_line())
			return false;
	}
	return false;
}
