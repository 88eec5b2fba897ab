// SPDX-License-Identifier: Apache-2.0
/*
 * Talking to a VMM that was started: its sockets and its monitor. A guest's owner may have taken the VMM over, so nothing
 * that it says has a length that is believed, and no wait is without end. But one that goes on is not given up.
 */
#ifndef CARRIER_TALK_H
#define CARRIER_TALK_H

#include "patience.h"

/* Connects to a socket of the VMM's as soon as it listens there. Somebody else who does is passed over. -1: `problem` */
int connect_to(struct vmm *vmm, const char *path);
/* Sends a stretch of a file, and descriptors with its first byte. */
bool play(struct vmm *vmm, int to, int file, uint64_t offset, uint64_t bytes, const int *attached, unsigned count);
/* Begins with a monitor: waits for its greeting, and leaves negotiation. */
bool begin_monitor(struct vmm *vmm, int monitor);
/* Sends a command and waits for its answer, which must be no error. */
bool tell(struct vmm *vmm, int monitor, const char *command);
/*
 * Sends a command, again after each event, until there is `wanted` in its answer. It fails with `refused` in it. With `!`
 * in front, `wanted` is what must not be in the answer any more: several texts with `|` between them.
 */
bool until(struct vmm *vmm, int monitor, const char *wanted, const char *refused, const char *command);

#endif
