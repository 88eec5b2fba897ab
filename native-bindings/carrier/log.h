// SPDX-License-Identifier: Apache-2.0
/*
 * What the carrier leaves for the agent: the file `log` in its directory, a line of JSON for each event with the time of
 * CLOCK_BOOTTIME in nanoseconds. A line is one write, so lines of several processes never mix.
 */
#ifndef CARRIER_LOG_H
#define CARRIER_LOG_H

/* The machine of an event that concerns all. */
#define ALL (-1)

/* Opens the log in a directory that is there. Without one nothing is written, and everything else works. */
void open_log(const char *directory);
/* Writes an event. `format`: what there is to say of it; it may have any bytes. */
__attribute__((format(printf, 3, 4))) void say(int machine, const char *event, const char *format, ...);

#endif
