// SPDX-License-Identifier: Apache-2.0
/* The process that becomes a machine's VMM: the instructions that describe it, and the one that starts it (work.h). */
#ifndef CARRIER_PROCESS_H
#define CARRIER_PROCESS_H

#include "program.h"
#include <sys/types.h>

/* As whom a VMM runs, and what it may do. */
struct identity {
	uid_t uid;
	gid_t gid, groups[MOST_GROUPS];
	unsigned group_count;
	/* Sets of capabilities, if they are known. */
	bool has_rights;
	uint64_t bounding, inheritable, ambient;
	/* The profile of AppArmor that confines it, or NULL. */
	const char *label;
};

/* Becomes that user, as root, with these capabilities and no others once another program is executed. False: errno */
bool become_user(const struct identity *identity);
/* Has the program that is executed next confined by a profile of AppArmor. False: errno */
bool be_confined(const char *profile);
/* Puts the last that a VMM wrote into the log: with its FIFO it would be lost. */
void say_last_words(void);

#endif
