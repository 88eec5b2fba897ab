// SPDX-License-Identifier: Apache-2.0
/* What is not there yet when the kernel has just started its first program. */
#ifndef CARRIER_SETUP_H
#define CARRIER_SETUP_H

#include "program.h"

/* Mounts /proc, /sys, /dev and /run where nothing is mounted, and makes the carrier's directory. */
void set_up(const char *directory);
/* Does an instruction that makes something more: `loopback`, `writable`. What fails is in the log. */
void set_up_more(const struct instruction *instruction);
/* Does a `node`. What fails is in the log: the device may be usable all the same. */
void give_node(const struct instruction *node);
/* Does a `module`, of this machine. What fails is in the log: what the module makes is waited for. */
void load_module(int machine, const struct instruction *module);

#endif
