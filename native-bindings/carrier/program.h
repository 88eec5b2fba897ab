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
 *     16  u64      FNV-1a of bytes 8 to 15 and the body. It tells damage: an enemy could compute any digest
 *     24  the body: instructions
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
#define PROGRAM_HEADER_BYTES 24
#define MOST_BODY_BYTES (4u << 20)
#define MOST_SESSIONS 64
#define MOST_FILES 8192
#define MOST_MACHINES 256
#define MOST_WORDS 4096
#define MOST_VARIABLES 256
#define MOST_GROUPS 256
#define MOST_HANDED 512
/* Of a profile of AppArmor, with its mode. */
#define MOST_PROFILE_BYTES 1024
/* Seconds of a wait: a day. */
#define LONGEST_WAIT_S 86400
/* The kernel's limit of descriptors beside one message: SCM_MAX_FD of include/net/scm.h. */
#define MOST_ATTACHED 253

/* Bytes of a `play` that ends where its file does. */
#define TO_ITS_END UINT64_MAX

/* Where an instruction stands: outside of machines, among what describes a machine's process, or in the rest of its part. */
enum place { OUTSIDE, PROCESS, PART };
/* What has been in a machine's part. */
enum been { NOTHING = 0, PATIENT = 1, STARTED = 2, CONNECTED = 4, MONITORED = 8, SEPARATE = 16 };

/*
 * The table of instructions, for the reader and for what executes them. The agent has the same table
 * (update/program/instructions.ts). A row has:
 *
 * - the instruction in C, its name, its code, its place, and in a machine the function that does it;
 * - its values, a letter each, numbers first and then texts (`is_sound`, program.c);
 * - most: how many there may be, in the program or in a machine; with of_play, for one `play`;
 * - after, before: what must and what must not have been in a machine; brings: what has been after it.
 */
#define OUTSIDE_INSTRUCTIONS(X) \
	X(SESSION, session, 1, OUTSIDE, "S", .most = MOST_SESSIONS) \
	X(FETCH, file, 2, OUTSIDE, "sn", .most = MOST_FILES) \
	X(LOOPBACK, loopback, 3, OUTSIDE, "") \
	X(WRITABLE, writable, 4, OUTSIDE, "") \
	X(MACHINE, machine, 6, OUTSIDE, "fonS", .most = MOST_MACHINES) \
	X(TOGETHER, together, 7, OUTSIDE, "c")
#define MACHINE_INSTRUCTIONS(X) \
	X(NODE, node, 5, PART, give_node, "piiN", .before = STARTED) \
	X(DIRECTORY, directory, 20, PROCESS, make_directory, "miiP", .before = STARTED) \
	X(USER, user, 21, PROCESS, describe_process, "ii", .before = STARTED) \
	X(GROUP, group, 22, PROCESS, describe_process, "i", .before = STARTED, .most = MOST_GROUPS) \
	X(LIMIT, limit, 23, PROCESS, describe_process, "lnn", .before = STARTED) \
	X(VARIABLE, variable, 24, PROCESS, describe_process, "V", .before = STARTED, .most = MOST_VARIABLES) \
	X(STAND, stand, 25, PROCESS, describe_process, "D", .before = STARTED) \
	X(UMASK, umask, 26, PROCESS, describe_process, "p", .before = STARTED) \
	X(WORD, word, 27, PROCESS, describe_process, "T", .before = STARTED, .most = MOST_WORDS) \
	X(HAND, hand, 28, PROCESS, describe_process, "f", .before = STARTED, .most = MOST_HANDED) \
	X(START, start, 29, PART, start_vmm, "P", .after = PATIENT, .before = STARTED, .brings = STARTED) \
	X(MOUNTED, mounted, 30, PART, wait_for_need, "tP", .before = STARTED) \
	X(PRESENT, present, 31, PART, wait_for_need, "tP") \
	X(INTERFACE, interface, 32, PART, wait_for_need, "tI", .before = STARTED) \
	X(APART, apart, 33, PART, need_apart, "", .before = STARTED, .brings = SEPARATE) \
	X(PATIENCE, patience, 34, PART, set_patience, "ttc", .brings = PATIENT) \
	X(RIGHTS, rights, 35, PROCESS, describe_process, "nnn", .before = STARTED) \
	X(CONFINE, confine, 36, PROCESS, describe_process, "", .before = STARTED) \
	X(MODULE, module, 37, PART, load_module, "zPT", .before = STARTED) \
	X(NICE, nice, 38, PART, set_nice, "v", .after = STARTED) \
	X(PROFILE, profile, 39, PART, wait_for_need, "tA", .before = STARTED) \
	X(CONNECT, connect, 40, PART, connect_stream, "P", .after = STARTED, .brings = CONNECTED) \
	X(ATTACH, attach, 41, PART, attach_file, "f", .most = MOST_ATTACHED, .of_play = true) \
	X(PLAY, play, 42, PART, send_stretch, "fon", .after = CONNECTED) \
	X(SHUT, shut, 43, PART, shut_stream, "", .after = CONNECTED) \
	X(CLOSE, close, 44, PART, close_stream, "", .after = CONNECTED) \
	X(LABEL, label, 45, PROCESS, describe_process, "A", .before = STARTED) \
	X(TAP, tap, 46, PART, make_tap, "icI", .after = SEPARATE, .before = STARTED) \
	X(MONITOR, monitor, 50, PART, open_monitor, "P", .after = STARTED, .brings = MONITORED) \
	X(TELL, tell, 51, PART, tell_monitor, "T", .after = MONITORED) \
	X(UNTIL, until, 52, PART, ask_until, "TTT", .after = MONITORED) \
	X(TRY, try, 53, PART, try_monitor, "T", .after = MONITORED) \
	X(MARK, mark, 60, PART, write_mark, "k") \
	X(NOTE, note, 61, PART, write_note, "T")

#define CODE(NAME, name, code, ...) NAME = code,
enum code { OUTSIDE_INSTRUCTIONS(CODE) MACHINE_INSTRUCTIONS(CODE) CODES };

struct instruction {
	enum code code;
	const char *name;
	enum place place;
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

/* What stands at byte 16 of a program with a body of that length. */
uint64_t hash_of(const uint8_t *data, size_t body_bytes);

/* Prints the table, one instruction a line: code, name, how many numbers, how many texts, how many of it there may be (0: any number). */
void print_table(void);

#endif
