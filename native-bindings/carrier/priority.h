// SPDX-License-Identifier: Apache-2.0
/*
 * Who comes first on the processors while machines are stopped and the host boots beside them: the keeper and the
 * workers, which do little and for whose turn a machine waits, and the first thread of a VMM, which makes the machine and
 * loads its state.
 */
#ifndef CARRIER_PRIORITY_H
#define CARRIER_PRIORITY_H

/* Puts this process first, if it may. What it starts does not come first: a VMM's user could keep it. */
void come_first(void);

#endif
