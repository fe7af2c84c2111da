/* processes - processor time and memory of the servers, told apart by name.
 *
 * A group is one row of the report: "worker 1=4711", "PostgreSQL backends=4712,4713".
 */
#ifndef MARTLET_BENCH_PROCESSES_H
#define MARTLET_BENCH_PROCESSES_H

#include <stddef.h>
#include <sys/types.h>

#define GROUPS_MOST 16
#define GROUP_PIDS_MOST 64

struct group {
	char name[32];
	pid_t pids[GROUP_PIDS_MOST];
	size_t count;
};

/* Reads "NAME=PID,PID"; exits if it is none. */
void group_read(struct group *group, const char *text);

/* Of all threads, to the nanosecond, and of children that have ended (PostgreSQL's short ones), to a tick. */
double group_cpu_seconds(const struct group *group);

/* Resident memory, in KiB. */
double group_memory_kib(const struct group *group);

#endif
