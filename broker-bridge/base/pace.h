/* pace - when may I next: how long to wait before trying again.
 *
 * Exponential with jitter: the wait is drawn evenly between a quarter of a limit that doubles and the limit,
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

#endif
