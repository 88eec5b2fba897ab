/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a VMM asks of a session itself. The descriptor of a session takes these requests from whoever has it, so a
 * VMM needs neither /dev/liveupdate nor root; who may have the descriptor is the agent's decision.
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
