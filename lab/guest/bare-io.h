// SPDX-License-Identifier: Apache-2.0
/*
 * Ports, and text on the first serial line, for a program without an operating system. Everything is here in one file
 * and used by one program (bare.c).
 */
#ifndef LUO_LAB_BARE_IO_H
#define LUO_LAB_BARE_IO_H

#include <stdint.h>

#define COM1 0x3f8

/* Stops for good (bare-start.S). */
void unexpected(void);

static inline void out8(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t in8(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline void out16(uint16_t port, uint16_t value)
{
	__asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static inline void out32(uint16_t port, uint32_t value)
{
	__asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint32_t in32(uint16_t port)
{
	uint32_t value;

	__asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static void serial_start(void)
{
	static const uint8_t settings[][2] = {
		{ 1, 0 }, { 3, 0x80 }, { 0, 1 }, { 1, 0 }, { 3, 3 }, { 2, 7 }, { 4, 3 },
	};

	for (unsigned i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		out8(COM1 + settings[i][0], settings[i][1]);
}

static void put(const char *text)
{
	for (; *text; text++) {
		while (!(in8(COM1 + 5) & 0x20))
			;
		out8(COM1, *text);
	}
}

/* Divides by ten, since 32-bit code has no 64-bit division without a library. */
static uint32_t take_digit(uint64_t *value)
{
	uint32_t high = *value >> 32, low = *value, rest = high % 10;

	high /= 10;
	__asm__("divl %2" : "+a"(low), "+d"(rest) : "r"(10u));
	*value = (uint64_t)high << 32 | low;
	return rest;
}

static void put_decimal(uint64_t value)
{
	char digits[21], *first = digits + 20;

	*first = 0;
	do
		*--first = '0' + take_digit(&value);
	while (value);
	put(first);
}

static void put_hex(uint32_t value)
{
	char digits[9];

	for (int i = 7; i >= 0; i--, value >>= 4)
		digits[i] = "0123456789abcdef"[value & 15];
	digits[8] = 0;
	put(digits);
}

static void fail(const char *why)
{
	put("bare: ");
	put(why);
	put("\r\n");
	unexpected();
}

#endif
