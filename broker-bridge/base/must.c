#include "base/must.h"

#include "base/log.h"

#include <stdlib.h>

_Noreturn void must_failed(const char *condition, const char *file, int line)
{
	log_error("broken invariant, aborting", log_text("condition", condition),
	          log_text("file", file), log_number("line", line));
	abort();
}
