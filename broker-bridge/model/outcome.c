#include "model/outcome.h"

#include <stdarg.h>
#include <stdio.h>

struct outcome outcome_ok(void)
{
	return (struct outcome){.code = OUTCOME_OK};
}

struct outcome outcome_refuse(enum outcome_code code, const char *format, ...)
{
	struct outcome outcome = {.code = code};
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(outcome.text, sizeof(outcome.text), format, arguments);
	va_end(arguments);
	return outcome;
}

struct outcome outcome_invalid(const char *field, const char *format, ...)
{
	struct outcome outcome = {.code = OUTCOME_INVALID_ARGUMENT};
	va_list arguments;

	snprintf(outcome.field, sizeof(outcome.field), "%s", field);
	va_start(arguments, format);
	vsnprintf(outcome.text, sizeof(outcome.text), format, arguments);
	va_end(arguments);
	return outcome;
}

struct outcome outcome_retry(enum outcome_code code, uint32_t retry_after_ms, const char *format,
                             ...)
{
	struct outcome outcome = {.code = code, .retry_after_ms = retry_after_ms};
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(outcome.text, sizeof(outcome.text), format, arguments);
	va_end(arguments);
	return outcome;
}
