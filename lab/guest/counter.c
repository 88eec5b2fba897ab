// SPDX-License-Identifier: Apache-2.0
/*
 * The init of a Linux guest that counts. Every 250 ms it looks at one slice of its 32 MiB (see pattern.h) and
 * prints on the console
 *
 *     count=N boot=NS sum=HEX ok|BAD
 *
 * where NS is CLOCK_BOOTTIME in nanoseconds. The first line has the facts for checking the others:
 *
 *     guest tag=TAG memory=BYTES slice=BYTES seed=HEX
 *
 * The kernel hands `tag=` and `seed=` (hexadecimal) of its command line on as environment variables.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "pattern.h"

#define MEMORY (32u << 20)
#define SLICE (256u << 10)
#define SECOND_NS 1000000000ull

static uint64_t now(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return time.tv_sec * SECOND_NS + time.tv_nsec;
}

/* Sleeps until a time of CLOCK_MONOTONIC, which like the guest's processor stops while the guest is suspended. */
static void sleep_until(uint64_t ns)
{
	struct timespec time = { .tv_sec = ns / SECOND_NS, .tv_nsec = ns % SECOND_NS };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL))
		;
}

int main(void)
{
	const char *tag = getenv("tag"), *seed = getenv("seed");
	int console = open("/dev/console", O_RDWR | O_NOCTTY);
	struct pattern pattern = { .words = MEMORY / 4, .slice = SLICE / 4 };

	if (console >= 0)
		for (int fd = 0; fd < 3; fd++)
			dup2(console, fd);
	setvbuf(stdout, NULL, _IOLBF, 0);
	pattern.seed = seed ? strtoul(seed, NULL, 16) : 1;
	pattern.memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pattern.memory == MAP_FAILED) {
		perror("counter: mmap");
		return 1;
	}
	pattern_fill(&pattern);
	printf("guest tag=%s memory=%u slice=%u seed=%08x\n", tag ? tag : "linux", MEMORY, SLICE, pattern.seed);

	uint64_t next = now(CLOCK_MONOTONIC);

	for (uint32_t count = 0;; count++) {
		int right = pattern_tick(&pattern, count);
		uint64_t late;

		printf("count=%u boot=%llu sum=%08x %s\n", count, (unsigned long long)now(CLOCK_BOOTTIME), pattern.sum,
		       right ? "ok" : "BAD");
		next += PERIOD_NS;
		late = now(CLOCK_MONOTONIC);
		if (late > next)
			next = late;
		sleep_until(next);
	}
}
