/* latency - a histogram of times from nanoseconds to minutes, each kept to within 1.6 %.
 *
 * Buckets grow with their values: 64 for each power of two, so that neither a fast median nor an overload of
 * seconds is cut off.
 */
#ifndef MARTLET_BENCH_LATENCY_H
#define MARTLET_BENCH_LATENCY_H

#include <stdint.h>

#define LATENCY_BUCKETS (60 * 64)

struct latency {
	uint64_t count;
	uint64_t longest_ns;
	uint64_t buckets[LATENCY_BUCKETS];
};

void latency_add(struct latency *latency, uint64_t ns);

/* The time that this part (0.99) of all did not exceed; 0 if there are none. */
double latency_ms(const struct latency *latency, double part);

#endif
