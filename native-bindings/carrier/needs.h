// SPDX-License-Identifier: Apache-2.0
/*
 * What a machine needs before its VMM can be started: a mount, a file or device, a network interface. Whoever makes it
 * is part of the host, which boots meanwhile.
 */
#ifndef CARRIER_NEEDS_H
#define CARRIER_NEEDS_H

#include "patience.h"
#include "program.h"

/*
 * Waits until what a `mounted`, `present` or `interface` names is there, with events of the kernel. A wait is said in the
 * log and, with the machine's session, on the host's console. False after the instruction's limit, which begins with
 * the machine's first wait: `problem`
 */
bool wait_for(struct vmm *vmm, const char *session, const struct instruction *need);

#endif
