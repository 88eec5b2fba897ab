// SPDX-License-Identifier: Apache-2.0
/*
 * Points at which a test has the carrier crash or hang: each instruction of a machine, and each step of the keeper. What
 * is shipped has none of them; tests compile with FAULTS. `luo_fault=KIND:WHO:NUMBER` in the environment, where the kernel
 * puts words of its command line, says which: `crash` or `hang`; `keeper` or the number of a machine; the number there.
 */
#ifndef CARRIER_FAULT_H
#define CARRIER_FAULT_H

#ifdef FAULTS
void fault_point(int machine, unsigned number);
#else
static inline void fault_point(int machine, unsigned number)
{
	(void)machine;
	(void)number;
}
#endif

#endif
