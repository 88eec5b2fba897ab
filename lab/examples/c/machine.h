/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine that stands for a guest: a counter which rewrites a page of its memory with every count, and a clock
 * that never goes back. Its memory is one memfd. What a real machine has in registers and devices is, while it
 * stands still, in a second one; while it runs that one is empty, so that no state is ever taken for a newer one.
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
	/* What has to be added to this kernel's CLOCK_BOOTTIME, in ns, to have the machine's. */
	int64_t clock_offset;
};

/* All of these return NULL, or what is wrong. */

/* Makes a machine at count 0 that stands still. */
const char *machine_create(struct machine *machine);

/* Takes over a machine that stands still from its files, which it checks first. Owns the files in any case. */
const char *machine_restore(struct machine *machine, int memory_file, int state_file);

/* Lets the machine run. From now on what is in its state file is out of date, and gone. */
const char *machine_run(struct machine *machine);

/* One count, with the line that says so. */
void machine_count(struct machine *machine);

/* Lets the machine stand still, and writes its state. */
const char *machine_suspend(struct machine *machine);

/* Prints a line: what happened, and the machine's count, clock and checksum. */
void machine_say(const struct machine *machine, const char *what);

#endif
