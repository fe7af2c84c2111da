#include "flow/blocks.h"

#include "base/buffer.h"
#include "base/memory.h"
#include "flow/watching.h"
#include "hub/blocked.h"
#include "link/interest.h"
#include "link/link.h"
#include "protocol/encode_signals.h"
#include "store/people.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#define USERS_AT_ONCE 32 /* each may have LIMIT_BLOCK_RELATIONS */
#define LIST_PAGE 500
#define RETRY_MS 500

/* A user whose blocks are to be read. */
struct reading {
	struct user_id user;
	UT_hash_handle hh;           /* blocks::readings */
	struct reading *prev, *next; /* blocks::fresh, hearing or waiting, until it is asked */
	bool is_asked;
	bool is_again; /* changed since it was asked */
};

struct blocks {
	struct hub *hub;
	struct store *store;
	struct link *link;
	struct watching *watching;
	struct timers *timers;
	uint32_t shards;

	struct buffer entry;
	struct reading *readings;
	struct reading *fresh;   /* came since the wait began */
	struct reading *hearing; /* their shards are waited for */
	struct reading *waiting; /* for their turn */
	struct reading *asked[USERS_AT_ONCE];
	size_t asked_count; /* 0 while nothing is asked */
	struct interest_wait wait;
	struct timer retry_timer;
	bool is_hearing;
	bool is_stopped;
};

static void ask(struct blocks *blocks);

/* Those of one user, of an answer that is in order of user, then of other. */
static void set_blocked(const struct blocks *blocks, const struct user_id *user,
                        const struct block_relations_answer *answer)
{
	struct user_id *others;
	size_t first = 0;
	size_t end;
	size_t count = 0;

	while (first < answer->count && strcmp(answer->relations[first].user, user->text) != 0)
		first++;
	for (end = first; end < answer->count; end++) {
		if (strcmp(answer->relations[end].user, user->text) != 0)
			break;
	}
	if (end - first > LIMIT_BLOCK_RELATIONS) {
		hub_set_all_blocked(blocks->hub, user);
		return;
	}
	others = memory_new_array(end - first, sizeof(*others));
	for (size_t i = first; i < end; i++)
		count += user_id_from_text(answer->relations[i].other, &others[count]);
	hub_set_blocked(blocks->hub, user, others, count);
	free(others);
}

static void forget(struct blocks *blocks, struct reading *reading)
{
	HASH_DEL(blocks->readings, reading);
	free(reading);
}

static void on_read(void *context, const struct block_relations_answer *answer)
{
	struct blocks *blocks = context;
	bool is_good = outcome_is_ok(&answer->outcome);
	size_t count = blocks->asked_count;

	blocks->asked_count = 0;
	for (size_t i = 0; i < count; i++) {
		struct reading *reading = blocks->asked[i];

		reading->is_asked = false;
		if (is_good && !reading->is_again) {
			set_blocked(blocks, &reading->user, answer);
			forget(blocks, reading);
			continue;
		}
		reading->is_again = false;
		DL_APPEND(blocks->waiting, reading);
	}
	if (is_good)
		ask(blocks);
	else if (!blocks->is_stopped)
		timer_start(blocks->timers, &blocks->retry_timer, RETRY_MS);
}

static void ask(struct blocks *blocks)
{
	struct user_id users[USERS_AT_ONCE];
	size_t count = 0;

	if (blocks->asked_count || blocks->is_stopped || timer_is_armed(&blocks->retry_timer))
		return;
	while (blocks->waiting && count < USERS_AT_ONCE) {
		struct reading *reading = blocks->waiting;

		DL_DELETE(blocks->waiting, reading);
		reading->is_asked = true;
		users[count] = reading->user;
		blocks->asked[count++] = reading;
	}
	if (!count)
		return;
	blocks->asked_count = count;
	people_read_blocks(blocks->store, users, count, LIMIT_BLOCK_RELATIONS + 1, on_read, blocks);
}

static void on_retry_due(struct timer *timer)
{
	ask((struct blocks *)((char *)timer - offsetof(struct blocks, retry_timer)));
}

/* Waits for the shards of those who came; who comes meanwhile waits for the next turn. */
static void hear(struct blocks *blocks)
{
	if (blocks->is_hearing || !blocks->fresh || blocks->is_stopped)
		return;
	blocks->hearing = blocks->fresh;
	blocks->fresh = NULL;
	blocks->is_hearing = true;
	interest_await(link_interest(blocks->link), &blocks->wait);
}

static void on_heard(struct interest_wait *wait)
{
	struct blocks *blocks = (struct blocks *)((char *)wait - offsetof(struct blocks, wait));

	blocks->is_hearing = false;
	DL_CONCAT(blocks->waiting, blocks->hearing);
	blocks->hearing = NULL;
	ask(blocks);
	hear(blocks);
}

static struct reading *find_reading(const struct blocks *blocks, const struct user_id *user)
{
	struct reading *reading;

	HASH_FIND(hh, blocks->readings, user->text, sizeof(user->text), reading);
	return reading;
}

static struct reading *add_reading(struct blocks *blocks, const struct user_id *user)
{
	struct reading *reading = memory_new(sizeof(*reading));

	reading->user = *user;
	HASH_ADD(hh, blocks->readings, user.text, sizeof(reading->user.text), reading);
	return reading;
}

void blocks_on_user_live(struct blocks *blocks, const struct user_id *user)
{
	struct reading *reading = find_reading(blocks, user);

	if (reading) {
		reading->is_again = reading->is_asked;
		return;
	}
	reading = add_reading(blocks, user);
	DL_APPEND(blocks->fresh, reading);
	hear(blocks);
}

void blocks_reload(struct blocks *blocks, const struct user_id *user)
{
	struct reading *reading = find_reading(blocks, user);

	if (!hub_has_user(blocks->hub, user))
		return;
	hub_forget_blocked(blocks->hub, user);
	if (reading) {
		reading->is_again = reading->is_asked;
		return;
	}
	reading = add_reading(blocks, user);
	DL_APPEND(blocks->waiting, reading);
	ask(blocks);
}

static void on_changed(struct blocks *blocks, const struct user_id *user)
{
	blocks_reload(blocks, user);
	watching_recheck_user(blocks->watching, user);
}

static void tell(struct blocks *blocks, const struct user_id *user)
{
	on_changed(blocks, user);
	if (encode_blocks_entry(&blocks->entry, user))
		link_publish_bus(blocks->link, shard_of_user(user, blocks->shards),
		                 blocks->entry.bytes, blocks->entry.size);
}

void blocks_tell(struct blocks *blocks, const struct user_id *user, const struct user_id *other)
{
	tell(blocks, user);
	tell(blocks, other);
}

void blocks_on_entry(struct blocks *blocks, const Martlet__Bus__V1__BlocksEntry *entry)
{
	struct user_id user;

	if (user_id_from_text(entry->user, &user))
		on_changed(blocks, &user);
}

void blocks_on_up(struct blocks *blocks)
{
	struct user_id *users = memory_new_array(LIST_PAGE, sizeof(*users));
	size_t place = 0;
	size_t count;

	while ((count = hub_list_users(blocks->hub, &place, users, LIST_PAGE))) {
		for (size_t i = 0; i < count; i++)
			blocks_reload(blocks, &users[i]);
	}
	free(users);
}

struct blocks *blocks_create(struct hub *hub, struct store *store, struct link *link,
                             struct watching *watching, struct timers *timers, uint32_t shards)
{
	struct blocks *blocks = memory_new(sizeof(*blocks));

	blocks->hub = hub;
	blocks->store = store;
	blocks->link = link;
	blocks->watching = watching;
	blocks->timers = timers;
	blocks->shards = shards;
	blocks->wait.on_heard = on_heard;
	blocks->retry_timer.on_due = on_retry_due;
	buffer_init(&blocks->entry, LIMIT_PUBLISH_BYTES);
	return blocks;
}

void blocks_stop(struct blocks *blocks)
{
	blocks->is_stopped = true;
	interest_cancel(link_interest(blocks->link), &blocks->wait);
	timer_stop(blocks->timers, &blocks->retry_timer);
}

void blocks_destroy(struct blocks *blocks)
{
	struct reading *reading;
	struct reading *next;

	HASH_ITER(hh, blocks->readings, reading, next)
		forget(blocks, reading);
	buffer_done(&blocks->entry);
	free(blocks);
}
