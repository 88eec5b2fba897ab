// SPDX-License-Identifier: Apache-2.0
/*
 * Waiting for a VMM that was started, for as long as it goes on. How long that may be comes with the program: a VMM with
 * much memory to fill or to lock needs long before it listens. What it does is seen in /proc/PID/stat.
 */
#ifndef CARRIER_PATIENCE_H
#define CARRIER_PATIENCE_H

#include <stdbool.h>
#include <stdint.h>

/* How much longer than its patience this process may take between two looks, in seconds. */
#define HANG_S 10

/* Milliseconds of CLOCK_MONOTONIC. */
int64_t now_ms(void);
/*
 * Begins what waits for a VMM, with all the time that it has for this. A wait is over when the VMM does nothing for too
 * long, or is only busy for too long. If this process itself hangs, SIGALRM ends it.
 */
void begin_wait(void);
/*
 * Waits for a descriptor, at most `most_ms`; `what` the VMM does then, for people. `is_ready`: whether the descriptor is.
 * False if the VMM has ended or does not go on: `problem`
 */
bool wait_a_while(int fd, short events, int most_ms, const char *what, bool *is_ready);
/* Waits until a descriptor is ready. False: `problem` */
bool ready(int fd, short events, const char *what);

#endif
