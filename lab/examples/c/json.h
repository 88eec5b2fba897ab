/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading JSON in place. A text is checked against the whole grammar (RFC 8259) once. After that a value is only a
 * piece of it, and members are looked up by walking. Nothing is allocated, and nothing is guessed. The functions below
 * refuse a string with an escape, a number that is not a whole one, and a name that occurs twice.
 */
#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stddef.h>

struct json {
	const char *start;
	size_t length;
};

/* Whether `text` is one JSON value with nothing but space around it, nested at most 32 deep; `value` is that. */
bool json_read(const char *text, size_t length, struct json *value);

/* How many members of this name a value has that json_read() passed; `value` is the last. None if it is no object. */
int json_member(struct json object, const char *name, struct json *value);

/* Copies a string. False if it is none, has an escape in it, or does not fit. */
bool json_text(struct json value, char *text, size_t room);

/* False if it is no whole number from 0 to `most`. */
bool json_index(struct json value, int most, int *index);

/* Whether the value is this word: `true`, `false` or `null`. */
bool json_is(struct json value, const char *word);

#endif
