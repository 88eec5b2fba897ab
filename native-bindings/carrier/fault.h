// SPDX-License-Identifier: Apache-2.0
/*
 * Points at which a test has the carrier crash or hang: each instruction of a machine, and each step of the keeper. What
 * is shipped has none of them; tests compile with FAULTS. `luo_fault=KIND:WHO:WHERE` in the environment, where the kernel
 * puts words of its command line, says which: `crash` or `hang`; `keeper` or the number of a machine; the number of the
 * instruction there, or its name.
 */
#ifndef CARRIER_FAULT_H
#define CARRIER_FAULT_H

#ifdef FAULTS
void fault_point(int machine, unsigned number, const char *name);
#else
static inline void fault_point(int machine, unsigned number, const char *name)
{
	(void)machine;
	(void)number;
	(void)name;
}
#endif

#endif
