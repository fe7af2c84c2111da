/* outcome - how something that may be refused ended.
 *
 * The codes are those of the wire's Error (proto/martlet/v1/error.proto), with OUTCOME_OK before them, so
 * nothing is translated on the way out. Texts are for the developer of a client: what was wrong with
 * which field, and what would be right.
 */
#ifndef MARTLET_MODEL_OUTCOME_H
#define MARTLET_MODEL_OUTCOME_H

#include <stdbool.h>
#include <stdint.h>

enum outcome_code {
	OUTCOME_OK = 0,
	OUTCOME_INVALID_ARGUMENT = 1,
	OUTCOME_UNAUTHENTICATED = 2,
	OUTCOME_PERMISSION_DENIED = 3,
	OUTCOME_NOT_FOUND = 4,
	OUTCOME_ALREADY_EXISTS = 5,
	OUTCOME_RESOURCE_EXHAUSTED = 6,
	OUTCOME_FAILED_PRECONDITION = 7,
	OUTCOME_UNIMPLEMENTED = 8,
	OUTCOME_UNAVAILABLE = 9,
	OUTCOME_INTERNAL = 10,
};

struct outcome {
	enum outcome_code code;
	uint32_t retry_after_ms; /* with UNAVAILABLE and RESOURCE_EXHAUSTED */
	char field[48];          /* of the command; empty if it was none */
	char text[160];
};

static inline bool outcome_is_ok(const struct outcome *outcome)
{
	return outcome->code == OUTCOME_OK;
}

struct outcome outcome_ok(void) __attribute__((warn_unused_result));

/* Refused because of no field in particular. */
struct outcome outcome_refuse(enum outcome_code code, const char *format, ...)
	__attribute__((format(printf, 2, 3), warn_unused_result));

/* INVALID_ARGUMENT, for this field. */
struct outcome outcome_invalid(const char *field, const char *format, ...)
	__attribute__((format(printf, 2, 3), warn_unused_result));

/* UNAVAILABLE or RESOURCE_EXHAUSTED: try again after `retry_after_ms`. */
struct outcome outcome_retry(enum outcome_code code, uint32_t retry_after_ms, const char *format,
                             ...) __attribute__((format(printf, 3, 4), warn_unused_result));

#endif
