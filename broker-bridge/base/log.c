#include "base/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES 2048
#define LIMIT_WINDOW_MS 10000
#define LIMIT_LINES 10

static enum log_level threshold = LOG_INFO;
static enum log_format format = LOG_LOGFMT;
static char node_name[64];

static const char *const level_names[] = {"debug", "info", "warning", "error"};

/* A line being made. */
struct line {
	char text[LINE_BYTES];
	size_t size;
};

#define END_BYTES 2 /* the closing brace and the newline */
#define CUT "...\"" /* how a text that is too long ends */
#define CUT_BYTES 4

void log_set_level(enum log_level level)
{
	threshold = level;
}

void log_set_format(enum log_format new_format)
{
	format = new_format;
}

void log_set_node(const char *node)
{
	snprintf(node_name, sizeof(node_name), "%s", node ? node : "");
}

bool log_level_from_text(const char *name, enum log_level *ret_level)
{
	for (size_t i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++) {
		if (strcmp(name, level_names[i]) == 0) {
			*ret_level = (enum log_level)i;
			return true;
		}
	}
	return false;
}

/* All of the bytes or, if less than `spare` would be left for what must follow, none. */
static bool add(struct line *line, const char *bytes, size_t size, size_t spare)
{
	if (size + spare > sizeof(line->text) - END_BYTES - line->size)
		return false;
	memcpy(line->text + line->size, bytes, size);
	line->size += size;
	return true;
}

static bool add_text(struct line *line, const char *text)
{
	return add(line, text, strlen(text), 0);
}

/* The bytes of the character that begins here: 1 for ASCII; 0 if it is no UTF-8 (RFC 3629). */
static size_t character_size(const unsigned char *at)
{
	size_t size = at[0] < 0x80 ? 1 : at[0] < 0xc2 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;

	if (at[0] > 0xf4 || (at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) ||
	    (at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] > 0x8f))
		return 0;
	for (size_t i = 1; i < size; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	}
	return size;
}

/* One character as it may stand between quotes; moves *at behind it. What a terminal would obey (C0, DEL and
 * C1) is escaped, and a byte that is no text becomes U+FFFD: strangers choose some of what is logged. */
static bool add_character(struct line *line, const unsigned char **at)
{
	const unsigned char *from = *at;
	size_t size = character_size(from);
	unsigned int code = size == 2 ? (from[0] & 0x1fu) << 6 | (from[1] & 0x3fu) : from[0];
	char escape[8];

	*at += size ? size : 1;
	if (size == 1 && (*from == '"' || *from == '\\'))
		snprintf(escape, sizeof(escape), "\\%c", *from);
	else if (!size)
		snprintf(escape, sizeof(escape), "\\ufffd");
	else if (size <= 2 && (code < 0x20 || (code >= 0x7f && code < 0xa0)))
		snprintf(escape, sizeof(escape), "\\u%04x", code);
	else
		return add(line, (const char *)from, size, CUT_BYTES);
	return add(line, escape, strlen(escape), CUT_BYTES);
}

/* Cut at the end of the line; false if not even the quotes have room. */
static bool add_quoted(struct line *line, const char *text)
{
	const unsigned char *at = (const unsigned char *)text;

	if (!add(line, "\"", 1, CUT_BYTES))
		return false;
	while (*at) {
		if (!add_character(line, &at))
			return add_text(line, CUT);
	}
	return add_text(line, "\"");
}

static bool is_plain(const char *text)
{
	if (!*text)
		return false;
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c <= 0x20 || c == '"' || c == '=' || c == '\\' || c >= 0x7f)
			return false;
	}
	return true;
}

static bool add_name(struct line *line, const char *name)
{
	if (format == LOG_JSON)
		return add_text(line, line->size > 1 ? ",\"" : "\"") && add_text(line, name) &&
		       add_text(line, "\":");
	return add_text(line, line->size ? " " : "") && add_text(line, name) && add_text(line, "=");
}

static bool add_value(struct line *line, const struct log_field *field)
{
	char number[24];

	if (!field->text) {
		snprintf(number, sizeof(number), "%" PRId64, field->number);
		return add_text(line, number);
	}
	if (format == LOG_LOGFMT && is_plain(field->text) && add_text(line, field->text))
		return true;
	return add_quoted(line, field->text);
}

/* What has no room is left out: half a number would be another number. */
static void add_field(struct line *line, const struct log_field *field)
{
	size_t before = line->size;

	if (!add_name(line, field->name) || !add_value(line, field))
		line->size = before;
}

static void add_time(struct line *line)
{
	struct timespec now;
	struct tm parts;
	char seconds[32];
	char whole[48];

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &parts);
	strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", &parts);
	snprintf(whole, sizeof(whole), "%s.%03ldZ", seconds, now.tv_nsec / 1000000);
	add_field(line, &(struct log_field){.name = "time", .text = whole});
}

static uint64_t clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Says whether a line may be written, and how many before it were not. */
static bool limit_allows(struct log_limit *limit, uint32_t *ret_suppressed)
{
	uint64_t now = clock_ms();

	*ret_suppressed = 0;
	if (!limit->window_start_ms || now - limit->window_start_ms >= LIMIT_WINDOW_MS) {
		*ret_suppressed = limit->suppressed;
		*limit = (struct log_limit){.window_start_ms = now};
	}
	if (limit->written == LIMIT_LINES) {
		limit->suppressed++;
		return false;
	}
	limit->written++;
	return true;
}

void log_write(enum log_level level, struct log_limit *limit, const char *message,
               const struct log_field *fields)
{
	struct line line = {.size = 0};
	uint32_t suppressed = 0;

	if (level < threshold || (limit && !limit_allows(limit, &suppressed)))
		return;
	if (format == LOG_JSON)
		add_text(&line, "{");
	add_time(&line);
	add_field(&line, &(struct log_field){.name = "level", .text = level_names[level]});
	if (node_name[0])
		add_field(&line, &(struct log_field){.name = "node", .text = node_name});
	add_field(&line, &(struct log_field){.name = "msg", .text = message});
	for (; fields->name; fields++)
		add_field(&line, fields);
	if (suppressed)
		add_field(&line, &(struct log_field){.name = "suppressed", .number = suppressed});
	/* These always fit: END_BYTES are kept for them. */
	if (format == LOG_JSON)
		line.text[line.size++] = '}';
	line.text[line.size++] = '\n';
	if (write(STDERR_FILENO, line.text, line.size) < 0)
		return; /* there is nowhere left to say so */
}
