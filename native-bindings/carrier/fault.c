// SPDX-License-Identifier: Apache-2.0
#include "fault.h"
#ifdef FAULTS
#include "log.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void fault_point(int machine, unsigned number)
{
	const char *fault = getenv("luo_fault"), *who = fault ? strchr(fault, ':') : NULL;
	char here[40];

	if (machine == ALL)
		snprintf(here, sizeof(here), ":keeper:%u", number);
	else
		snprintf(here, sizeof(here), ":%d:%u", machine, number);
	if (!who || strcmp(who, here))
		return;
	say(machine, "fault", "%s", fault);
	if (!strncmp(fault, "crash", 5))
		abort();
	for (;;)
		pause();
}
#endif
