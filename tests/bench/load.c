/* load - speed and cost of Martlet, measured from outside by thousands of WebSocket clients in one process.
 *
 *   load idle     PORT TOKENS CLIENTS 0 SECONDS GROUP...      connections that do nothing
 *   load idle-tls PORT TOKENS CLIENTS 0 SECONDS GROUP...      the same over TLS
 *   load fanout   PORT TOKENS CLIENTS RATE SECONDS GROUP...   one group of all, one of them speaks
 *   load pairs    PORT TOKENS CLIENTS RATE SECONDS GROUP...   direct chats, all speak in turn
 *   load group    PORT TOKENS "SIZE SIZE" RATE SECONDS GROUP...   large groups: see bench/group.h
 *
 * TOKENS is a file with one "user token" a line, GROUP is "NAME=PID,PID", a row of the report; names of workers
 * begin with "worker".
 *
 * Open loop: RATE messages a second are sent whatever became of those before, each with the time when it was
 * due. Warm-up is not counted, what never came is.
 */
#include "bench/crowd.h"
#include "bench/floor.h"
#include "bench/group.h"
#include "bench/processes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define SECOND_NS 1000000000u
#define WARM_NS (2ull * SECOND_NS)
#define PAUSE_NS                                                                                   \
	(SECOND_NS / 5) /* after the warm-up: what is under way comes, processes are read */
#define DRAIN_NS (10ull * SECOND_NS)
#define TURN_NS (SECOND_NS / 100)
/* Connected before memory is read first, so that what a worker takes once is nobody's. */
#define IDLE_FIRST 500
/* The floor and Martlet take turns, so that a busier minute of the machine hits both. */
#define ROUNDS 2
#define FILES_BESIDE 100

struct options {
	const char *scenario;
	uint16_t port;
	const char *tokens;
	size_t clients;
	const char *sizes; /* the same, as it was given */
	double rate;
	double seconds;
};

/* What a crowd's messages cost. */
struct measure {
	double seconds; /* from the first due to the last delivery */
	uint64_t expected;
	uint64_t late_ns; /* the sender itself, at worst */
	double cpu[GROUPS_MOST];
};

static struct group groups[GROUPS_MOST];
static size_t groups_count;

static void read_cpu(double ret_seconds[GROUPS_MOST])
{
	for (size_t i = 0; i < groups_count; i++)
		ret_seconds[i] = group_cpu_seconds(&groups[i]);
}

static bool is_worker(const struct group *group)
{
	return strncmp(group->name, "worker", 6) == 0;
}

static void add_group(const char *name, pid_t pid)
{
	char text[64];

	snprintf(text, sizeof(text), "%s=%d", name, pid);
	group_read(&groups[groups_count++], text);
}

/* ---- sending ---- */

/* Messages that are due in [from, to); `receivers` is how many get each. */
static void speak(struct crowd *crowd, struct measure *measure, double rate, uint64_t from,
                  uint64_t to, size_t speakers, size_t receivers)
{
	for (uint64_t sent = 0;;) {
		uint64_t due = from + (uint64_t)((double)sent * 1e9 / rate);
		uint64_t now = now_ns();

		if (due >= to)
			return;
		if (now < due) {
			crowd_turn(crowd, due - now);
			continue;
		}
		if (now - due > measure->late_ns)
			measure->late_ns = now - due;
		crowd_send(crowd, sent % speakers, due);
		measure->expected += receivers;
		sent++;
		crowd_turn(crowd, 0);
	}
}

static void turn_until(struct crowd *crowd, uint64_t end)
{
	for (uint64_t now; (now = now_ns()) < end;)
		crowd_turn(crowd, end - now);
}

static void segment(struct crowd *crowd, struct measure *measure, double rate, double seconds,
                    size_t speakers, size_t receivers)
{
	struct measure ignored = {0};
	double before[GROUPS_MOST];
	double after[GROUPS_MOST];
	struct window *window = &crowd->window;
	uint64_t warm = now_ns();
	uint64_t begin = warm + WARM_NS;
	uint64_t end = begin + (uint64_t)(seconds * SECOND_NS);

	window->from_ns = begin;
	window->to_ns = end;
	speak(crowd, &ignored, rate, warm, begin - PAUSE_NS, speakers, receivers);
	turn_until(crowd, begin - PAUSE_NS / 2);
	read_cpu(before);
	turn_until(crowd, begin);
	speak(crowd, measure, rate, begin, end, speakers, receivers);
	turn_until(crowd, end);
	while (window->deliveries < measure->expected && now_ns() < end + DRAIN_NS)
		crowd_turn(crowd, TURN_NS);
	read_cpu(after);
	for (size_t i = 0; i < groups_count; i++)
		measure->cpu[i] += after[i] - before[i];
	measure->seconds += (double)((window->last_ns > end ? window->last_ns : end) - begin) / 1e9;
}

/* ---- telling ---- */

static void tell_clients(const struct crowd *crowd)
{
	size_t apart = 0;

	for (size_t i = 0; i < NODES_MOST && crowd->nodes[i][0]; i++)
		printf("%s%s: %zu", i ? ", " : "  clients of ", crowd->nodes[i],
		       crowd->node_clients[i]);
	for (size_t i = 0; i + 1 < crowd->count; i += 2)
		apart += crowd->clients[i].node != crowd->clients[i + 1].node;
	if (crowd->nodes[1][0])
		printf("; neighbours on two workers: %.0f %%",
		       200.0 * (double)apart / (double)crowd->count);
	printf("\n");
}

static void tell_latency(const char *name, const struct crowd *crowd, const struct measure *measure)
{
	static const double parts[] = {.5, .9, .99, .999};
	const struct window *window = &crowd->window;

	printf("  %-20s %12.0f %9ld", name, (double)window->deliveries / measure->seconds,
	       (long)(measure->expected - window->deliveries));
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		printf(" %8.2f", latency_ms(&window->latency, parts[i]));
	printf(" %8.2f %9.2f\n", (double)window->latency.longest_ns / 1e6,
	       (double)measure->late_ns / 1e6);
	if (crowd->refused)
		printf("  refused: %lu commands\n", (unsigned long)crowd->refused);
}

static void tell_latency_head(void)
{
	printf("  %-20s %12s %9s %8s %8s %8s %8s %8s %9s\n", "", "deliveries/s", "missing",
	       "p50 ms", "p90", "p99", "p99.9", "max", "sent late");
}

/* Seconds a million deliveries are microseconds a delivery. */
static double cost(const struct crowd *crowd, double cpu)
{
	return crowd->window.deliveries ? cpu * 1e6 / (double)crowd->window.deliveries : 0;
}

static void tell_cpu(const struct crowd *crowd, const struct measure *measure)
{
	printf("  %-20s %12s %9s %s\n", "", "CPU s", "of a core", "CPU s per million deliveries");
	for (size_t i = 0; i < groups_count; i++) {
		if (measure->cpu[i] >= 0.0005)
			printf("  %-20s %12.2f %7.0f %% %8.2f\n", groups[i].name, measure->cpu[i],
			       measure->cpu[i] * 100 / measure->seconds,
			       cost(crowd, measure->cpu[i]));
	}
}

static double workers_cpu(const struct measure *measure)
{
	double sum = 0;

	for (size_t i = 0; i < groups_count; i++)
		sum += is_worker(&groups[i]) ? measure->cpu[i] : 0;
	return sum;
}

/* ---- scenarios ---- */

static void run_pairs(const struct options *options)
{
	struct crowd crowd;
	struct measure measure = {0};

	crowd_init(&crowd, options->tokens, 0, options->clients, options->port);
	crowd_connect(&crowd, crowd.count);
	crowd_open_pairs(&crowd);
	segment(&crowd, &measure, options->rate, options->seconds, crowd.count, 2);
	tell_clients(&crowd);
	tell_latency_head();
	tell_latency("Martlet", &crowd, &measure);
	tell_cpu(&crowd, &measure);
}

static void run_fanout(const struct options *options)
{
	struct crowd crowd;
	struct crowd raw;
	struct measure measure = {0};
	struct measure floor = {0};
	size_t raw_group = groups_count;
	uint16_t raw_port;

	add_group("raw floor", floor_start(&raw_port));
	crowd_init(&crowd, options->tokens, 0, options->clients, options->port);
	crowd_init(&raw, options->tokens, 0, options->clients, raw_port);
	raw.is_raw = true;
	crowd_connect(&crowd, crowd.count);
	crowd_connect(&raw, raw.count);
	crowd_create_group(&crowd);
	for (int i = 0; i < ROUNDS; i++) {
		segment(&raw, &floor, options->rate, options->seconds / ROUNDS, 1, raw.count);
		segment(&crowd, &measure, options->rate, options->seconds / ROUNDS, 1, crowd.count);
	}
	tell_clients(&crowd);
	tell_latency_head();
	tell_latency("Martlet", &crowd, &measure);
	tell_latency("raw floor", &raw, &floor);
	tell_cpu(&crowd, &measure);
	printf("  while the floor sends:\n");
	tell_cpu(&raw, &floor);
	printf("  Martlet to the floor: p50 x %.2f, p99 x %.2f, CPU of the workers a delivery x %.2f\n",
	       latency_ms(&crowd.window.latency, .5) / latency_ms(&raw.window.latency, .5),
	       latency_ms(&crowd.window.latency, .99) / latency_ms(&raw.window.latency, .99),
	       cost(&crowd, workers_cpu(&measure)) / cost(&raw, floor.cpu[raw_group]));
}

static double workers_memory(void)
{
	double sum = 0;

	for (size_t i = 0; i < groups_count; i++)
		sum += is_worker(&groups[i]) ? group_memory_kib(&groups[i]) : 0;
	return sum;
}

static SSL_CTX *make_tls(void)
{
	SSL_CTX *tls = SSL_CTX_new(TLS_client_method());

	/* The certificate is the harness's own. What waits to be written may move. */
	SSL_CTX_set_verify(tls, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
	                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	return tls;
}

static void run_idle(const struct options *options)
{
	struct crowd crowd;
	struct measure connecting = {0};
	struct measure idle = {0};
	double memory;
	double count;
	uint64_t start;

	if (options->clients <= IDLE_FIRST) {
		fprintf(stderr, "idle needs more than %d clients\n", IDLE_FIRST);
		exit(2);
	}
	count = (double)(options->clients - IDLE_FIRST);
	crowd_init(&crowd, options->tokens, 0, options->clients, options->port);
	if (strcmp(options->scenario, "idle-tls") == 0)
		crowd.tls = make_tls();
	crowd_connect(&crowd, IDLE_FIRST);
	memory = workers_memory();
	read_cpu(connecting.cpu);
	start = now_ns();
	crowd_connect(&crowd, crowd.count);
	connecting.seconds = (double)(now_ns() - start) / 1e9;
	read_cpu(idle.cpu);
	start = now_ns();
	turn_until(&crowd, start + (uint64_t)(options->seconds * SECOND_NS));
	idle.seconds = (double)(now_ns() - start) / 1e9;
	tell_clients(&crowd);
	printf("  memory of the workers: %.2f KiB a connection, without the kernel's\n",
	       (workers_memory() - memory) / count);
	printf("  connected: %.0f a second\n", count / connecting.seconds);
	printf("  %-20s %22s %22s\n", "", "CPU ms a connection", "CPU ms a second idle");
	for (size_t i = 0; i < groups_count; i++) {
		double now = group_cpu_seconds(&groups[i]);

		printf("  %-20s %22.3f %22.2f\n", groups[i].name,
		       (idle.cpu[i] - connecting.cpu[i]) * 1e3 / count,
		       (now - idle.cpu[i]) * 1e3 / idle.seconds);
	}
}

static void run_group(const struct options *options)
{
	group_run(&(struct group_options){
		.tokens = options->tokens,
		.port = options->port,
		.sizes = options->sizes,
		.rate = options->rate,
		.seconds = options->seconds,
		.groups = groups,
		.groups_count = groups_count,
	});
}

static const struct scenario {
	const char *name;
	void (*run)(const struct options *options);
	size_t crowds;
} scenarios[] = {
	{"idle", run_idle, 1},   {"idle-tls", run_idle, 1}, {"fanout", run_fanout, 2},
	{"pairs", run_pairs, 1}, {"group", run_group, 1},
};

static const struct scenario *find_scenario(const char *name)
{
	for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
		if (strcmp(scenarios[i].name, name) == 0)
			return &scenarios[i];
	}
	return NULL;
}

static void raise_files(size_t connections)
{
	struct rlimit files = {0};

	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	if (files.rlim_cur < connections + FILES_BESIDE) {
		fprintf(stderr, "%lu open files are allowed, too few for %zu connections\n",
		        (unsigned long)files.rlim_cur, connections);
		exit(1);
	}
}

int main(int argc, char **argv)
{
	const struct scenario *scenario = argc > 1 ? find_scenario(argv[1]) : NULL;
	struct options options;

	if (!scenario || argc < 7 || argc > 7 + GROUPS_MOST - 2) {
		fprintf(stderr,
		        "usage: load idle|idle-tls|fanout|pairs|group PORT TOKENS CLIENTS RATE "
		        "SECONDS [NAME=PID,PID]...\n");
		return 2;
	}
	options = (struct options){
		.scenario = argv[1],
		.port = (uint16_t)strtoul(argv[2], NULL, 10),
		.tokens = argv[3],
		.clients = group_connections(argv[4]),
		.sizes = argv[4],
		.rate = strtod(argv[5], NULL),
		.seconds = strtod(argv[6], NULL),
	};
	raise_files(options.clients * scenario->crowds);
	/* A sender that wakes 50 microseconds late would be a part of every latency. */
	prctl(PR_SET_TIMERSLACK, 1);
	for (int i = 7; i < argc; i++)
		group_read(&groups[groups_count++], argv[i]);
	add_group("this generator", getpid());
	printf("%s: %zu clients", options.scenario, options.clients);
	if (options.rate > 0)
		printf(", %.0f messages/s", options.rate);
	printf(", %.0f s\n", options.seconds);
	scenario->run(&options);
	return 0;
}
