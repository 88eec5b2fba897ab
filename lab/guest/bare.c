// SPDX-License-Identifier: Apache-2.0
/*
 * A guest without an operating system. It counts from the moment its firmware hands over, and needs a few MiB. Many of
 * it can run at once where not even one Linux would be quick. It prints the same as counter.c, on COM1. Its memory may
 * have another size and is treated as pattern.h says.
 *
 *     qemu-system-x86_64 -machine q35 -kernel bare -append 'tag=TAG seed=HEX memory=MIB share=write|read disk=1' …
 *
 * Its clock and its alarm are the machine's HPET: 64 bits that do not change while the machine is stopped. So a machine
 * that goes on elsewhere goes on at the same time. The processor sleeps between two ticks.
 *
 * With `disk=` it writes to the first disk of an ISA controller, a sector every 10 ms: its number, from 1 on. Each is in
 * the disk when it goes on.
 *
 * With `share=` it looks for a PCI device of QEMU's kind "ivshmem", memory that several machines see. One machine
 * writes its count there, with the counts before it in a ring. Another reads and checks the ring. Its lines have one
 * more field before the verdict, `shared=COUNT`, and the verdict covers the ring too.
 */
#include "bare-io.h"
#include "pattern.h"

#define DEFAULT_MIB 4
#define MOST_MIB 2048
#define SLICE (64u << 10)
#define HPET 0xfed00000u
#define RING 1024
#define RING_CHECKED 16

/* What a Multiboot loader hands over, as far as it matters here; `upper` is in KiB from the first MiB on. */
struct loaded {
	uint32_t flags, lower, upper, device;
	const char *command_line;
};

extern char image_end[];
void timer_interrupt(void);
void run(const struct loaded *loaded);

/* --- what it was told ------------------------------------------------------------------------- */

/* The text after `key` up to a space, or 0; keys stand at the beginning of a word. */
static const char *argument(const char *line, const char *key)
{
	for (int word = 1; line && *line; word = *line++ == ' ') {
		const char *here = line, *wanted = key;

		while (word && *wanted && *here == *wanted)
			here++, wanted++;
		if (word && !*wanted)
			return here;
	}
	return 0;
}

static uint32_t number(const char *text, uint32_t base, uint32_t otherwise)
{
	uint32_t value = 0;

	if (!text)
		return otherwise;
	for (; *text && *text != ' '; text++) {
		uint32_t digit = *text >= 'a' ? *text - 'a' + 10u : *text - '0' + 0u;

		if (digit >= base)
			fail("a number on the command line is none");
		value = value * base + digit;
	}
	return value;
}

static void put_word(const char *text)
{
	char letter[2] = "";

	for (; text && *text && *text != ' '; text++) {
		letter[0] = *text;
		put(letter);
	}
}

/* --- the clock ------------------------------------------------------------------------------- */

static uint32_t ns_per_cycle;

static volatile uint32_t *hpet(uint32_t offset)
{
	return (volatile uint32_t *)(HPET + offset);
}

static uint64_t now(void)
{
	uint32_t high, low;

	do {
		high = *hpet(0xf4);
		low = *hpet(0xf0);
	} while (high != *hpet(0xf4));
	return ((uint64_t)high << 32 | low) * ns_per_cycle;
}

/* One interrupt each period, in place of the old timer's (interrupt 0), and no other. */
static void clock_start(uint32_t period_ns)
{
	static struct { uint16_t low, segment, kind, high; } gates[33];
	static struct { uint16_t limit; uint32_t base; } __attribute__((packed)) gates_at;
	static const uint8_t controllers[][2] = {
		{ 0x20, 0x11 }, { 0xa0, 0x11 }, { 0x21, 0x20 }, { 0xa1, 0x28 }, { 0x21, 4 },
		{ 0xa1, 2 },	{ 0x21, 1 },	{ 0xa1, 1 },	{ 0x21, 0xfe }, { 0xa1, 0xff },
	};
	uint32_t fs = *hpet(4);

	if (!fs || fs % 1000000)
		fail("the HPET is missing, or counts in no whole nanoseconds");
	ns_per_cycle = fs / 1000000;
	for (int i = 0; i < 33; i++) {
		uint32_t entry = (uint32_t)(i == 32 ? timer_interrupt : unexpected);

		gates[i].low = entry;
		gates[i].high = entry >> 16;
		gates[i].segment = 8;
		gates[i].kind = 0x8e00;
	}
	gates_at.limit = sizeof(gates) - 1;
	gates_at.base = (uint32_t)gates;
	__asm__ volatile("lidt %0" : : "m"(gates_at));
	for (unsigned i = 0; i < sizeof(controllers) / sizeof(controllers[0]); i++)
		out8(controllers[i][0], controllers[i][1]);
	*hpet(0x10) = 0;
	*hpet(0xf0) = 0;
	*hpet(0xf4) = 0;
	/* Timer 0: interrupts, periodic, and the next value written is first its due time, then its period. */
	*hpet(0x100) = 1 << 2 | 1 << 3 | 1 << 6;
	*hpet(0x108) = period_ns / ns_per_cycle;
	*hpet(0x108) = period_ns / ns_per_cycle;
	*hpet(0x10) = 3;
}

/* --- memory shared with another machine --------------------------------------------------------- */

/* The memory of the ivshmem device (PCI 1af4:1110, its third base address), where the firmware has put it. */
static volatile uint32_t *find_shared(void)
{
	for (uint32_t slot = 0; slot < 32; slot++) {
		uint32_t at = 0x80000000u | slot << 11;

		out32(0xcf8, at);
		if (in32(0xcfc) != 0x11101af4)
			continue;
		out32(0xcf8, at | 0x1c);
		if (in32(0xcfc))
			fail("the shared memory lies above 4 GiB");
		out32(0xcf8, at | 0x18);
		return (volatile uint32_t *)(in32(0xcfc) & ~15u);
	}
	fail("there is no ivshmem device");
	return 0;
}

static void share(volatile uint32_t *shared, uint32_t count)
{
	shared[1 + count % RING] = count;
	shared[0] = count;
}

/* Says whether the last counts are all in the ring. */
static int shared_right(volatile uint32_t *shared, uint32_t count)
{
	for (uint32_t back = 0; back < RING_CHECKED && back <= count; back++)
		if (shared[1 + (count - back) % RING] != count - back)
			return 0;
	return 1;
}

/* --- a disk ------------------------------------------------------------------------------------- */

#define IDE 0x1f0
#define IDE_STATUS (IDE + 7)
#define DISK_PERIOD_NS (10u * 1000 * 1000)

/* Waits for what it says of itself: busy (bit 7), wants data (bit 3), failed (bit 0). */
static void disk_until(uint8_t wanted)
{
	uint8_t said;

	do
		said = in8(IDE_STATUS);
	while (said & 0x80);
	if (said & 1 || (said & 8) != wanted)
		fail("the disk failed");
}

/* Writes a number to the sector before it, by port. It is written when this returns (ATA: WRITE SECTORS, 28 bits). */
static void disk_write(uint32_t number)
{
	uint32_t sector = number - 1;

	out8(0x3f6, 2);
	out8(IDE + 6, 0xe0 | (sector >> 24 & 15));
	out8(IDE + 2, 1);
	out8(IDE + 3, sector);
	out8(IDE + 4, sector >> 8);
	out8(IDE + 5, sector >> 16);
	out8(IDE_STATUS, 0x30);
	disk_until(8);
	for (int word = 0; word < 256; word++)
		out16(IDE, word == 0 ? number : word == 1 ? number >> 16 : 0);
	disk_until(0);
}

/* --- counting -------------------------------------------------------------------------------- */

void run(const struct loaded *loaded)
{
	/* The loader says in its flags which of the fields it has filled in. */
	const char *line = loaded->flags & 4 ? loaded->command_line : 0;
	const char *role = argument(line, "share=");
	uint32_t mib, begin = ((uint32_t)image_end + 0xfffff) & ~0xfffffu;
	struct pattern pattern = { .memory = (uint32_t *)begin, .slice = SLICE / 4 };
	volatile uint32_t *shared = 0;
	/* The clock ticks so often between two counts. */
	uint32_t ticks = argument(line, "disk=") ? PERIOD_NS / DISK_PERIOD_NS : 1;

	serial_start();
	mib = number(argument(line, "memory="), 10, DEFAULT_MIB);
	if (!mib || mib > MOST_MIB || !(loaded->flags & 1) || (begin >> 10) + (mib << 10) > loaded->upper + 1024)
		fail("memory= does not fit into the machine");
	pattern.words = mib << 18;
	pattern.seed = number(argument(line, "seed="), 16, 1);
	if (role)
		shared = find_shared();
	pattern_fill(&pattern);
	put("guest tag=");
	put_word(argument(line, "tag="));
	put(" memory=");
	put_decimal(mib << 20);
	put(" slice=");
	put_decimal(SLICE);
	put(" seed=");
	put_hex(pattern.seed);
	put("\r\n");
	clock_start(PERIOD_NS / ticks);
	for (uint32_t count = 0;; count++) {
		int right = pattern_tick(&pattern, count);

		put("count=");
		put_decimal(count);
		put(" boot=");
		put_decimal(now());
		put(" sum=");
		put_hex(pattern.sum);
		if (role && *role == 'r') {
			uint32_t seen = shared[0];

			right &= shared_right(shared, seen);
			put(" shared=");
			put_decimal(seen);
		} else if (role) {
			share(shared, count);
		}
		put(right ? " ok\r\n" : " BAD\r\n");
		for (uint32_t tick = 1; tick <= ticks; tick++) {
			if (ticks > 1)
				disk_write(count * ticks + tick);
			__asm__ volatile("sti; hlt; cli" : : : "memory");
		}
	}
}
