#include "model/text.h"

#include <stddef.h>
#include <stdint.h>

#define MALFORMED UINT32_MAX

/* The bytes after the first, by the first; 0 for one byte, -1 for what begins nothing. */
static int continuation_bytes(uint8_t first)
{
	if (first < 0x80)
		return 0;
	if (first >= 0xc2 && first <= 0xdf)
		return 1;
	if (first >= 0xe0 && first <= 0xef)
		return 2;
	if (first >= 0xf0 && first <= 0xf4)
		return 3;
	return -1;
}

/* The next character, and the place moved behind it. Never reads beyond the closing zero. */
static uint32_t next_character(const uint8_t **at)
{
	static const uint32_t smallest[] = {0, 0x80, 0x800, 0x10000};
	uint8_t first = *(*at)++;
	int more = continuation_bytes(first);
	uint32_t character;

	if (more <= 0)
		return more ? MALFORMED : first;
	character = first & (0x3fu >> more);
	for (int i = 0; i < more; i++) {
		if ((**at & 0xc0) != 0x80)
			return MALFORMED;
		character = character << 6 | (*(*at)++ & 0x3fu);
	}
	if (character < smallest[more] || character > 0x10ffff ||
	    (character >= 0xd800 && character <= 0xdfff))
		return MALFORMED;
	return character;
}

bool text_is_utf8(const char *text)
{
	const uint8_t *at = (const uint8_t *)text;

	while (*at) {
		if (next_character(&at) == MALFORMED)
			return false;
	}
	return true;
}

/* Unicode's spaces, and the format characters that take no room. */
static bool is_invisible(uint32_t c)
{
	return c <= 0x20 || (c >= 0x7f && c <= 0xa0) || c == 0xad || c == 0x34f || c == 0x61c ||
	       c == 0x115f || c == 0x1160 || c == 0x1680 || c == 0x17b4 || c == 0x17b5 ||
	       (c >= 0x180b && c <= 0x180f) || (c >= 0x2000 && c <= 0x200f) ||
	       (c >= 0x2028 && c <= 0x202f) || (c >= 0x205f && c <= 0x206f) || c == 0x2800 ||
	       c == 0x3000 || c == 0x3164 || (c >= 0xfe00 && c <= 0xfe0f) || c == 0xfeff ||
	       c == 0xffa0 || (c >= 0xfff0 && c <= 0xfffb) || (c >= 0xe0000 && c <= 0xe0fff);
}

bool text_is_visible(const char *text)
{
	const uint8_t *at = (const uint8_t *)text;

	while (*at) {
		if (!is_invisible(next_character(&at)))
			return true;
	}
	return false;
}

bool text_has_controls(const char *text)
{
	for (const uint8_t *at = (const uint8_t *)text; *at; at++) {
		if (*at < 0x20 || *at == 0x7f)
			return true;
	}
	return false;
}

bool text_is_printable_ascii(const char *text)
{
	for (const uint8_t *at = (const uint8_t *)text; *at; at++) {
		if (*at < 0x20 || *at > 0x7e)
			return false;
	}
	return true;
}
