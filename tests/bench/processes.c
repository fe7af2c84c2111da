#include "bench/processes.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static _Noreturn void die(const char *what, const char *which)
{
	fprintf(stderr, "%s %s\n", what, which);
	exit(1);
}

void group_read(struct group *group, const char *text)
{
	const char *at = strchr(text, '=');

	*group = (struct group){0};
	if (!at || (size_t)(at - text) >= sizeof(group->name))
		die("not NAME=PID,PID:", text);
	memcpy(group->name, text, (size_t)(at - text));
	while (*at) {
		char *end;

		if (group->count == GROUP_PIDS_MOST)
			die("too many processes:", text);
		group->pids[group->count++] = (pid_t)strtol(at + 1, &end, 10);
		if (end == at + 1 || (*end && *end != ','))
			die("not NAME=PID,PID:", text);
		at = end;
	}
}

/* What the scheduler gave to each thread: `stat` has ticks only, which are coarse for a light load. */
static double threads_seconds(pid_t pid)
{
	char path[64 + 256];
	struct dirent *thread;
	double seconds = 0;
	DIR *threads;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	threads = opendir(path);
	if (!threads)
		die("a process has ended:", path);
	while ((thread = readdir(threads))) {
		unsigned long long ns;
		FILE *file;

		snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", pid, thread->d_name);
		file = thread->d_name[0] == '.' ? NULL : fopen(path, "re");
		if (file && fscanf(file, "%llu", &ns) == 1)
			seconds += (double)ns / 1e9;
		if (file)
			fclose(file);
	}
	closedir(threads);
	return seconds;
}

static double ended_children_seconds(pid_t pid)
{
	char path[64];
	long user = 0;
	long system = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "re");
	if (!file ||
	    fscanf(file, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %ld %ld",
	           &user, &system) != 2)
		die("cannot be read:", path);
	fclose(file);
	return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

double group_cpu_seconds(const struct group *group)
{
	double seconds = 0;

	for (size_t i = 0; i < group->count; i++)
		seconds += threads_seconds(group->pids[i]) + ended_children_seconds(group->pids[i]);
	return seconds;
}

double group_memory_kib(const struct group *group)
{
	double sum = 0;

	for (size_t i = 0; i < group->count; i++) {
		char path[64];
		char line[256];
		long kib = 0;
		FILE *file;

		snprintf(path, sizeof(path), "/proc/%d/status", group->pids[i]);
		file = fopen(path, "re");
		while (file && fgets(line, sizeof(line), file))
			sscanf(line, "VmRSS: %ld", &kib);
		if (file)
			fclose(file);
		sum += (double)kib;
	}
	return sum;
}
