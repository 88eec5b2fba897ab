// SPDX-License-Identifier: Apache-2.0
/*
 * A resume program: what the agent of the kernel before compiled, when it knew everything. It is read as if an enemy
 * had written it: looked at whole before anything of it is done, with bounds, without recursion, and without an
 * allocation from a size that it says.
 *
 * The file, little-endian:
 *
 *     0   8 bytes  "LUORESUM"
 *     8   u32      2, the format
 *     12  u32      bytes of the body, at most MOST_BODY_BYTES
 *     16  32 bytes SHA-256 of bytes 8 to 15 and the body
 *     48  16 bytes zero
 *     64  the body: instructions
 *
 * An instruction is its code and the bytes of its payload (u32 each), and the payload: its numbers (u64 each), its texts
 * (each ended by a zero). Zeros follow up to a multiple of 8. How many numbers and texts there are is the code's.
 */
#ifndef CARRIER_PROGRAM_H
#define CARRIER_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROGRAM_FORMAT 2
#define PROGRAM_HEADER_BYTES 64
#define MOST_BODY_BYTES (4u << 20)
#define MOST_SESSIONS 64
#define MOST_FILES 8192
#define MOST_MACHINES 256
#define MOST_WORDS 4096
#define MOST_VARIABLES 256
#define MOST_GROUPS 64
#define MOST_HANDED 512
/* Seconds of a wait: a day. */
#define LONGEST_WAIT_S 86400
/* The kernel's limit of descriptors beside one message: SCM_MAX_FD of include/net/scm.h. */
#define MOST_ATTACHED 253

enum code {
	SESSION = 1, FETCH, LOOPBACK, WRITABLE, NODE, MACHINE, TOGETHER,
	DIRECTORY = 20, USER, GROUP, LIMIT, VARIABLE, STAND, UMASK, WORD, HAND, START,
	MOUNTED = 30, PRESENT, INTERFACE, PATIENCE = 34, RIGHTS, NO_NEW_PRIVILEGES, MODULE,
	CONNECT = 40, ATTACH, PLAY, SHUT, CLOSE,
	MONITOR = 50, TELL, UNTIL,
	MARK = 60, NOTE,
};

struct instruction {
	enum code code;
	const char *name;
	uint64_t number[3];
	const char *text[3];
};

/* A stretch of instructions that has been looked at. */
struct part {
	const uint8_t *at, *end;
};

/* The next instruction of a part, or false at its end. */
bool next_instruction(struct part *part, struct instruction *instruction);

/*
 * Looks at a whole program. Afterwards every instruction in it is one of the table, its texts end, the numbers of
 * sessions and files are there, and so are paths that can be used.
 *
 * Returns NULL, or what is wrong in words; `part` is then not set.
 */
const char *check_program(const uint8_t *data, size_t bytes, struct part *part);

/* Prints the table, one instruction a line: code, name, how many numbers, how many texts. */
void print_table(void);

#endif
