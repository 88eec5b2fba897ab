// SPDX-License-Identifier: Apache-2.0
/* Bringing one machine back, in a process of its own. */
#ifndef CARRIER_WORKER_H
#define CARRIER_WORKER_H

#include "program.h"
#include <sys/types.h>

/* How far a machine is. Its byte behind the machine's state is the agent's as well (`restart-mark.ts`). */
enum mark { UNTOUCHED = 0, STARTING = 1, RUNNING = 2 };

struct machine {
	int number;
	const char *session;
	struct part part;
	int mark_file;
	uint64_t mark_offset;
};

/* What workers tell the keeper, in memory that they share. */
struct progress {
	volatile pid_t vmm;
	volatile int mark;
};

/* Where a worker finds and leaves things. */
struct surroundings {
	const char *directory;
	const int *files;
	struct progress *progress;
	/* A byte is written there whenever `progress` changes. */
	int news;
	/* Whether a VMM has the carrier's own output: otherwise it goes to a file. */
	bool inherits;
};

/* Goes through a machine's part and ends the process: with 0 once the machine runs. */
_Noreturn void bring_back(const struct machine *machine, const struct surroundings *surroundings);

#endif
