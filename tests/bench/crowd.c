#include "bench/crowd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define BODY_BYTES 200
#define CONNECTING_MOST 200 /* at once */
/* A long turn would make the next message late. */
#define EVENTS_A_TURN 64
#define ARENA_BYTES (1 << 20)
#define REFUSED_TOLD 5
#define TURN_NS 10000000u
#define UNTIMED_MOST 15 /* request_ids of commands whose answer is not timed */

uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static _Noreturn void die(const char *what, const char *which)
{
	fprintf(stderr, "%s %s\n", what, which);
	exit(1);
}

void crowd_init(struct crowd *crowd, const char *tokens, size_t first, size_t count, uint16_t port)
{
	FILE *file = fopen(tokens, "re");
	char token[2048];

	*crowd = (struct crowd){.count = count,
	                        .port = port,
	                        .loop = epoll_create1(EPOLL_CLOEXEC),
	                        .connecting_most = CONNECTING_MOST};
	crowd->clients = calloc(count, sizeof(*crowd->clients));
	for (size_t i = 0; file && i < first; i++) {
		if (fscanf(file, "%*s %*s") == EOF)
			die("too few users in", tokens);
	}
	for (size_t i = 0; i < count; i++) {
		struct client *client = &crowd->clients[i];

		if (!file || fscanf(file, "%64s %2047s", client->user, token) != 2)
			die("too few users in", tokens);
		client->token = strdup(token);
		client->crowd = crowd;
	}
	fclose(file);
}

void crowd_done(struct crowd *crowd)
{
	for (size_t i = 0; i < crowd->count; i++) {
		if (crowd->clients[i].socket.loop)
			socket_close(&crowd->clients[i].socket);
		free(crowd->clients[i].token);
	}
	free(crowd->clients);
	close(crowd->loop);
}

static void send_frame(struct client *client, const Martlet__V1__ClientFrame *frame)
{
	uint8_t bytes[65535];
	size_t size = martlet__v1__client_frame__get_packed_size(frame);

	if (size > sizeof(bytes))
		die("the frame is too large:", client->user);
	martlet__v1__client_frame__pack(frame, bytes);
	socket_send(&client->socket, bytes, size);
}

static void greet(struct client *client)
{
	Martlet__V1__ClientFrame frame = MARTLET__V1__CLIENT_FRAME__INIT;
	Martlet__V1__Hello hello = MARTLET__V1__HELLO__INIT;
	Martlet__V1__Cursor cursor = MARTLET__V1__CURSOR__INIT;
	Martlet__V1__Cursor *cursors[] = {&cursor};

	if (client->has_cursor) {
		cursor.conversation_id = client->conversation;
		cursor.seq = client->seq;
		hello.n_cursors = 1;
		hello.cursors = cursors;
	}
	hello.token = client->token;
	hello.device = (char *)(uintptr_t) "bench";
	hello.client = (char *)(uintptr_t) "bench/1";
	frame.command_case = MARTLET__V1__CLIENT_FRAME__COMMAND_HELLO;
	frame.hello = &hello;
	send_frame(client, &frame);
}

/* ---- what comes ---- */

static void take_message(struct window *window, const Martlet__V1__Message *message)
{
	uint64_t due_ns;

	if (message->body.len < sizeof(due_ns))
		return;
	memcpy(&due_ns, message->body.data, sizeof(due_ns));
	if (due_ns < window->from_ns || due_ns >= window->to_ns)
		return;
	window->last_ns = now_ns();
	window->deliveries++;
	latency_add(&window->latency, window->last_ns - due_ns);
}

static void take_event(struct client *client, const Martlet__V1__ConversationEvent *event)
{
	client->seq = event->seq;
	if (event->kind_case != MARTLET__V1__CONVERSATION_EVENT__KIND_MESSAGE)
		return;
	take_message(&client->crowd->window, event->message);
	if (client->crowd->on_message)
		client->crowd->on_message(client, event->seq);
}

static void take_welcome(struct client *client, const char *node)
{
	struct crowd *crowd = client->crowd;
	size_t i = 0;

	while (i < NODES_MOST && crowd->nodes[i][0] && strcmp(crowd->nodes[i], node) != 0)
		i++;
	if (i == NODES_MOST)
		die("too many workers:", node);
	snprintf(crowd->nodes[i], sizeof(crowd->nodes[i]), "%s", node);
	crowd->node_clients[i]++;
	client->node = i;
}

static void take_ready(struct client *client)
{
	client->crowd->ready += !client->is_ready;
	client->is_ready = true;
}

static void take_reply(struct client *client, const Martlet__V1__Reply *reply)
{
	struct crowd *crowd = client->crowd;

	if (reply->request_id > UNTIMED_MOST)
		latency_add(&crowd->answers,
		            now_ns() - crowd->asked_ns[reply->request_id % ASKED_MOST]);
	if (reply->result_case == MARTLET__V1__REPLY__RESULT_ERROR &&
	    crowd->refused++ < REFUSED_TOLD)
		fprintf(stderr, "refused: %s\n", reply->error->message);
}

static void take_item(struct client *client, const Martlet__V1__Item *item)
{
	const Martlet__V1__Conversation *conversation = NULL;

	if ((size_t)item->kind_case < ITEM_KINDS)
		client->crowd->items[item->kind_case]++;
	client->presences += item->kind_case == MARTLET__V1__ITEM__KIND_PRESENCE_CHANGED;
	if (item->kind_case == MARTLET__V1__ITEM__KIND_EVENT) {
		take_event(client, item->event);
	} else if (item->kind_case == MARTLET__V1__ITEM__KIND_WELCOME) {
		take_welcome(client, item->welcome->node);
	} else if (item->kind_case == MARTLET__V1__ITEM__KIND_READY) {
		take_ready(client);
	} else if (item->kind_case == MARTLET__V1__ITEM__KIND_REPLY) {
		take_reply(client, item->reply);
	} else if (item->kind_case == MARTLET__V1__ITEM__KIND_CONVERSATION_JOINED) {
		conversation = item->conversation_joined->conversation;
	} else if (item->kind_case == MARTLET__V1__ITEM__KIND_CONVERSATION_STATE &&
	           item->conversation_state->conversation->kind ==
	                   MARTLET__V1__CONVERSATION_KIND__CONVERSATION_KIND_DIRECT) {
		/* The pair of a scenario before this one. */
		conversation = item->conversation_state->conversation;
	}
	if (item->kind_case == MARTLET__V1__ITEM__KIND_CONVERSATION_STATE && !client->has_cursor)
		client->seq = item->conversation_state->conversation->last_seq;
	if (conversation)
		snprintf(client->conversation, sizeof(client->conversation), "%s",
		         conversation->id);
}

/* Decoding must cost the generator little, since it shares the machine with what it measures: memory is
 * taken from one block and given back whole. */
static union {
	uint8_t bytes[ARENA_BYTES];
	max_align_t align;
} arena;
static size_t arena_used;

static void *arena_take(void *context, size_t size)
{
	void *at = arena.bytes + arena_used;

	(void)context;
	size = (size + 15) & ~(size_t)15;
	if (size > ARENA_BYTES - arena_used)
		return NULL;
	arena_used += size;
	return at;
}

static void arena_ignore(void *context, void *at)
{
	(void)context;
	(void)at;
}

static void on_message(void *context, const uint8_t *bytes, size_t size)
{
	static ProtobufCAllocator allocator = {arena_take, arena_ignore, NULL};
	Martlet__V1__ServerFrame *frame;

	arena_used = 0;
	frame = martlet__v1__server_frame__unpack(&allocator, size, bytes);
	if (!frame)
		die("a frame can't be decoded:", ((struct client *)context)->user);
	for (size_t i = 0; i < frame->n_items; i++)
		take_item(context, frame->items[i]);
}

void crowd_turn(struct crowd *crowd, uint64_t wait_ns)
{
	const struct timespec wait = {(time_t)(wait_ns / 1000000000u),
	                              (long)(wait_ns % 1000000000u)};
	struct epoll_event events[EVENTS_A_TURN];
	int found = epoll_pwait2(crowd->loop, events, EVENTS_A_TURN, &wait, NULL);

	for (int i = 0; i < found; i++) {
		struct client *client = events[i].data.ptr;

		socket_turn(&client->socket, on_message, client);
		if (!client->socket.is_open || client->has_greeted)
			continue;
		client->has_greeted = true;
		if (crowd->is_raw)
			take_ready(client);
		else
			greet(client);
	}
}

/* ---- what is asked for ---- */

void crowd_open(struct crowd *crowd, size_t client)
{
	socket_open(&crowd->clients[client].socket, crowd->port, crowd->tls, crowd->loop);
	crowd->opened++;
	while (crowd->opened - crowd->ready > crowd->connecting_most)
		crowd_turn(crowd, TURN_NS);
}

void crowd_close(struct crowd *crowd, size_t which)
{
	struct client *client = &crowd->clients[which];

	socket_close(&client->socket);
	crowd->opened--;
	crowd->ready -= client->is_ready;
	crowd->node_clients[client->node] -= client->is_ready;
	client->has_greeted = false;
	client->is_ready = false;
}

void crowd_ask(struct crowd *crowd, size_t client, Martlet__V1__ClientFrame *frame, uint64_t due_ns)
{
	crowd->asked = crowd->asked > UNTIMED_MOST ? crowd->asked + 1 : UNTIMED_MOST + 1;
	crowd->asked_ns[crowd->asked % ASKED_MOST] = due_ns;
	frame->request_id = crowd->asked;
	send_frame(&crowd->clients[client], frame);
}

void crowd_connect(struct crowd *crowd, size_t upto)
{
	while (crowd->opened < upto)
		crowd_open(crowd, crowd->opened);
	while (crowd->ready < upto)
		crowd_turn(crowd, TURN_NS);
}

void crowd_make_uuid(char text[37])
{
	static uint64_t last;
	uint64_t now = now_ns();

	last++;
	snprintf(text, 37, "%08x-%04x-4%03x-8%03x-%012llx", (unsigned)(now >> 32),
	         (unsigned)(now >> 16) & 0xffff, (unsigned)now & 0xfff, (unsigned)getpid() & 0xfff,
	         (unsigned long long)last);
}

static bool all_joined(const struct crowd *crowd)
{
	for (size_t i = 0; i < crowd->count; i++) {
		if (!crowd->clients[i].conversation[0])
			return false;
	}
	return true;
}

void crowd_create_group(struct crowd *crowd)
{
	Martlet__V1__ClientFrame frame = MARTLET__V1__CLIENT_FRAME__INIT;
	Martlet__V1__CreateGroup create = MARTLET__V1__CREATE_GROUP__INIT;
	char **members = calloc(crowd->count, sizeof(char *));
	char id[37];

	crowd_make_uuid(id);
	for (size_t i = 1; i < crowd->count; i++)
		members[i - 1] = crowd->clients[i].user;
	create.conversation_id = id;
	create.title = (char *)(uintptr_t) "bench";
	create.n_members = crowd->count - 1;
	create.members = members;
	frame.request_id = 1;
	frame.command_case = MARTLET__V1__CLIENT_FRAME__COMMAND_CREATE_GROUP;
	frame.create_group = &create;
	send_frame(&crowd->clients[0], &frame);
	free(members);
	while (!all_joined(crowd))
		crowd_turn(crowd, TURN_NS);
}

void crowd_open_pairs(struct crowd *crowd)
{
	Martlet__V1__ClientFrame frame = MARTLET__V1__CLIENT_FRAME__INIT;
	Martlet__V1__OpenDirect open = MARTLET__V1__OPEN_DIRECT__INIT;

	frame.request_id = 1;
	frame.command_case = MARTLET__V1__CLIENT_FRAME__COMMAND_OPEN_DIRECT;
	frame.open_direct = &open;
	for (size_t i = 0; i + 1 < crowd->count; i += 2) {
		open.user = crowd->clients[i + 1].user;
		send_frame(&crowd->clients[i], &frame);
		crowd_turn(crowd, 0);
	}
	while (!all_joined(crowd))
		crowd_turn(crowd, TURN_NS);
}

/* What Martlet would make of the message, to be given back as it is: the same bytes reach the clients. */
static void send_raw(struct client *client, const Martlet__V1__SendMessage *send)
{
	Martlet__V1__Message message = MARTLET__V1__MESSAGE__INIT;
	Martlet__V1__ConversationEvent event = MARTLET__V1__CONVERSATION_EVENT__INIT;
	Martlet__V1__Item item = MARTLET__V1__ITEM__INIT;
	Martlet__V1__Item *items[] = {&item};
	Martlet__V1__ServerFrame frame = MARTLET__V1__SERVER_FRAME__INIT;
	uint8_t bytes[1024];

	message.client_message_id = send->client_message_id;
	message.body = send->body;
	event.conversation_id = send->client_message_id;
	event.seq = 1000;
	event.sender = client->user;
	event.time_ms = (int64_t)time(NULL) * 1000;
	event.kind_case = MARTLET__V1__CONVERSATION_EVENT__KIND_MESSAGE;
	event.message = &message;
	item.kind_case = MARTLET__V1__ITEM__KIND_EVENT;
	item.event = &event;
	frame.n_items = 1;
	frame.items = items;
	if (martlet__v1__server_frame__get_packed_size(&frame) > sizeof(bytes))
		die("the message is too large:", client->user);
	socket_send(&client->socket, bytes, martlet__v1__server_frame__pack(&frame, bytes));
}

void crowd_send(struct crowd *crowd, size_t from, uint64_t due_ns)
{
	struct client *client = &crowd->clients[from];
	Martlet__V1__ClientFrame frame = MARTLET__V1__CLIENT_FRAME__INIT;
	Martlet__V1__SendMessage send = MARTLET__V1__SEND_MESSAGE__INIT;
	uint8_t body[BODY_BYTES] = {0};
	char id[37];

	crowd_make_uuid(id);
	memcpy(body, &due_ns, sizeof(due_ns));
	send.conversation_id = client->conversation;
	send.client_message_id = id;
	send.body = (ProtobufCBinaryData){sizeof(body), body};
	if (crowd->is_raw) {
		send_raw(client, &send);
		return;
	}
	frame.request_id = 2;
	frame.command_case = MARTLET__V1__CLIENT_FRAME__COMMAND_SEND_MESSAGE;
	frame.send_message = &send;
	send_frame(client, &frame);
}
