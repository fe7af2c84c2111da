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

uint32_t bucket_take(struct bucket *bucket, const struct rate *rate, uint64_t now_ms)
{
	uint64_t now_us = now_ms * 1000;
	uint64_t step_us = 1000000 / rate->per_second;
	uint64_t depth_us = step_us * rate->burst;
	uint64_t full_at_us = bucket->full_at_us > now_us ? bucket->full_at_us : now_us;

	if (full_at_us + step_us > now_us + depth_us)
		return (uint32_t)((full_at_us + step_us - now_us - depth_us + 999) / 1000);
	bucket->full_at_us = full_at_us + step_us;
	return 0;
}
