// SPDX-License-Identifier: Apache-2.0
/*
 * The other end of QEMU's cpr-transfer. A QEMU that is saved connects to two sockets. To the first it writes its CPR
 * stream, descriptors beside the data, and ends it. Once that connection is closed it stops its guest, connects to the
 * second and writes the state of its devices. A new QEMU listens on both, one after the other, and takes both streams
 * in the same order. QEMU expects each descriptor with the byte it was sent with, so pieces are kept apart.
 */
#ifndef LUO_BENCH_STREAMS_H
#define LUO_BENCH_STREAMS_H

#include "guest.h"

/* Gives a file of a guest the token under which it is preserved, preserving it if nobody did. */
typedef uint64_t (*keep_file)(struct guest *guest, int file);

/* Asks QEMU to migrate and records its CPR stream. Returns the connection: closing it stops the guest. */
int record_cpr(struct guest *guest, struct guest_state *state, keep_file keep, int listening_cpr);
/* Records the main stream, from accepting the connection to its end. */
void record_main(struct guest *guest, struct guest_state *state, int listening_main);
/* Plays the CPR stream; `file` has the files in the order of the state's tokens. */
void play_cpr(const struct guest *guest, const struct guest_state *state, const int file[]);
/* Plays the main stream into a connected socket. */
void play_main(const struct guest *guest, const struct guest_state *state, int socket);

#endif
