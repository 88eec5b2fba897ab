// SPDX-License-Identifier: Apache-2.0
/*
 * As much of QMP as the floor needs: commands one at a time, each followed by its answer. Events that come between are
 * skipped. Answers are looked at as text: QEMU writes one object a line, `{"return": …}`.
 */
#ifndef LUO_BENCH_QMP_H
#define LUO_BENCH_QMP_H

#include <stddef.h>

struct qmp {
	int socket;
	size_t filled;
	char buffer[16384];
};

/* Takes over a connected socket, and reads its greeting. */
void qmp_begin(struct qmp *qmp, int socket);
/*
 * Gives a command, which is a whole JSON object, and waits for its answer. The answer stays good until the next call.
 * Ends the program if QEMU answers with an error or hangs up.
 */
const char *qmp_command(struct qmp *qmp, const char *format, ...) __attribute__((format(printf, 2, 3)));
void qmp_end(struct qmp *qmp);

#endif
