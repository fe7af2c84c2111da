#include "bench/group.h"

#include "bench/counts.h"
#include "bench/crowd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_USER 2000 /* of the tokens: those before are in other scenarios' groups */
#define SIZES_MOST 8
#define ADDED_AT_ONCE 100
#define WATCHED 100
#define MISSED 100 /* messages, while away */
#define TYPING_RATE 400
#define RECEIPTS_RATE 1 /* messages a second, each read by everybody */
#define SECOND_NS 1000000000ull
#define TURN_NS (SECOND_NS / 100)
#define WAIT_NS (60 * SECOND_NS)
#define SETTLE_NS (SECOND_NS / 2)
/* Longer than the grace in which a session's going is no news. */
#define GRACE_NS (6 * SECOND_NS)

enum phase { ADD, STORM, IDLE, SEND, TYPE, WATCH, RETURN, READ, RESUME, PHASES };

static const struct {
	const char *name;
	const char *unit;
} phases[PHASES] = {
	[ADD] = {"members are added", "member"},
	[STORM] = {"all connect at once", "session"},
	[IDLE] = {"nothing happens", "session s"},
	[SEND] = {"messages", "delivery"},
	[TYPE] = {"typing", "command"},
	[WATCH] = {"each watches 100", "session"},
	[RETURN] = {"a worker's return", "session"},
	[READ] = {"each reads each", "mark"},
	[RESUME] = {"all resume, 100 late", "session"},
};

/* What a phase cost; the latencies are of deliveries or of answers. */
struct cost {
	uint64_t units;
	double seconds;
	double cpu[GROUPS_MOST];
	uint64_t bytes;
	struct counts counts;
	struct latency latency;
	uint64_t missing;
	uint64_t told; /* what else it counts: see the phase */
};

static const struct group_options *options;
static struct crowd crowd;
static size_t connected;
static struct cost costs[SIZES_MOST][PHASES];

static uint64_t random_next(void)
{
	static uint64_t state = 88172645463325252u;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static size_t random_client(void)
{
	return random_next() % connected;
}

/* ---- measuring ---- */

static uint64_t bytes_received(void)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < connected; i++)
		bytes += crowd.clients[i].socket.received;
	return bytes;
}

static void turn_until(uint64_t end)
{
	for (uint64_t now; (now = now_ns()) < end;)
		crowd_turn(&crowd, end - now);
}

/* What began before has come to its end, and the servers have counted it. */
static void begin(struct cost *cost)
{
	turn_until(now_ns() + COUNTS_WAIT_NS);
	*cost = (struct cost){.counts = counts_read(), .bytes = bytes_received()};
	crowd.answers = (struct latency){0};
	crowd.window = (struct window){0};
	memset(crowd.items, 0, sizeof(crowd.items));
	for (size_t i = 0; i < options->groups_count; i++)
		cost->cpu[i] = group_cpu_seconds(&options->groups[i]);
	cost->seconds = (double)now_ns() / 1e9;
}

static void end(struct cost *cost, const struct latency *latency)
{
	struct counts counts;

	cost->seconds = (double)now_ns() / 1e9 - cost->seconds;
	/* What is left of it belongs to it: sightings that are written once a second, say. */
	turn_until(now_ns() + SETTLE_NS);
	for (size_t i = 0; i < options->groups_count; i++)
		cost->cpu[i] = group_cpu_seconds(&options->groups[i]) - cost->cpu[i];
	cost->bytes = bytes_received() - cost->bytes;
	if (latency)
		cost->latency = *latency;
	turn_until(now_ns() + COUNTS_WAIT_NS);
	counts = counts_read();
	cost->counts.statements = counts.statements - cost->counts.statements;
	cost->counts.publishes = counts.publishes - cost->counts.publishes;
}

/* Until the count is reached; what is missing after a minute is told. */
static uint64_t await(const uint64_t *count, uint64_t wanted)
{
	uint64_t deadline = now_ns() + WAIT_NS;

	while (*count < wanted && now_ns() < deadline)
		crowd_turn(&crowd, TURN_NS);
	return *count < wanted ? wanted - *count : 0;
}

static void await_ready(void)
{
	uint64_t deadline = now_ns() + 2 * WAIT_NS;

	while (crowd.ready < crowd.opened) {
		if (now_ns() > deadline) {
			fprintf(stderr, "%zu sessions did not become ready\n",
			        crowd.opened - crowd.ready);
			exit(1);
		}
		crowd_turn(&crowd, TURN_NS);
	}
}

/* Open loop: so many a second, whatever became of those before. */
static uint64_t pace(double rate, double seconds, void (*act)(uint64_t due_ns))
{
	uint64_t first = now_ns();
	uint64_t count = (uint64_t)(rate * seconds);

	for (uint64_t i = 0; i < count; i++) {
		uint64_t due = first + (uint64_t)((double)i * 1e9 / rate);

		turn_until(due);
		act(due);
		crowd_turn(&crowd, 0);
	}
	return count;
}

/* ---- phases ---- */

static void ask_create(void)
{
	Martlet__V1__ClientFrame frame = MARTLET__V1__CLIENT_FRAME__INIT;
	Martlet__V1__CreateGroup create = MARTLET__V1__CREATE_GROUP__INIT;
	char **members = calloc(crowd.count, sizeof(char *));
	char id[37];

	crowd_make_uuid(id);
	for (size_t i = 1; i < crowd.count; i++) {
		if (i < connected / 2 || i >= connected)
			members[create.n_members++] = crowd.clients[i].user;
	}
	create.conversation_id = id;
	create.title = (char *)(uintptr_t) "bench";
	create.members = members;
	frame.command_case = MARTLET__V1__CLIENT_FRAME__COMMAND_CREATE_GROUP;
	frame.create_group = &create;
	crowd_ask(&crowd, 0, &frame, now_ns());
	free(members);
}

static void ask_add(size_t first, size_t count)
{
	Martlet__V1__ClientFrame frame = MARTLET__V1__CLIENT_FRAME__INIT;
	Martlet__V1__AddMembers add = MARTLET__V1__ADD_MEMBERS__INIT;
	char *users[ADDED_AT_ONCE];

	for (size_t i = 0; i < count; i++)
		users[i] = crowd.clients[first + i].user;
	add.conversation_id = crowd.clients[0].conversation;
	add.n_users = count;
	add.users = users;
	frame.command_case = MARTLET__V1__CLIENT_FRAME__COMMAND_ADD_MEMBERS;
	frame.add_members = &add;
	crowd_ask(&crowd, 0, &frame, now_ns());
}

static void run_add(struct cost *cost)
{
	const uint64_t *joined = &crowd.items[MARTLET__V1__ITEM__KIND_CONVERSATION_JOINED];

	ask_create();
	await(joined, connected / 2);
	begin(cost);
	for (size_t i = connected / 2; i < connected; i += ADDED_AT_ONCE) {
		size_t left = connected - i;

		ask_add(i, left < ADDED_AT_ONCE ? left : ADDED_AT_ONCE);
		await(&crowd.answers.count, ++cost->told);
	}
	cost->units = connected - connected / 2;
	cost->missing = await(joined, cost->units);
	end(cost, &crowd.answers);
}

static void close_from(size_t first)
{
	for (size_t i = first; i < connected; i++)
		crowd_close(&crowd, i);
}

static void connect_from(size_t first, bool has_cursor)
{
	for (size_t i = first; i < connected; i++) {
		crowd.clients[i].has_cursor = has_cursor;
		crowd_open(&crowd, i);
	}
	await_ready();
}

static void run_storm(struct cost *cost)
{
	close_from(0);
	turn_until(now_ns() + GRACE_NS);
	begin(cost);
	connect_from(0, false);
	cost->units = connected;
	end(cost, NULL);
}

static void run_idle(struct cost *cost)
{
	begin(cost);
	turn_until(now_ns() + (uint64_t)(options->seconds * 1e9));
	cost->units = (uint64_t)((double)connected * options->seconds);
	end(cost, NULL);
}

static void send_random(uint64_t due_ns)
{
	crowd_send(&crowd, random_client(), due_ns);
}

static void run_send(struct cost *cost)
{
	begin(cost);
	crowd.window.to_ns = UINT64_MAX;
	cost->told = pace(options->rate, options->seconds, send_random);
	cost->units = cost->told * connected;
	cost->missing = await(&crowd.window.deliveries, cost->units);
	end(cost, &crowd.window.latency);
}

static void type_random(uint64_t due_ns)
{
	Martlet__V1__ClientFrame frame = MARTLET__V1__CLIENT_FRAME__INIT;
	Martlet__V1__SetTyping set = MARTLET__V1__SET_TYPING__INIT;

	set.conversation_id = crowd.clients[0].conversation;
	set.typing = true;
	frame.command_case = MARTLET__V1__CLIENT_FRAME__COMMAND_SET_TYPING;
	frame.set_typing = &set;
	crowd_ask(&crowd, random_client(), &frame, due_ns);
}

static void run_type(struct cost *cost)
{
	begin(cost);
	cost->units = pace(TYPING_RATE, options->seconds, type_random);
	cost->missing = await(&crowd.answers.count, cost->units);
	end(cost, &crowd.answers);
	cost->told = crowd.items[MARTLET__V1__ITEM__KIND_TYPING_CHANGED];
}

static void watch(size_t client)
{
	Martlet__V1__ClientFrame frame = MARTLET__V1__CLIENT_FRAME__INIT;
	Martlet__V1__WatchPresence given = MARTLET__V1__WATCH_PRESENCE__INIT;
	char *users[WATCHED];
	size_t first = random_client();

	given.n_users = WATCHED < connected ? WATCHED : connected;
	for (size_t i = 0; i < given.n_users; i++)
		users[i] = crowd.clients[(first + i * 7) % connected].user;
	given.users = users;
	frame.command_case = MARTLET__V1__CLIENT_FRAME__COMMAND_WATCH_PRESENCE;
	frame.watch_presence = &given;
	crowd_ask(&crowd, client, &frame, now_ns());
}

static void run_watch(struct cost *cost)
{
	begin(cost);
	for (size_t i = 0; i < connected; i++) {
		watch(i);
		crowd_turn(&crowd, 0);
	}
	cost->units = connected;
	cost->missing = await(&crowd.answers.count, cost->units);
	end(cost, &crowd.answers);
	cost->told = crowd.items[MARTLET__V1__ITEM__KIND_PRESENCE_CHANGED];
}

/* What those who stayed were told of the others' going and coming: nothing, if it was within the grace. */
static uint64_t presences_told(const bool *is_of_node)
{
	uint64_t told = 0;

	for (size_t i = 0; i < connected; i++)
		told += is_of_node[i] ? 0 : crowd.clients[i].presences;
	return told;
}

/* The clients of the first one's worker lose it and come back within the grace, wherever they get in. */
static void run_return(struct cost *cost)
{
	size_t node = crowd.clients[0].node;
	bool *is_of_node = calloc(connected, sizeof(bool));
	uint64_t before;

	for (size_t i = 0; i < connected; i++)
		is_of_node[i] = crowd.clients[i].node == node;
	begin(cost);
	before = presences_told(is_of_node);
	for (size_t i = 0; i < connected; i++) {
		if (!is_of_node[i])
			continue;
		cost->units++;
		crowd_close(&crowd, i);
	}
	turn_until(now_ns() + SECOND_NS);
	for (size_t i = 0; i < connected; i++) {
		crowd.clients[i].has_cursor = true;
		if (is_of_node[i])
			crowd_open(&crowd, i);
	}
	await_ready();
	for (size_t i = 0; i < connected; i++) {
		if (is_of_node[i])
			watch(i);
		crowd_turn(&crowd, 0);
	}
	cost->missing = await(&crowd.answers.count, cost->units);
	turn_until(now_ns() + GRACE_NS);
	end(cost, &crowd.answers);
	cost->told = presences_told(is_of_node) - before;
	free(is_of_node);
}

static void mark_read(struct client *client, uint64_t seq)
{
	Martlet__V1__ClientFrame frame = MARTLET__V1__CLIENT_FRAME__INIT;
	Martlet__V1__MarkRead mark = MARTLET__V1__MARK_READ__INIT;

	mark.conversation_id = client->conversation;
	mark.seq = seq;
	frame.command_case = MARTLET__V1__CLIENT_FRAME__COMMAND_MARK_READ;
	frame.mark_read = &mark;
	crowd_ask(&crowd, (size_t)(client - crowd.clients), &frame, now_ns());
}

static void run_read(struct cost *cost)
{
	begin(cost);
	crowd.window.to_ns = UINT64_MAX;
	crowd.on_message = mark_read;
	cost->units = pace(RECEIPTS_RATE, options->seconds, send_random) * connected;
	cost->missing = await(&crowd.answers.count, cost->units);
	crowd.on_message = NULL;
	end(cost, &crowd.answers);
	cost->told = crowd.items[MARTLET__V1__ITEM__KIND_RECEIPT_CHANGED];
	printf("    while they mark, messages take p50 %.1f ms, p99 %.1f ms\n",
	       latency_ms(&crowd.window.latency, .5), latency_ms(&crowd.window.latency, .99));
}

static void send_first(uint64_t due_ns)
{
	crowd_send(&crowd, 0, due_ns);
}

static void run_resume(struct cost *cost)
{
	close_from(1);
	turn_until(now_ns() + SECOND_NS);
	pace(MISSED, 1, send_first);
	begin(cost);
	crowd.window.to_ns = UINT64_MAX;
	connect_from(1, true);
	cost->units = connected - 1;
	cost->missing = await(&crowd.window.deliveries, cost->units * MISSED);
	end(cost, NULL);
}

/* ---- telling ---- */

static double sum_of(const struct cost *cost, const char *name)
{
	double sum = 0;

	for (size_t i = 0; i < options->groups_count; i++) {
		if (strncmp(options->groups[i].name, name, strlen(name)) == 0)
			sum += cost->cpu[i];
	}
	return sum;
}

/* Microseconds of processor a unit. */
static double each(const struct cost *cost, const char *name)
{
	return cost->units ? sum_of(cost, name) * 1e6 / (double)cost->units : 0;
}

static void tell_head(void)
{
	printf("  %-21s %7s %-9s %6s %7s %7s %8s %5s %5s %5s %5s %8s %8s %8s %6s\n", "phase",
	       "units", "", "s", "p50 ms", "p99 ms", "missing", "wk 1", "wk 2", "Mosq", "PG",
	       "kB/unit", "pub/unit", "sql/unit", "told");
}

static void tell(enum phase phase, const struct cost *cost)
{
	double units = cost->units ? (double)cost->units : 1;

	printf("  %-21s %7lu %-9s %6.2f %7.1f %7.1f %8lu %5.2f %5.2f %5.2f %5.2f %8.2f %8.3f "
	       "%8.3f %6lu\n",
	       phases[phase].name, (unsigned long)cost->units, phases[phase].unit, cost->seconds,
	       latency_ms(&cost->latency, .5), latency_ms(&cost->latency, .99),
	       (unsigned long)cost->missing, sum_of(cost, "worker 1"), sum_of(cost, "worker 2"),
	       sum_of(cost, "Mosquitto"), sum_of(cost, "PostgreSQL"),
	       (double)cost->bytes / 1e3 / units, (double)cost->counts.publishes / units,
	       (double)cost->counts.statements / units, (unsigned long)cost->told);
	fflush(stdout);
}

static void tell_growth(const size_t *sizes, size_t count)
{
	printf("\nProcessor time of a unit, in microseconds: workers + Mosquitto + PostgreSQL\n");
	printf("  %-31s", "connected");
	for (size_t i = 0; i < count; i++)
		printf(" %19zu", sizes[i]);
	printf("\n");
	for (enum phase phase = ADD; phase < PHASES; phase++) {
		printf("  %-21s %-9s", phases[phase].name, phases[phase].unit);
		for (size_t i = 0; i < count; i++) {
			const struct cost *cost = &costs[i][phase];

			printf(" %7.1f +%5.1f +%5.0f", each(cost, "worker"), each(cost, "Mosq"),
			       each(cost, "PostgreSQL"));
		}
		printf("\n");
	}
}

static void run_size(size_t first_user, size_t members, struct cost *cost)
{
	static void (*const runs[PHASES])(struct cost * cost) = {
		[ADD] = run_add,       [STORM] = run_storm, [IDLE] = run_idle,
		[SEND] = run_send,     [TYPE] = run_type,   [WATCH] = run_watch,
		[RETURN] = run_return, [READ] = run_read,   [RESUME] = run_resume,
	};

	crowd_init(&crowd, options->tokens, first_user, members, options->port);
	crowd_connect(&crowd, connected);
	crowd.connecting_most = connected;
	counts_forget_statements();
	tell_head();
	for (enum phase phase = ADD; phase < PHASES; phase++) {
		runs[phase](&cost[phase]);
		tell(phase, &cost[phase]);
	}
	if (crowd.refused)
		printf("  refused: %lu commands\n", (unsigned long)crowd.refused);
	counts_tell_statements();
	crowd_done(&crowd);
}

static size_t read_sizes(const char *text, size_t *ret_sizes)
{
	size_t count = 0;
	char *end_of;

	for (size_t size; count < SIZES_MOST && (size = strtoul(text, &end_of, 10)); text = end_of)
		ret_sizes[count++] = size;
	return count;
}

size_t group_connections(const char *sizes)
{
	size_t each_size[SIZES_MOST];
	size_t count = read_sizes(sizes, each_size);
	size_t most = 0;

	for (size_t i = 0; i < count; i++)
		most = each_size[i] > most ? each_size[i] : most;
	return most;
}

void group_run(const struct group_options *given)
{
	size_t sizes[SIZES_MOST];
	size_t count = read_sizes(given->sizes, sizes);
	size_t user = FIRST_USER;

	options = given;
	counts_open();
	for (size_t i = 0; i < count; i++) {
		size_t members = sizes[i] * 5 / 2;

		connected = sizes[i];
		printf("\n%zu members, %zu connected\n", members, connected);
		run_size(user, members, costs[i]);
		user += members;
	}
	tell_growth(sizes, count);
}
