#include "link/interest.h"

#include "base/memory.h"
#include "base/must.h"
#include "link/private.h"

#include <stdlib.h>
#include <utlist.h>

/* Shards in one SUBSCRIBE: Mosquitto serves nobody else while it takes one. */
#define SHARDS_AT_ONCE 100

struct shard {
	uint32_t holds;
	bool is_subscribed;     /* asked for on this connection */
	uint64_t idle_since_ms; /* without holds; 0 while held */
};

/* Each SUBSCRIBE gets the next ticket. Mosquitto answers in order, so an answer to one answers all before
 * it, and a wait is over when the newest ticket of its beginning is answered. */
struct interest {
	struct link *link;
	uv_loop_t *loop;
	uv_timer_t timer;
	uint32_t linger_ms;

	bool is_connected;
	bool is_all_heard_told;
	uint64_t asked;
	uint64_t answered;
	int message_ids[4096]; /* of the tickets asked and not yet answered, a ring */
	struct interest_wait *waits;

	void (*on_closed)(void *context);
	void *closed_context;

	uint32_t count;
	struct shard shards[];
};

#define RING(interest) (sizeof((interest)->message_ids) / sizeof((interest)->message_ids[0]))

static void subscribe(struct interest *interest, const uint32_t *shards, size_t count)
{
	int message_id = link_subscribe(interest->link, shards, count);

	/* Not sent: the connection is being lost, and the next one subscribes to everything. */
	if (!message_id)
		return;
	must(interest->asked - interest->answered < RING(interest));
	interest->message_ids[interest->asked++ % RING(interest)] = message_id;
	for (size_t i = 0; i < count; i++)
		interest->shards[shards[i]].is_subscribed = true;
}

/* The waits stand in the order of their tickets. Each time from the head: a wait that is called may cancel
 * others. */
static void end_waits(struct interest *interest)
{
	struct interest_wait *wait;

	while ((wait = interest->waits) && wait->ticket <= interest->answered) {
		DL_DELETE(interest->waits, wait);
		wait->ticket = 0;
		wait->on_heard(wait);
	}
}

static void check_all_heard(struct interest *interest)
{
	if (!interest->is_connected || interest->is_all_heard_told ||
	    interest->answered < interest->asked)
		return;
	interest->is_all_heard_told = true;
	link_on_all_heard(interest->link);
}

void interest_on_connected(struct interest *interest)
{
	uint32_t shards[SHARDS_AT_ONCE];
	size_t count = 0;

	interest->is_connected = true;
	interest->is_all_heard_told = false;
	for (uint32_t i = 0; i < interest->count; i++) {
		if (!interest->shards[i].holds)
			continue;
		shards[count++] = i;
		if (count == SHARDS_AT_ONCE) {
			subscribe(interest, shards, count);
			count = 0;
		}
	}
	if (count)
		subscribe(interest, shards, count);
	check_all_heard(interest);
}

void interest_on_lost(struct interest *interest)
{
	interest->is_connected = false;
	interest->answered = interest->asked;
	for (uint32_t i = 0; i < interest->count; i++)
		interest->shards[i].is_subscribed = false;
	end_waits(interest);
}

void interest_on_subscribed(struct interest *interest, int message_id)
{
	uint64_t ticket = interest->answered;

	while (ticket < interest->asked &&
	       interest->message_ids[ticket % RING(interest)] != message_id)
		ticket++;
	/* An answer to a question of a connection before this one. */
	if (ticket == interest->asked)
		return;
	interest->answered = ticket + 1;
	end_waits(interest);
	check_all_heard(interest);
}

void interest_acquire(struct interest *interest, uint32_t shard)
{
	struct shard *held = &interest->shards[shard];

	must(shard < interest->count);
	held->idle_since_ms = 0;
	if (held->holds++ == 0 && interest->is_connected && !held->is_subscribed)
		subscribe(interest, &shard, 1);
}

void interest_release(struct interest *interest, uint32_t shard)
{
	struct shard *held = &interest->shards[shard];

	must(shard < interest->count && held->holds > 0);
	if (--held->holds == 0)
		held->idle_since_ms = uv_now(interest->loop);
}

bool interest_is_heard(const struct interest *interest)
{
	return !interest->is_connected || interest->answered == interest->asked;
}

void interest_await(struct interest *interest, struct interest_wait *wait)
{
	must(!wait->ticket);
	if (interest_is_heard(interest)) {
		wait->on_heard(wait);
		return;
	}
	wait->ticket = interest->asked;
	DL_APPEND(interest->waits, wait);
}

void interest_cancel(struct interest *interest, struct interest_wait *wait)
{
	if (!wait->ticket)
		return;
	DL_DELETE(interest->waits, wait);
	wait->ticket = 0;
}

static void on_linger(uv_timer_t *timer)
{
	struct interest *interest = timer->data;
	uint64_t now = uv_now(interest->loop);

	for (uint32_t i = 0; i < interest->count; i++) {
		struct shard *shard = &interest->shards[i];

		if (shard->holds || !shard->is_subscribed ||
		    now - shard->idle_since_ms < interest->linger_ms)
			continue;
		link_unsubscribe(interest->link, i);
		shard->is_subscribed = false;
	}
}

struct interest *interest_create(struct link *link, uv_loop_t *loop, uint32_t shards,
                                 uint32_t linger_ms)
{
	struct interest *interest = memory_new(sizeof(*interest) + shards * sizeof(struct shard));

	interest->link = link;
	interest->loop = loop;
	interest->linger_ms = linger_ms;
	interest->count = shards;
	interest->timer.data = interest;
	uv_timer_init(loop, &interest->timer);
	uv_timer_start(&interest->timer, on_linger, linger_ms, linger_ms);
	return interest;
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct interest *interest = handle->data;

	interest->on_closed(interest->closed_context);
	free(interest);
}

void interest_close(struct interest *interest, void (*on_closed)(void *context), void *context)
{
	interest->on_closed = on_closed;
	interest->closed_context = context;
	uv_close((uv_handle_t *)&interest->timer, on_timer_closed);
}
