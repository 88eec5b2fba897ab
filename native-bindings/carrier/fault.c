// SPDX-License-Identifier: Apache-2.0
#include "fault.h"
#ifdef FAULTS
#include "log.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void fault_point(int machine, unsigned number, const char *name)
{
	const char *fault = getenv("luo_fault"), *who = fault ? strchr(fault, ':') : NULL;
	char here[20], by_number[40], by_name[60];

	snprintf(here, sizeof(here), machine == ALL ? "keeper" : "%d", machine);
	snprintf(by_number, sizeof(by_number), ":%s:%u", here, number);
	snprintf(by_name, sizeof(by_name), ":%s:%s", here, name);
	if (!who || (strcmp(who, by_number) && strcmp(who, by_name)))
		return;
	say(machine, "fault", "process %d", getpid());
	if (!strncmp(fault, "crash", 5))
		abort();
	for (;;)
		pause();
}
#endif
