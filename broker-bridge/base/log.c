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

/* A line being made. What does not fit is left out; room for the end is kept. */
struct line {
	char text[LINE_BYTES];
	size_t size;
};

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

static void add_character(struct line *line, char character)
{
	if (line->size < sizeof(line->text) - 8)
		line->text[line->size++] = character;
}

static void add_text(struct line *line, const char *text)
{
	while (*text)
		add_character(line, *text++);
}

static void add_escaped(struct line *line, unsigned char character)
{
	char escape[8];

	if (character == '"' || character == '\\') {
		add_character(line, '\\');
		add_character(line, (char)character);
	} else if (character < 0x20 || character == 0x7f) {
		snprintf(escape, sizeof(escape), "\\u%04x", character);
		add_text(line, escape);
	} else {
		add_character(line, (char)character);
	}
}

static void add_quoted(struct line *line, const char *text)
{
	add_character(line, '"');
	while (*text)
		add_escaped(line, (unsigned char)*text++);
	add_character(line, '"');
}

static bool is_plain(const char *text)
{
	if (!*text)
		return false;
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c <= 0x20 || c == '"' || c == '=' || c == '\\' || c == 0x7f)
			return false;
	}
	return true;
}

static void add_name(struct line *line, const char *name)
{
	if (format == LOG_JSON) {
		add_text(line, line->size > 1 ? "," : "");
		add_quoted(line, name);
		add_character(line, ':');
		return;
	}
	add_text(line, line->size ? " " : "");
	add_text(line, name);
	add_character(line, '=');
}

static void add_field(struct line *line, const struct log_field *field)
{
	char number[24];

	add_name(line, field->name);
	if (!field->text) {
		snprintf(number, sizeof(number), "%" PRId64, field->number);
		add_text(line, number);
	} else if (format == LOG_LOGFMT && is_plain(field->text)) {
		add_text(line, field->text);
	} else {
		add_quoted(line, field->text);
	}
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
		add_character(&line, '{');
	add_time(&line);
	add_field(&line, &(struct log_field){.name = "level", .text = level_names[level]});
	if (node_name[0])
		add_field(&line, &(struct log_field){.name = "node", .text = node_name});
	add_field(&line, &(struct log_field){.name = "msg", .text = message});
	for (; fields->name; fields++)
		add_field(&line, fields);
	if (suppressed)
		add_field(&line, &(struct log_field){.name = "suppressed", .number = suppressed});
	/* These always fit: add_character keeps room for them. */
	if (format == LOG_JSON)
		line.text[line.size++] = '}';
	line.text[line.size++] = '\n';
	if (write(STDERR_FILENO, line.text, line.size) < 0)
		return; /* there is nowhere left to say so */
}
