#include "base/must.h"

#include "base/log.h"

#include <stdlib.h>

static void (*way_out_of_it)(void);

void must_set_way_out(void (*way_out)(void))
{
	way_out_of_it = way_out;
}

_Noreturn void must_failed(const char *condition, const char *file, int line)
{
	log_error(way_out_of_it ? "broken invariant" : "broken invariant, aborting",
	          log_text("condition", condition), log_text("file", file),
	          log_number("line", line));
	if (way_out_of_it)
		way_out_of_it();
	abort();
}
