/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine that stands for a guest. A counter rewrites a page of its memory with every count, and a clock never goes
 * back. Its memory is one memfd. A second memfd has the state that a real machine has in registers and devices, but
 * only while the machine is stopped. While it runs that memfd is empty, so that an old state is never taken for a newer
 * one.
 */
#ifndef MACHINE_H
#define MACHINE_H

#include <stdbool.h>
#include <stdint.h>

struct machine {
	int memory_file, state_file;
	uint32_t *memory;
	bool running;
	uint64_t count;
	/* Added to this kernel's CLOCK_BOOTTIME, in ns, it gives the machine's clock. */
	int64_t clock_offset;
};

/* All of these return NULL, or what is wrong. */

/* Makes a stopped machine at count 0. */
const char *machine_create(struct machine *machine);

/* Takes over a stopped machine from its files, which it checks first. Owns the files in any case. */
const char *machine_restore(struct machine *machine, int memory_file, int state_file);

/* Lets the machine run. From now on its state file is out of date, so it is emptied. */
const char *machine_run(struct machine *machine);

/* One count, with the line that says so. */
void machine_count(struct machine *machine);

/* Stops the machine, and writes its state. */
const char *machine_suspend(struct machine *machine);

/* Prints a line: what happened, and the machine's count, clock and checksum. */
void machine_say(const struct machine *machine, const char *what);

#endif
