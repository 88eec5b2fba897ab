// SPDX-License-Identifier: Apache-2.0
/* What is not there yet when the kernel has just started its first program. */
#ifndef CARRIER_SETUP_H
#define CARRIER_SETUP_H

#include "program.h"

/* Mounts /proc, /sys, /dev and /run where nothing is mounted, and makes the carrier's directory. */
void set_up(const char *directory);
/* Does an instruction that makes something more: `loopback`, `writable`. What fails is in the log. */
void set_up_more(const struct instruction *instruction);

#endif
