#include "app/supervisor.h"

#include "app/config.h"
#include "app/worker.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/must.h"
#include "base/pace.h"
#include "base/random.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BACKOFF_FIRST_MS 50
#define BACKOFF_MOST_MS 5000
#define STEADY_MS 10000     /* who ran this long is started again at once */
#define DRAIN_EXTRA_MS 5000 /* beyond the workers' own bound, then they are killed */
#define TICK_MS 100
#define TICKET_BYTES 80

struct child {
	pid_t pid; /* 0 while none runs */
	uint64_t started_ms;
	uint64_t restart_ms;
	struct backoff backoff;
};

struct supervisor {
	struct config *config;
	uint8_t ticket_keys[TICKET_BYTES];
	sigset_t signals;
	sigset_t before;
	struct child *children;
	uint32_t count;
	uint64_t drain_by_ms; /* 0 while running */
	int exit_code;
};

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static _Noreturn void become_worker(const struct supervisor *supervisor, uint32_t place,
                                    pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	sigprocmask(SIG_SETMASK, &supervisor->before, NULL);
	/* It may have died before the line above. */
	if (getppid() != parent)
		_exit(0);
	_exit(worker_run(supervisor->config, place + 1, supervisor->ticket_keys));
}

static void start(struct supervisor *supervisor, uint32_t place)
{
	struct child *child = &supervisor->children[place];
	pid_t parent = getpid();

	child->pid = fork();
	if (child->pid == 0)
		become_worker(supervisor, place, parent);
	if (child->pid < 0) {
		log_error("cannot fork", log_text("reason", strerror(errno)));
		child->pid = 0;
		child->restart_ms = now_ms() + BACKOFF_MOST_MS;
		return;
	}
	child->started_ms = now_ms();
}

static void drain(struct supervisor *supervisor)
{
	if (supervisor->drain_by_ms)
		return;
	supervisor->drain_by_ms = now_ms() + supervisor->config->node.drain_ms + DRAIN_EXTRA_MS;
	for (uint32_t i = 0; i < supervisor->count; i++) {
		if (supervisor->children[i].pid)
			kill(supervisor->children[i].pid, SIGTERM);
	}
}

/* Workers that run read the file themselves; those that are started later get what was read here. */
static void reload(struct supervisor *supervisor)
{
	if (!config_reload(supervisor->config, stderr)) {
		log_error("the configuration is wrong and stays as it was");
		return;
	}
	config_use_log(supervisor->config);
	log_info("configuration read again");
	for (uint32_t i = 0; i < supervisor->count; i++) {
		if (supervisor->children[i].pid)
			kill(supervisor->children[i].pid, SIGHUP);
	}
}

static void on_exit_of(struct supervisor *supervisor, struct child *child, int status)
{
	uint64_t now = now_ms();
	bool cannot_begin = WIFEXITED(status) && WEXITSTATUS(status) == WORKER_CANNOT_BEGIN;

	child->pid = 0;
	if (supervisor->drain_by_ms)
		return;
	if (cannot_begin && now - child->started_ms < STEADY_MS && !child->backoff.failures) {
		supervisor->exit_code = 1;
		drain(supervisor);
		return;
	}
	if (now - child->started_ms >= STEADY_MS)
		backoff_reset(&child->backoff);
	child->restart_ms = now + backoff_next_ms(&child->backoff, random_number());
	log_error("worker died, starting another",
	          log_number("worker", child - supervisor->children + 1),
	          log_number("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0),
	          log_number("exit", WIFEXITED(status) ? WEXITSTATUS(status) : 0),
	          log_number("in_ms", (int64_t)(child->restart_ms - now)));
}

static void reap(struct supervisor *supervisor)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (uint32_t i = 0; i < supervisor->count; i++) {
			if (supervisor->children[i].pid == pid)
				on_exit_of(supervisor, &supervisor->children[i], status);
		}
	}
}

static uint32_t count_running(const struct supervisor *supervisor)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < supervisor->count; i++)
		count += supervisor->children[i].pid != 0;
	return count;
}

static void start_missing(struct supervisor *supervisor)
{
	for (uint32_t i = 0; i < supervisor->count; i++) {
		struct child *child = &supervisor->children[i];

		if (!child->pid && now_ms() >= child->restart_ms)
			start(supervisor, i);
	}
}

static void kill_late(struct supervisor *supervisor)
{
	if (!supervisor->drain_by_ms || now_ms() < supervisor->drain_by_ms)
		return;
	log_error("workers did not end in time and are killed");
	for (uint32_t i = 0; i < supervisor->count; i++) {
		if (supervisor->children[i].pid)
			kill(supervisor->children[i].pid, SIGKILL);
	}
}

static void supervise(struct supervisor *supervisor)
{
	const struct timespec tick = {0, TICK_MS * 1000000};

	while (!supervisor->drain_by_ms || count_running(supervisor)) {
		int number;

		if (!supervisor->drain_by_ms)
			start_missing(supervisor);
		number = sigtimedwait(&supervisor->signals, NULL, &tick);
		if (number == SIGTERM || number == SIGINT)
			drain(supervisor);
		if (number == SIGHUP)
			reload(supervisor);
		reap(supervisor);
		kill_late(supervisor);
	}
}

int supervisor_run(struct config *config)
{
	struct supervisor supervisor = {.config = config};
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	supervisor.count =
		config->node.workers ? config->node.workers : (uint32_t)(cores > 0 ? cores : 1);
	supervisor.children = memory_new_array(supervisor.count, sizeof(struct child));
	for (uint32_t i = 0; i < supervisor.count; i++)
		supervisor.children[i].backoff =
			(struct backoff){BACKOFF_FIRST_MS, BACKOFF_MOST_MS, 0};
	random_bytes(supervisor.ticket_keys, sizeof(supervisor.ticket_keys));
	sigemptyset(&supervisor.signals);
	sigaddset(&supervisor.signals, SIGTERM);
	sigaddset(&supervisor.signals, SIGINT);
	sigaddset(&supervisor.signals, SIGHUP);
	sigaddset(&supervisor.signals, SIGCHLD);
	sigprocmask(SIG_BLOCK, &supervisor.signals, &supervisor.before);
	supervise(&supervisor);
	free(supervisor.children);
	return supervisor.exit_code;
}
