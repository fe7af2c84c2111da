/* pace - when may I next: how long to wait before trying again, and how often something may be done.
 *
 * A backoff is exponential with jitter: the wait is drawn evenly between a quarter of a limit that doubles and the limit,
 * so that many who failed together do not return together, and a refusal in a loop never spins. The caller
 * gives the random number, so a test repeats itself.
 */
#ifndef MARTLET_BASE_PACE_H
#define MARTLET_BASE_PACE_H

#include <stdint.h>

struct backoff {
	uint32_t first_ms; /* the limit of the first wait */
	uint32_t most_ms;  /* the limit never grows beyond this */
	uint32_t failures; /* since the last success */
};

/* The wait before the next attempt, in milliseconds; counts one more failure. `random` is any number,
 * evenly drawn. */
uint32_t backoff_next_ms(struct backoff *backoff, uint32_t random);

/* It worked: the next wait is short again. */
void backoff_reset(struct backoff *backoff);

/* How often something may be done: so many at once, and so many a second. */
struct rate {
	uint32_t per_second; /* at least 1 */
	uint32_t burst;      /* at least 1 */
};

/* A token bucket, kept as the time at which it will be full again (the generic cell rate algorithm,
 * ITU-T I.371): zeroed, it is full. A rate may change between two calls. */
struct bucket {
	uint64_t full_at_us;
};

/* 0 if it may be done now, which is then counted; else how long to wait, in milliseconds, at least 1. */
uint32_t bucket_take(struct bucket *bucket, const struct rate *rate, uint64_t now_ms);

#endif
