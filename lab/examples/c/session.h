/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The requests that a VMM makes of a session itself. A session takes them from any process that has its descriptor, so
 * a VMM needs neither /dev/liveupdate nor root. The agent decides who may have the descriptor.
 *
 * Both return 0 or a negative errno.
 */
#ifndef SESSION_H
#define SESSION_H

#include <stdint.h>

/* Preserves a file in an outgoing session, under a number by which it is found after the live update. */
int session_preserve(int session, uint64_t token, int file);

/* Retrieves the file under a token of an incoming session; the caller closes `*file`. */
int session_retrieve(int session, uint64_t token, int *file);

#endif
