// SPDX-License-Identifier: Apache-2.0
/*
 * Becomes another program, which inherits an empty memfd under a given descriptor number. A VMM is started like this if
 * somebody else made its memory.
 *
 *     with-memfd FD MIB PROGRAM [ARGUMENT...]
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static unsigned long number(const char *text, unsigned long least, unsigned long most)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (!*text || *end || value < least || value > most) {
		fprintf(stderr, "with-memfd: '%s': expected a number from %lu to %lu\n", text, least, most);
		exit(2);
	}
	return value;
}

static void fail(const char *what)
{
	fprintf(stderr, "with-memfd: %s: %s\n", what, strerror(errno));
	exit(1);
}

int main(int argc, char **argv)
{
	unsigned long target, mib;
	int fd;

	if (argc < 4) {
		fprintf(stderr, "usage: with-memfd FD MIB PROGRAM [ARGUMENT...]\n");
		return 2;
	}
	target = number(argv[1], 3, 1023);
	mib = number(argv[2], 1, 65536);
	fd = memfd_create("machine", 0);
	if (fd < 0)
		fail("memfd_create");
	if (ftruncate(fd, (off_t)mib << 20))
		fail("ftruncate");
	if (fd != (int)target) {
		if (dup2(fd, target) < 0)
			fail("dup2");
		close(fd);
	}
	execvp(argv[3], argv + 3);
	fail(argv[3]);
}
