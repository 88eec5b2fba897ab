/* SPDX-License-Identifier: Apache-2.0 */
/* A VMM with its machine, and how it gets one. */
#ifndef VMM_H
#define VMM_H

#include <stdint.h>
#include <stdlib.h>

#include "agent.h"
#include "machine.h"

/* Any numbers but the topmost 65536, which are the agent's. */
#define MEMORY_TOKEN UINT64_C(0x1000)
#define STATE_TOKEN UINT64_C(0x1001)

/* Where the machine's files are, seen from the session. */
enum protection {
	/* In the incoming session still. */
	TO_FINISH,
	/* Neither, or only the first of them, is in the outgoing session. */
	TO_PRESERVE,
	TO_PRESERVE_STATE,
	PROTECTED,
};

struct vmm {
	const char *session;
	struct agent agent;
	struct machine machine;
	enum protection protection;
};

/* Takes the machine out of its session, or makes both; ends the program if it may do neither. */
void vmm_start(struct vmm *vmm);

void say_wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define die(...) (say_wrong(__VA_ARGS__), exit(1))

#endif
