/* pace - when may I next: how long to wait before trying again.
 *
 * Exponential with full jitter: the wait is drawn evenly between nothing and a limit that doubles, so
 * that many who failed together do not return together. The caller gives the random number, so a test
 * repeats itself.
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
 * evenly drawn. At least a quarter of the limit, so that a refusal in a loop never spins. */
uint32_t backoff_next_ms(struct backoff *backoff, uint32_t random);

/* It worked: the next wait is short again. */
void backoff_reset(struct backoff *backoff);

#endif
