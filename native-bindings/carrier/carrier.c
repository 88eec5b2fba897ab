// SPDX-License-Identifier: Apache-2.0
/*
 * The carrier: the first program of a kernel that a live update has started. It brings machines back while the host
 * boots beside it. The agent of the kernel before put it on the command line, as `init=`.
 *
 * As process 1 it makes the mounts that everybody needs, forks, and becomes the host's real init, whatever happens to
 * the child. The child is the keeper (keeper.h). The service manager opens /dev/liveupdate as well, and the kernel admits one
 * at a time: so process 1 goes on when the keeper has closed it, or has ended, or after two seconds.
 *
 *     carrier                     as process 1
 *     carrier resume DIRECTORY    as an ordinary program: see keeper.h
 *     carrier relay FIFO          passes on what a VMM writes: see relay.h
 *     carrier table               prints the instructions that it knows
 */
#include "keeper.h"
#include "program.h"
#include "relay.h"
#include "setup.h"
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DIRECTORY_PATH "/run/luo-carrier"
#define PATIENCE_MS 2000

/* Starts the keeper and waits until the device is free. Nothing that fails in here may keep the host from booting. */
static void start_keeper(void)
{
	int gate[2];
	pid_t child;

	set_up(DIRECTORY_PATH);
	if (pipe2(gate, O_CLOEXEC))
		return;
	child = fork();
	if (child == 0) {
		close(gate[0]);
		keep(DIRECTORY_PATH, gate[1]);
	}
	close(gate[1]);
	if (child > 0)
		poll(&(struct pollfd){ gate[0], POLLIN, 0 }, 1, PATIENCE_MS);
	close(gate[0]);
}

int main(int count, char *arguments[])
{
	/* What the kernel itself tries (init/main.c). */
	static const char *const inits[] = { "/sbin/init", "/etc/init", "/bin/init", "/bin/sh" };

	if (getpid() != 1) {
		if (count == 3 && !strcmp(arguments[1], "resume"))
			return resume(arguments[2]);
		if (count == 3 && !strcmp(arguments[1], "relay"))
			return relay(arguments[2]);
		if (count == 2 && !strcmp(arguments[1], "table")) {
			print_table();
			return 0;
		}
		fprintf(stderr, "carrier: expected to be the kernel's init=, or \"resume DIRECTORY\", \"relay FIFO\" or \"table\"\n");
		return 2;
	}
	start_keeper();
	for (unsigned i = 0; i < sizeof(inits) / sizeof(inits[0]); i++) {
		arguments[0] = (char *)inits[i];
		execv(inits[i], arguments);
	}
	return 1;
}
