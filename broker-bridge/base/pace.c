#include "base/pace.h"

#define MOST_DOUBLINGS 20

uint32_t backoff_next_ms(struct backoff *backoff, uint32_t random)
{
	uint32_t doublings =
		backoff->failures < MOST_DOUBLINGS ? backoff->failures : MOST_DOUBLINGS;
	uint64_t limit = (uint64_t)backoff->first_ms << doublings;

	if (limit > backoff->most_ms)
		limit = backoff->most_ms;
	if (backoff->failures < UINT32_MAX)
		backoff->failures++;
	return (uint32_t)(limit / 4 + random % (limit - limit / 4 + 1));
}

void backoff_reset(struct backoff *backoff)
{
	backoff->failures = 0;
}
