// SPDX-License-Identifier: Apache-2.0
/*
 * Sockets of a VMM that was started, and the streams that are sent to it. A guest's owner may have taken the VMM over, so
 * nothing that it says has a length that is believed, and no wait is without end. But one that goes on is not given up.
 */
#ifndef CARRIER_STREAM_H
#define CARRIER_STREAM_H

/* Connects to a socket of the VMM's as soon as it listens there. Somebody else who does is passed over. -1: `problem` */
int connect_to(const char *path);

#endif
