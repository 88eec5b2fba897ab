// SPDX-License-Identifier: Apache-2.0
/* What a worker works with: the one machine of its process, the machine's VMM, and a function for each instruction. */
#ifndef CARRIER_WORK_H
#define CARRIER_WORK_H

#include "worker.h"

struct work {
	const struct machine *machine;
	const struct surroundings *around;
	/* The VMM once it is started, and what becomes readable once it has ended; -1 before. */
	pid_t vmm;
	int pidfd;
	/* As whom it runs: its sockets are that user's. */
	uid_t uid;
	/* For how long it may do nothing, and how long a wait for it may take altogether though it is busy: in seconds. */
	unsigned quiet_s, whole_s;
	/* How much of its state it takes within `quiet_s`, if it goes on. */
	uint64_t least_bytes;
	/* What went wrong, in words. */
	char problem[600];
};
extern struct work work;

/* Puts into words what went wrong; with what errno says, behind a name. They return false. */
__attribute__((format(printf, 1, 2))) bool fail(const char *format, ...);
bool fail_errno(const char *doing, const char *name);

/* Tells the keeper that `around->progress` has changed. */
void tell_keeper(void);
/* A file of the retrieved ones. */
int file_of(uint64_t number);

/* Each does an instruction of the machine. False: `problem` */
#define DECLARE(NAME, name, code, place, act, ...) bool act(const struct instruction *each);
MACHINE_INSTRUCTIONS(DECLARE)

#endif
