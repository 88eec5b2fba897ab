// SPDX-License-Identifier: Apache-2.0
/* One QEMU: its process, its sockets, and its monitor. */
#ifndef LUO_BENCH_GUEST_H
#define LUO_BENCH_GUEST_H

#include <stdbool.h>
#include <sys/types.h>
#include "qmp.h"
#include "state.h"

/* Where guests' sockets are; as in the template of the command line. */
#define RUN_DIRECTORY "/run/bench"

struct guest {
	int number;
	pid_t pid;
	int pidfd;
	struct qmp qmp;
};

/*
 * Starts QEMU with the template's command line: one argument a line, in which @guest@ and @memory@ stand for the
 * guest's number and its memory in MiB. An incoming one waits for its two streams and does not run afterwards.
 */
void guest_start(struct guest *guest, const char *template, int number, unsigned memory_mib, bool incoming);
/* Connects to one of the guest's sockets as soon as QEMU listens on it. Ends the program if QEMU ends first. */
int guest_connect(const struct guest *guest, const char *name);
/* Listens on one of the guest's sockets. */
int guest_listen(const struct guest *guest, const char *name);
void guest_end(struct guest *guest);

#endif
