// SPDX-License-Identifier: Apache-2.0
/*
 * The keeper: takes what the kernel before handed over, has each machine brought back by a process of its own, and keeps
 * the sessions until the agent has taken them. Closing a session's last descriptor finishes it.
 */
#ifndef CARRIER_KEEPER_H
#define CARRIER_KEEPER_H

/*
 * As the child of process 1. `gate`: closed once the device is closed again, which process 1 waits for. It never
 * returns; it ends by itself only if nothing was handed over.
 */
_Noreturn void keep(const char *directory, int gate);

/*
 * As an ordinary program: resumes what is in the program behind descriptor 3, whose files are the descriptors from 4 on.
 * Returns the status to end with: 0 if every machine runs or has been told to run, so that its VMM must live on. The log
 * says whether something failed all the same. VMMs have the caller's standard output and error.
 */
int resume(const char *directory);

#endif
