/* load - thousands of WebSocket clients in one process.
 *
 *   load fanout PORT TOKENS CLIENTS RATE SECONDS    one group of CLIENTS, RATE messages a second
 *   load pairs  PORT TOKENS CLIENTS RATE SECONDS    CLIENTS / 2 direct chats, RATE messages a second in all
 *   load idle   PORT TOKENS CLIENTS 0 SECONDS       connections that do nothing
 *
 * TOKENS is a file with one "user token" a line. Open loop: each message carries the time when it was to be
 * sent, and its latency is counted from then, at every receiver. The process ids after SECONDS are those
 * whose processor time and memory are told.
 */
#include "bench/socket.h"

#include <martlet/v1/frame.pb-c.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define BODY_BYTES 200
#define BUCKETS 4096 /* of 50 microseconds; the last takes the rest */
#define BUCKET_NS 50000
#define CONVERSATIONS_MOST 50000

struct client {
	struct socket socket;
	char user[65];
	char token[2048];
	char conversation[37];
	bool is_welcome;
	bool is_ready;
};

static struct client *clients;
static size_t count;
static size_t ready;
static int epoll_fd;
static uint64_t deliveries;
static uint64_t histogram[BUCKETS];
static uint64_t longest_ns;
static bool is_measuring;

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void send_frame(struct client *client, const Martlet__V1__ClientFrame *frame)
{
	uint8_t bytes[61440];
	size_t size = martlet__v1__client_frame__get_packed_size(frame);

	if (size > sizeof(bytes)) {
		fprintf(stderr, "the frame is too large\n");
		exit(1);
	}
	martlet__v1__client_frame__pack(frame, bytes);
	socket_send(&client->socket, bytes, size);
}

static void send_hello(struct client *client)
{
	Martlet__V1__ClientFrame frame = MARTLET__V1__CLIENT_FRAME__INIT;
	Martlet__V1__Hello hello = MARTLET__V1__HELLO__INIT;

	hello.token = client->token;
	hello.device = (char *)(uintptr_t) "bench";
	hello.client = (char *)(uintptr_t) "bench/1";
	frame.command_case = MARTLET__V1__CLIENT_FRAME__COMMAND_HELLO;
	frame.hello = &hello;
	send_frame(client, &frame);
}

static void count_latency(const Martlet__V1__Message *message)
{
	uint64_t sent_ns;
	uint64_t latency;

	if (message->body.len < sizeof(sent_ns) || !is_measuring)
		return;
	memcpy(&sent_ns, message->body.data, sizeof(sent_ns));
	latency = now_ns() - sent_ns;
	deliveries++;
	histogram[latency / BUCKET_NS < BUCKETS ? latency / BUCKET_NS : BUCKETS - 1]++;
	if (latency > longest_ns)
		longest_ns = latency;
}

static void take_item(struct client *client, const Martlet__V1__Item *item)
{
	if (item->kind_case == MARTLET__V1__ITEM__KIND_EVENT &&
	    item->event->kind_case == MARTLET__V1__CONVERSATION_EVENT__KIND_MESSAGE) {
		count_latency(item->event->message);
	} else if (item->kind_case == MARTLET__V1__ITEM__KIND_CONVERSATION_JOINED) {
		snprintf(client->conversation, sizeof(client->conversation), "%s",
		         item->conversation_joined->conversation->id);
	} else if (item->kind_case == MARTLET__V1__ITEM__KIND_CONVERSATION_STATE &&
	           item->conversation_state->conversation->kind ==
	                   MARTLET__V1__CONVERSATION_KIND__CONVERSATION_KIND_DIRECT) {
		/* The pair of a scenario before this one. */
		snprintf(client->conversation, sizeof(client->conversation), "%s",
		         item->conversation_state->conversation->id);
	} else if (item->kind_case == MARTLET__V1__ITEM__KIND_READY && !client->is_ready) {
		client->is_ready = true;
		ready++;
	} else if (item->kind_case == MARTLET__V1__ITEM__KIND_REPLY &&
	           item->reply->result_case == MARTLET__V1__REPLY__RESULT_ERROR) {
		fprintf(stderr, "refused: %s\n", item->reply->error->message);
	}
}

static void on_message(void *context, const uint8_t *bytes, size_t size)
{
	Martlet__V1__ServerFrame *frame = martlet__v1__server_frame__unpack(NULL, size, bytes);

	for (size_t i = 0; frame && i < frame->n_items; i++)
		take_item(context, frame->items[i]);
	martlet__v1__server_frame__free_unpacked(frame, NULL);
}

/* Reads for a while; returns early if nothing comes. */
static void turn(int wait_ms)
{
	struct epoll_event events[256];
	int found = epoll_wait(epoll_fd, events, 256, wait_ms);

	for (int i = 0; i < found; i++) {
		struct client *client = events[i].data.ptr;
		bool was_open = client->socket.is_open;

		socket_read(&client->socket, on_message, client);
		if (!was_open && client->socket.is_open)
			send_hello(client);
	}
}

static void connect_all(uint16_t port)
{
	for (size_t i = 0; i < count; i++) {
		struct epoll_event event = {.events = EPOLLIN, .data.ptr = &clients[i]};

		socket_connect(&clients[i].socket, port);
		socket_upgrade(&clients[i].socket);
		epoll_ctl(epoll_fd, EPOLL_CTL_ADD, clients[i].socket.fd, &event);
		while (i - ready > 200)
			turn(10);
	}
	while (ready < count)
		turn(10);
}

static void make_uuid(char text[37])
{
	static uint64_t last;
	uint64_t now = now_ns();

	last++;
	snprintf(text, 37, "%08x-%04x-4%03x-8%03x-%012llx", (unsigned)(now >> 32),
	         (unsigned)(now >> 16) & 0xffff, (unsigned)now & 0xfff, (unsigned)getpid() & 0xfff,
	         (unsigned long long)last);
}

static bool all_joined(size_t step)
{
	for (size_t i = 0; i < count; i += step) {
		if (!clients[i].conversation[0])
			return false;
	}
	return true;
}

static void create_group(void)
{
	Martlet__V1__ClientFrame frame = MARTLET__V1__CLIENT_FRAME__INIT;
	Martlet__V1__CreateGroup create = MARTLET__V1__CREATE_GROUP__INIT;
	char **members = calloc(count, sizeof(char *));
	char id[37];

	make_uuid(id);
	for (size_t i = 1; i < count; i++)
		members[i - 1] = clients[i].user;
	create.conversation_id = id;
	create.title = (char *)(uintptr_t) "bench";
	create.n_members = count - 1;
	create.members = members;
	frame.request_id = 1;
	frame.command_case = MARTLET__V1__CLIENT_FRAME__COMMAND_CREATE_GROUP;
	frame.create_group = &create;
	send_frame(&clients[0], &frame);
	free(members);
	while (!all_joined(1))
		turn(10);
}

static void open_pairs(void)
{
	Martlet__V1__ClientFrame frame = MARTLET__V1__CLIENT_FRAME__INIT;
	Martlet__V1__OpenDirect open = MARTLET__V1__OPEN_DIRECT__INIT;

	frame.request_id = 1;
	frame.command_case = MARTLET__V1__CLIENT_FRAME__COMMAND_OPEN_DIRECT;
	frame.open_direct = &open;
	for (size_t i = 0; i + 1 < count; i += 2) {
		open.user = clients[i + 1].user;
		send_frame(&clients[i], &frame);
		turn(0);
	}
	while (!all_joined(1))
		turn(10);
}

static void send_message(struct client *client, uint64_t due_ns)
{
	Martlet__V1__ClientFrame frame = MARTLET__V1__CLIENT_FRAME__INIT;
	Martlet__V1__SendMessage send = MARTLET__V1__SEND_MESSAGE__INIT;
	uint8_t body[BODY_BYTES] = {0};
	char id[37];

	make_uuid(id);
	memcpy(body, &due_ns, sizeof(due_ns));
	send.conversation_id = client->conversation;
	send.client_message_id = id;
	send.body = (ProtobufCBinaryData){sizeof(body), body};
	frame.request_id = 2;
	frame.command_case = MARTLET__V1__CLIENT_FRAME__COMMAND_SEND_MESSAGE;
	frame.send_message = &send;
	send_frame(client, &frame);
}

/* One message each 1/rate of a second, whatever became of those before. */
static void run(double rate, double seconds, bool is_fanout)
{
	uint64_t start = now_ns();
	uint64_t total = (uint64_t)(rate * seconds);
	uint64_t end = start + (uint64_t)(seconds * 1e9) + 1000000000u;

	for (uint64_t sent = 0; now_ns() < end;) {
		uint64_t due = start + (uint64_t)((double)sent * 1e9 / (rate > 0 ? rate : 1));

		if (sent < total && now_ns() >= due) {
			send_message(&clients[is_fanout ? 0 : sent % count], due);
			sent++;
			continue;
		}
		turn(sent < total && due - now_ns() < 2000000 ? 0 : 1);
	}
}

static double percentile(double part)
{
	uint64_t wanted = (uint64_t)((double)deliveries * part);
	uint64_t seen = 0;

	for (size_t i = 0; i + 1 < BUCKETS; i++) {
		seen += histogram[i];
		if (seen > wanted)
			return (double)(i + 1) * BUCKET_NS / 1e6;
	}
	return (double)longest_ns / 1e6;
}

/* What a process has used: processor seconds, and memory of its own in KiB. */
static double cpu_seconds(const char *pid)
{
	char path[64];
	unsigned long user = 0;
	unsigned long system = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%s/stat", pid);
	file = fopen(path, "r");
	if (!file)
		return 0;
	if (fscanf(file, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
	           &system) != 2)
		user = 0;
	fclose(file);
	return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static long memory_kib(const char *pid)
{
	char path[64];
	char line[256];
	long kib = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%s/status", pid);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file))
		sscanf(line, "VmRSS: %ld", &kib);
	if (file)
		fclose(file);
	return kib;
}

static void read_clients(const char *path)
{
	FILE *file = fopen(path, "r");

	clients = calloc(count, sizeof(*clients));
	for (size_t i = 0; i < count; i++) {
		if (!file || fscanf(file, "%64s %2047s", clients[i].user, clients[i].token) != 2) {
			fprintf(stderr, "%s has less than %zu lines\n", path, count);
			exit(1);
		}
	}
	fclose(file);
}

int main(int argc, char **argv)
{
	const struct rlimit files = {20000, 20000};
	double before[32];
	long memory[32];
	double rate;
	double seconds;
	uint64_t start;

	if (argc < 7 || argc > 7 + 32) {
		fprintf(stderr,
		        "usage: load fanout|pairs|idle PORT TOKENS CLIENTS RATE SECONDS [PID]...\n");
		return 2;
	}
	setrlimit(RLIMIT_NOFILE, &files);
	count = strtoul(argv[4], NULL, 10);
	rate = strtod(argv[5], NULL);
	seconds = strtod(argv[6], NULL);
	read_clients(argv[3]);
	epoll_fd = epoll_create1(0);
	for (int i = 7; i < argc; i++)
		memory[i - 7] = memory_kib(argv[i]);
	connect_all((uint16_t)strtoul(argv[2], NULL, 10));
	if (strcmp(argv[1], "fanout") == 0)
		create_group();
	else if (strcmp(argv[1], "pairs") == 0)
		open_pairs();
	for (int i = 7; i < argc; i++)
		before[i - 7] = cpu_seconds(argv[i]);
	is_measuring = true;
	start = now_ns();
	run(rate, seconds, strcmp(argv[1], "fanout") == 0);
	printf("%s: %zu clients, %.0f messages/s, %.0f deliveries/s\n", argv[1], count, rate,
	       (double)deliveries / seconds);
	if (deliveries)
		printf("latency ms: p50 %.2f  p90 %.2f  p99 %.2f  p99.9 %.2f  max %.2f\n",
		       percentile(.5), percentile(.9), percentile(.99), percentile(.999),
		       (double)longest_ns / 1e6);
	for (int i = 7; i < argc; i++) {
		double used = cpu_seconds(argv[i]) - before[i - 7];

		printf("process %s: %.2f CPU s in %.0f s", argv[i], used,
		       (double)(now_ns() - start) / 1e9);
		if (deliveries)
			printf(", %.2f CPU s per million deliveries",
			       used * 1e6 / (double)deliveries);
		printf(", memory +%ld KiB, %.2f KiB a client\n",
		       memory_kib(argv[i]) - memory[i - 7],
		       (double)(memory_kib(argv[i]) - memory[i - 7]) / (double)count);
	}
	return 0;
}
