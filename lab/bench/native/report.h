// SPDX-License-Identifier: Apache-2.0
/* The floor's output, as lines of the kernel's log, which is on the serial console. */
#ifndef LUO_BENCH_REPORT_H
#define LUO_BENCH_REPORT_H

/* Says one line, at most 900 characters. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Says why it cannot go on, and switches the machine off. */
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
