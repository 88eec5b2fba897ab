// SPDX-License-Identifier: Apache-2.0
/*
 * The floor's work, from its arguments, which are the end of the kernel's command line:
 *
 *     template=FILE kernels=IMAGE,IMAGE runs=N plan=GUESTSxMIB[,GUESTSxMIB...] step=N
 *
 * Step N is the N-th boot of the floor. Each step but the first brings back the guests that the one before saved. Each
 * step but the last saves and jumps. Guests stay the same for as many runs as there are, then others take their place.
 */
#ifndef LUO_BENCH_PLAN_H
#define LUO_BENCH_PLAN_H

#include <stdbool.h>

#define MOST_LOADS 16

/* How many guests, of how much memory each. */
struct load {
	unsigned guests, memory_mib;
};

struct plan {
	char template[200];
	char kernel[2][200];
	unsigned runs, step, loads;
	struct load load[MOST_LOADS];
};

/* Reads the arguments. Ends the program, naming the argument, if one cannot be understood. */
void plan_read(struct plan *plan, int count, char *arguments[]);
/* Whether this step is the last one. */
bool plan_ends(const struct plan *plan);
/* The guests that this step saves; not asked of the last step. */
struct load plan_to_save(const struct plan *plan);
/* The guests that this step brings back; not asked of step 0. */
struct load plan_to_restore(const struct plan *plan);
/* Whether this step saves newly started guests, and not those it brought back. */
bool plan_changes(const struct plan *plan);
/* The kernel image that is not the running one. */
const char *plan_next_kernel(const struct plan *plan);
/* This boot's command line, with the next step in it. */
void plan_next_command_line(const struct plan *plan, char *line, unsigned size);

#endif
