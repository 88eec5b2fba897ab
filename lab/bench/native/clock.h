// SPDX-License-Identifier: Apache-2.0
/*
 * Time across a kexec. No clock of the kernel's goes on: CLOCK_BOOTTIME begins again at 0, and the real-time clock is
 * read in whole seconds. The processor's time stamp counter is not reset, since nothing resets the processor. Its rate
 * is measured against CLOCK_BOOTTIME. The next kernel's clock started at the counter's value less CLOCK_BOOTTIME.
 */
#ifndef LUO_BENCH_CLOCK_H
#define LUO_BENCH_CLOCK_H

#include <stdint.h>
#include <time.h>
#include <x86intrin.h>

/* One moment on both clocks. */
struct moment {
	uint64_t ticks;
	uint64_t boot_ns;
};

static inline uint64_t boottime_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_BOOTTIME, &time);
	return time.tv_sec * 1000000000ull + time.tv_nsec;
}

static inline struct moment moment_now(void)
{
	return (struct moment){ .ticks = __rdtsc(), .boot_ns = boottime_ns() };
}

/* Ticks a microsecond, from two moments of one boot; the further apart, the better. */
static inline double ticks_per_us(struct moment from, struct moment to)
{
	return (to.ticks - from.ticks) * 1000.0 / (to.boot_ns - from.boot_ns);
}

/* The counter when this kernel's clock stood at 0. */
static inline uint64_t ticks_at_boot(struct moment now, double per_us)
{
	return now.ticks - (uint64_t)(now.boot_ns / 1000.0 * per_us);
}

#endif
