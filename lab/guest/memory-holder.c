// SPDX-License-Identifier: Apache-2.0
/*
 * Holds random memory the way a VMM holds guest RAM. Each size given is one memfd, filled from the kernel's random
 * numbers, mapped shared, and kept until the process is killed. Prints one line for each, "FD BYTES", then "ready", and
 * waits. Others read the contents from /proc/PID/fd/FD.
 *
 *     memory-holder MIB [MIB...]
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

static void fail(const char *what)
{
	fprintf(stderr, "memory-holder: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void fill(unsigned char *memory, size_t size)
{
	while (size) {
		ssize_t got = getrandom(memory, size, 0);

		if (got < 0) {
			if (errno == EINTR)
				continue;
			fail("getrandom");
		}
		memory += got;
		size -= got;
	}
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: memory-holder MIB [MIB...]\n");
		return 2;
	}
	for (int i = 1; i < argc; i++) {
		char name[32], *end;
		unsigned long mib = strtoul(argv[i], &end, 10);
		size_t size = mib << 20;
		void *memory;
		int fd;

		if (*end || !mib || mib > 65536) {
			fprintf(stderr, "memory-holder: size '%s': expected a whole number of MiB, 1 to 65536\n", argv[i]);
			return 2;
		}
		snprintf(name, sizeof(name), "memory-%d", i);
		fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
		if (fd < 0)
			fail("memfd_create");
		if (ftruncate(fd, size))
			fail("ftruncate");
		memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (memory == MAP_FAILED)
			fail("mmap");
		fill(memory, size);
		printf("%d %zu\n", fd, size);
	}
	puts("ready");
	fflush(stdout);
	for (;;)
		pause();
}
