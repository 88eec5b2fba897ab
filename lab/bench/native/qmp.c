// SPDX-License-Identifier: Apache-2.0
#include "qmp.h"
#include "report.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The next line. It is at the beginning of the buffer, once `taken` bytes have been dropped. */
static size_t next_line(struct qmp *qmp, size_t taken)
{
	char *end;

	memmove(qmp->buffer, qmp->buffer + taken, qmp->filled -= taken);
	while (!(end = memchr(qmp->buffer, '\n', qmp->filled))) {
		ssize_t got = read(qmp->socket, qmp->buffer + qmp->filled, sizeof(qmp->buffer) - qmp->filled);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			fail("QMP: %s", got ? strerror(errno) : "QEMU hung up, or said more than fits");
		qmp->filled += got;
	}
	*end = '\0';
	return end + 1 - qmp->buffer;
}

/* Waits for a line with either text; it is left in place of what was read last. */
static const char *wait_for(struct qmp *qmp, const char *text, const char *other)
{
	size_t length = 0;

	do {
		length = next_line(qmp, length);
	} while (!strstr(qmp->buffer, text) && !strstr(qmp->buffer, other));
	return qmp->buffer;
}

/* Drops the line that was waited for, which ends with the only NUL there is. */
static void drop_line(struct qmp *qmp)
{
	char *end = qmp->filled ? memchr(qmp->buffer, '\0', qmp->filled) : NULL;
	size_t length = end ? (size_t)(end + 1 - qmp->buffer) : 0;

	memmove(qmp->buffer, qmp->buffer + length, qmp->filled -= length);
}

void qmp_begin(struct qmp *qmp, int socket)
{
	qmp->socket = socket;
	qmp->filled = 0;
	wait_for(qmp, "\"QMP\"", "\"QMP\"");
	qmp_command(qmp, "{\"execute\": \"qmp_capabilities\"}");
}

const char *qmp_command(struct qmp *qmp, const char *format, ...)
{
	char text[2048];
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if ((size_t)length >= sizeof(text))
		fail("QMP: a command of %d bytes, expected fewer than %zu", length, sizeof(text));
	drop_line(qmp);
	if (write(qmp->socket, text, length) != length)
		fail("QMP: %s: %s", text, strerror(errno));
	wait_for(qmp, "\"return\":", "\"error\":");
	if (!strstr(qmp->buffer, "\"return\":"))
		fail("QMP: %s: %s", text, qmp->buffer);
	return qmp->buffer;
}

void qmp_end(struct qmp *qmp)
{
	close(qmp->socket);
}
