/* log - one line per event, logfmt or JSON, to standard error.
 *
 *   log_info("session closed", log_text("user", user), log_number("code", 4008));
 *   time=2026-11-23T00:03:39.123Z level=info node=host.1 msg="session closed" user=alice code=4008
 *
 * A line is written with one write(2), so the lines of several workers do not mix. Message bodies and
 * tokens are never given to it. Causes that strangers can repeat at will use log_limited.
 *
 * Owns:     the process's level, format and node name.
 * Threads:  one.
 * Fails:    never; a line that cannot be written is lost. Where one would be longer than 2 KiB, a text is cut
 *           (it ends in ...) and fields that have no room are left out; it stays valid logfmt or JSON.
 */
#ifndef MARTLET_BASE_LOG_H
#define MARTLET_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level {
	LOG_DEBUG,   /* anything */
	LOG_INFO,    /* the life of things */
	LOG_WARNING, /* ours degraded, or a stranger was refused */
	LOG_ERROR,   /* someone must act */
};

enum log_format { LOG_LOGFMT, LOG_JSON };

/* A name and a value; the text is borrowed until the call returns. */
struct log_field {
	const char *name;
	const char *text; /* NULL for a number */
	int64_t number;
};

static inline struct log_field log_text(const char *name, const char *text)
{
	return (struct log_field){.name = name, .text = text ? text : ""};
}

static inline struct log_field log_number(const char *name, int64_t number)
{
	return (struct log_field){.name = name, .number = number};
}

/* At most this many lines of one cause are written in ten seconds; the next line then says how many
 * were not. */
struct log_limit {
	uint64_t window_start_ms;
	uint32_t written;
	uint32_t suppressed;
};

void log_set_level(enum log_level level);
void log_set_format(enum log_format format);

/* Names this process in every line; copied. NULL or "" leaves the field out. */
void log_set_node(const char *node);

/* "debug", "info", "warning" or "error"; false if `name` is none of them. */
bool log_level_from_text(const char *name, enum log_level *ret_level)
	__attribute__((warn_unused_result));

/* `fields` ends with one whose name is NULL. `limit` may be NULL. */
void log_write(enum log_level level, struct log_limit *limit, const char *message,
               const struct log_field *fields);

/* The list that follows the message always ends with an empty field. */
#define LOG_CALL(level, limit, message, ...)                                                       \
	log_write(level, limit, message, (const struct log_field[]){__VA_ARGS__})

#define log_debug(...) LOG_CALL(LOG_DEBUG, NULL, __VA_ARGS__, {0})
#define log_info(...) LOG_CALL(LOG_INFO, NULL, __VA_ARGS__, {0})
#define log_warning(...) LOG_CALL(LOG_WARNING, NULL, __VA_ARGS__, {0})
#define log_error(...) LOG_CALL(LOG_ERROR, NULL, __VA_ARGS__, {0})

/* One limit for each place that it stands in. */
#define log_limited(level, ...)                                                                    \
	do {                                                                                       \
		static struct log_limit log_limit_;                                                \
		LOG_CALL(level, &log_limit_, __VA_ARGS__, {0});                                    \
	} while (0)

#endif
