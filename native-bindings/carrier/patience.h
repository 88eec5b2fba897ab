// SPDX-License-Identifier: Apache-2.0
/*
 * Waiting for a VMM that was started, for as long as it goes on. How long that may be comes with the program: a VMM with
 * much memory to fill or to lock needs long before it listens. What it does is seen in /proc/PID/stat.
 */
#ifndef CARRIER_PATIENCE_H
#define CARRIER_PATIENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* How much longer than its patience this process may take between two looks, in seconds. */
#define HANG_S 10

/* A VMM, and what went wrong with it in words. */
struct vmm {
	int machine;
	pid_t pid;
	/* As whom it runs: its sockets are that user's. */
	uid_t uid;
	/* Readable once it has ended. */
	int pidfd;
	/* For how long it may do nothing, and how long a wait for it may take altogether though it is busy: in seconds. */
	unsigned quiet_s, whole_s;
	/* How much of its state it takes within `quiet_s`, if it goes on. */
	uint64_t least_bytes;
	char problem[600];
};

/* Puts into words what went wrong. Returns false. */
__attribute__((format(printf, 2, 3))) bool fail(struct vmm *vmm, const char *format, ...);
/* Milliseconds of CLOCK_MONOTONIC. */
int64_t now_ms(void);

/*
 * Begins what waits for a VMM, with all the time that it has for this. A wait is over when the VMM does nothing for too
 * long, or is only busy for too long. If this process itself hangs, SIGALRM ends it.
 */
void begin_wait(struct vmm *vmm);
/*
 * Waits for a descriptor, at most `most_ms`; `what` the VMM does then, for people. `is_ready`: whether the descriptor is.
 * False if the VMM has ended or does not go on: `problem`
 */
bool wait_a_while(struct vmm *vmm, int fd, short events, int most_ms, const char *what, bool *is_ready);
/* Waits until a descriptor is ready. False: `problem` */
bool ready(struct vmm *vmm, int fd, short events, const char *what);

#endif
