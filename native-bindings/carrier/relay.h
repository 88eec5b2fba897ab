// SPDX-License-Identifier: Apache-2.0
/* Passes on what a VMM writes: into the journal, once there is one. */
#ifndef CARRIER_RELAY_H
#define CARRIER_RELAY_H

/*
 * Leaves a process behind that copies a VMM's FIFO to standard output until the VMM ends. It is what the unit of a VMM
 * that the carrier started has to start. Returns the status to end with.
 */
int relay(const char *fifo);

#endif
