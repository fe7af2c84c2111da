/* group - what one large group costs, phase by phase and at several sizes.
 *
 * Each size is a group of its own: so many members connected, and one and a half times as many who are not. Half
 * of the connected ones are added while they are. Each phase is counted by a unit of what is done (a session
 * that joins, a delivery, a mark), so what grows faster than the group shows as a row that rises to the right.
 */
#ifndef MARTLET_BENCH_GROUP_H
#define MARTLET_BENCH_GROUP_H

#include "bench/processes.h"

#include <stddef.h>
#include <stdint.h>

struct group_options {
	const char *tokens;
	uint16_t port;
	const char *sizes; /* "50 500 2000": connected members */
	double rate;       /* messages a second */
	double seconds;    /* of each phase that goes on */
	const struct group *groups;
	size_t groups_count;
};

/* The connections of the largest. */
size_t group_connections(const char *sizes);

void group_run(const struct group_options *options);

#endif
