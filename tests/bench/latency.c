#include "bench/latency.h"

#include <math.h>

#define STEPS 64 /* of one power of two */
#define STEPS_BITS 6

static unsigned shift_of(uint64_t ns)
{
	unsigned bits = ns ? 64 - (unsigned)__builtin_clzll(ns) : 0;

	return bits > STEPS_BITS + 1 ? bits - (STEPS_BITS + 1) : 0;
}

void latency_add(struct latency *latency, uint64_t ns)
{
	unsigned shift = shift_of(ns);

	latency->buckets[shift * STEPS + (ns >> shift)]++;
	latency->count++;
	if (ns > latency->longest_ns)
		latency->longest_ns = ns;
}

/* The greatest time of a bucket. */
static double end_ns(uint64_t bucket)
{
	uint64_t shift = bucket < STEPS ? 0 : bucket / STEPS - 1;

	return ldexp((double)(bucket - shift * STEPS + 1), (int)shift) - 1;
}

double latency_ms(const struct latency *latency, double part)
{
	double rank = ceil((double)latency->count * part);
	uint64_t seen = 0;

	for (uint64_t i = 0; i < LATENCY_BUCKETS; i++) {
		seen += latency->buckets[i];
		if (seen && (double)seen >= rank)
			return fmin(end_ns(i), (double)latency->longest_ns) / 1e6;
	}
	return 0;
}
