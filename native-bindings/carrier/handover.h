// SPDX-License-Identifier: Apache-2.0
/* What the kernel before handed over, as the resume program says. */
#ifndef CARRIER_HANDOVER_H
#define CARRIER_HANDOVER_H

#include <stdbool.h>
#include <stdint.h>
#include "worker.h"

struct handover {
	/* By their numbers in the program: a descriptor, or a negative errno. */
	int files[MOST_FILES];
	struct machine machines[MOST_MACHINES];
	unsigned session_count, file_count, machine_count;
	/* How many machines are started at once: more than there are processors make each other wait. */
	uint64_t together;
};

/*
 * Takes the index session, and all sessions that the program in it names. `device` is open. Returns NULL, or why there is
 * no program to go through, in words. What was taken by then stays, for the agent: `session_count` says whether there is
 * any.
 */
const char *take_sessions(int device, struct handover *handover);
/* Retrieves the files of these sessions, and does what the program says for the whole host. */
void take_files(struct handover *handover);
/* The same of a program that is there already, with its files behind the descriptors from `first_file` on. */
const char *use_given(int program, int first_file, struct handover *handover);

#endif
