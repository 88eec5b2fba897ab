// SPDX-License-Identifier: Apache-2.0
#include "log.h"
#include "program.h"
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define TEXT_BYTES 1000
/* Beyond the descriptors that a VMM can be handed (MOST_HANDED), and within every usual limit. */
#define LOWEST_LOG 600
_Static_assert(LOWEST_LOG > 3 + MOST_HANDED, "a VMM could be handed the log's number");

static int log_file = -1;

void open_log(const char *directory)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/log", directory);
	log_file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	/* Above all numbers that a VMM is handed: else a child that fails would write its words into a machine's memory. */
	if (log_file >= 0) {
		int low = log_file;

		log_file = fcntl(low, F_DUPFD_CLOEXEC, LOWEST_LOG);
		close(low);
	}
}

void say(int machine, const char *event, const char *format, ...)
{
	/* In the worst case each byte of the text becomes six. */
	char text[TEXT_BYTES], line[6 * TEXT_BYTES + 200];
	struct timespec now;
	va_list arguments;
	size_t at;

	clock_gettime(CLOCK_BOOTTIME, &now);
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	at = snprintf(line, 100, "{\"ns\":%lu,\"machine\":", now.tv_sec * 1000000000ul + now.tv_nsec);
	at += machine == ALL ? snprintf(line + at, 10, "null") : snprintf(line + at, 12, "%d", machine);
	at += snprintf(line + at, 80, ",\"event\":\"%.40s\",\"text\":\"", event);
	for (const char *each = text; *each; each++)
		if (*each < ' ' || *each > '~' || *each == '"' || *each == '\\')
			at += snprintf(line + at, 7, "\\u%04x", (uint8_t)*each);
		else
			line[at++] = *each;
	at += snprintf(line + at, 4, "\"}\n");
	if (write(log_file, line, at) < 0)
		return;
}
