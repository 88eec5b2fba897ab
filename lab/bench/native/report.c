// SPDX-License-Identifier: Apache-2.0
#include "report.h"
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/reboot.h>
#include <unistd.h>

#define PREFIX "<6>floor: "

static void write_line(const char *format, va_list arguments)
{
	char line[1000] = PREFIX;
	int length = sizeof(PREFIX) - 1 + vsnprintf(line + sizeof(PREFIX) - 1, 900, format, arguments);
	int log = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);

	/* One write is one line; where the log cannot be opened there is nobody to tell. */
	if (log < 0 || write(log, line, length) < 0)
		fprintf(stderr, "%s", line);
	if (log >= 0)
		close(log);
}

void say(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	write_line(format, arguments);
	va_end(arguments);
}

void fail(const char *format, ...)
{
	char why[800];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(why, sizeof(why), format, arguments);
	va_end(arguments);
	say("failed: %s", why);
	/* Nothing was written to the disk, and an init that only ended would make the kernel panic. */
	if (getpid() == 1)
		reboot(RB_POWER_OFF);
	exit(1);
}
