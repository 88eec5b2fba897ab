// SPDX-License-Identifier: Apache-2.0
/* See json.h. Every skip function takes the place where something begins and returns where it ends, or NULL. */
#include "json.h"

#include <string.h>

enum { DEEPEST = 32 };

static const char *skip_value(const char *at, const char *end, int depth);

static const char *skip_space(const char *at, const char *end)
{
	while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r'))
		at++;
	return at;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static const char *skip_string(const char *at, const char *end)
{
	if (at == end || *at != '"')
		return NULL;
	for (at++; at < end; at++) {
		if (*at == '"')
			return at + 1;
		if ((unsigned char)*at < 0x20)
			return NULL;
		if (*at != '\\')
			continue;
		if (++at == end)
			return NULL;
		if (*at == 'u') {
			for (int i = 0; i < 4; i++)
				if (++at == end || !is_hex(*at))
					return NULL;
		} else if (!*at || !strchr("\"\\/bfnrt", *at)) {
			return NULL;
		}
	}
	return NULL;
}

static const char *skip_digits(const char *at, const char *end)
{
	if (at == end || !is_digit(*at))
		return NULL;
	while (at < end && is_digit(*at))
		at++;
	return at;
}

static const char *skip_number(const char *at, const char *end)
{
	if (at < end && *at == '-')
		at++;
	if (at < end && *at == '0')
		at++;
	else
		at = skip_digits(at, end);
	if (at && at < end && *at == '.')
		at = skip_digits(at + 1, end);
	if (at && at < end && (*at == 'e' || *at == 'E')) {
		at++;
		if (at < end && (*at == '+' || *at == '-'))
			at++;
		at = skip_digits(at, end);
	}
	return at;
}

static const char *skip_word(const char *at, const char *end, const char *word)
{
	size_t length = strlen(word);

	return (size_t)(end - at) >= length && !memcmp(at, word, length) ? at + length : NULL;
}

/* The name of a member and the colon after it: returns where its value begins. */
static const char *skip_name(const char *at, const char *end)
{
	at = skip_string(at, end);
	if (!at)
		return NULL;
	at = skip_space(at, end);
	return at < end && *at == ':' ? skip_space(at + 1, end) : NULL;
}

/* An object or an array, which differ in their brackets and in whether their values have names. */
static const char *skip_many(const char *at, const char *end, int depth)
{
	bool named = *at == '{';
	char last = named ? '}' : ']';

	if (depth == DEEPEST)
		return NULL;
	at = skip_space(at + 1, end);
	if (at < end && *at == last)
		return at + 1;
	for (;;) {
		if (named)
			at = skip_name(at, end);
		at = at ? skip_value(at, end, depth + 1) : NULL;
		if (!at)
			return NULL;
		at = skip_space(at, end);
		if (at == end)
			return NULL;
		if (*at == last)
			return at + 1;
		if (*at != ',')
			return NULL;
		at = skip_space(at + 1, end);
	}
}

static const char *skip_value(const char *at, const char *end, int depth)
{
	if (at == end)
		return NULL;
	switch (*at) {
	case '{':
	case '[':
		return skip_many(at, end, depth);
	case '"':
		return skip_string(at, end);
	case 't':
		return skip_word(at, end, "true");
	case 'f':
		return skip_word(at, end, "false");
	case 'n':
		return skip_word(at, end, "null");
	default:
		return skip_number(at, end);
	}
}

bool json_read(const char *text, size_t length, struct json *value)
{
	const char *end = text + length;
	const char *start = skip_space(text, end);
	const char *after = skip_value(start, end, 0);

	if (!after || skip_space(after, end) != end)
		return false;
	*value = (struct json){ start, after - start };
	return true;
}

int json_member(struct json object, const char *name, struct json *value)
{
	const char *end = object.start + object.length;
	const char *at = object.start;
	size_t length = strlen(name);
	int found = 0;

	if (*at != '{')
		return 0;
	at = skip_space(at + 1, end);
	while (*at != '}') {
		const char *start = skip_name(at, end);
		const char *after = skip_value(start, end, 0);

		if (!strncmp(at + 1, name, length) && at[1 + length] == '"') {
			*value = (struct json){ start, after - start };
			found++;
		}
		at = skip_space(after, end);
		if (*at == ',')
			at = skip_space(at + 1, end);
	}
	return found;
}

bool json_text(struct json value, char *text, size_t room)
{
	if (value.length < 2 || *value.start != '"' || value.length - 2 >= room)
		return false;
	if (memchr(value.start, '\\', value.length))
		return false;
	memcpy(text, value.start + 1, value.length - 2);
	text[value.length - 2] = '\0';
	return true;
}

bool json_index(struct json value, int most, int *index)
{
	long number = 0;

	if (!value.length || value.length > 9)
		return false;
	for (size_t i = 0; i < value.length; i++) {
		if (!is_digit(value.start[i]))
			return false;
		number = number * 10 + (value.start[i] - '0');
	}
	if (number > most)
		return false;
	*index = number;
	return true;
}

bool json_is(struct json value, const char *word)
{
	return value.length == strlen(word) && !memcmp(value.start, word, value.length);
}
