#include "hub/presence.h"

#include "base/memory.h"
#include "base/must.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#define NODE_BYTES 64

/* A user with sessions here, or whose word has not fallen yet. */
struct here {
	struct user_id user;
	struct presence_room *room;
	UT_hash_handle hh;

	enum presence said;
	enum presence next; /* what is said when the timer is due */
	struct timer timer;
};

/* What another node said of a followed user; never OFFLINE. */
struct word {
	struct word *next;
	char node[NODE_BYTES];
	enum presence presence;
	uint64_t until_ms; /* to be said again by then; 0 if it is certain */
	bool is_lost;      /* because its node was */
};

struct followed {
	struct user_id user;
	UT_hash_handle hh;
	struct word *words;
	uint32_t followers;
	enum presence told;
};

struct presence_room {
	struct presence_options options;
	struct presence_needs needs;
	struct timers *timers;

	struct here *here;
	struct followed *followed;
	struct timer doubt_timer; /* the earliest until_ms */
	size_t words_count;
};

/* The greatest word. */

static struct here *find_here(const struct presence_room *room, const struct user_id *user)
{
	struct here *here;

	HASH_FIND(hh, room->here, user->text, sizeof(user->text), here);
	return here;
}

static struct followed *find_followed(const struct presence_room *room, const struct user_id *user)
{
	struct followed *followed;

	HASH_FIND(hh, room->followed, user->text, sizeof(user->text), followed);
	return followed;
}

static enum presence greatest(const struct presence_room *room, const struct user_id *user)
{
	const struct here *here = find_here(room, user);
	const struct followed *followed = find_followed(room, user);
	enum presence presence = here ? here->said : PRESENCE_OFFLINE;

	for (const struct word *word = followed ? followed->words : NULL; word; word = word->next) {
		if (word->presence > presence)
			presence = word->presence;
	}
	return presence;
}

enum presence presence_of(const struct presence_room *room, const struct user_id *user)
{
	return greatest(room, user);
}

static void update(struct presence_room *room, const struct user_id *user)
{
	struct followed *followed = find_followed(room, user);
	enum presence now = followed ? greatest(room, user) : PRESENCE_OFFLINE;

	if (!followed || followed->told == now)
		return;
	followed->told = now;
	room->needs.on_change(room->needs.context, &followed->user, now);
}

/* This node's own word. */

static void say(struct here *here, enum presence word, uint64_t ago_ms)
{
	struct presence_room *room = here->room;
	struct user_id user = here->user;

	timer_stop(room->timers, &here->timer);
	here->said = word;
	if (word == PRESENCE_OFFLINE) {
		HASH_DEL(room->here, here);
		free(here);
		room->needs.on_seen(room->needs.context, &user, ago_ms);
	}
	room->needs.say(room->needs.context, &user, word);
	update(room, &user);
}

static void on_grace_over(struct timer *timer)
{
	struct here *here = (struct here *)((char *)timer - offsetof(struct here, timer));

	say(here, here->next, here->room->options.grace_ms);
}

static struct here *add_here(struct presence_room *room, const struct user_id *user)
{
	struct here *here = memory_new(sizeof(*here));

	here->user = *user;
	here->room = room;
	here->said = PRESENCE_OFFLINE;
	here->timer.on_due = on_grace_over;
	HASH_ADD(hh, room->here, user.text, sizeof(here->user.text), here);
	room->needs.on_seen(room->needs.context, user, 0);
	return here;
}

void presence_set_here(struct presence_room *room, const struct user_id *user, enum presence now,
                       bool is_gone)
{
	struct here *here = find_here(room, user);

	if (!here && now == PRESENCE_OFFLINE)
		return;
	if (!here)
		here = add_here(room, user);
	if (now < here->said && is_gone) {
		here->next = now;
		timer_start(room->timers, &here->timer, room->options.grace_ms);
	} else if (now != here->said) {
		say(here, now, 0);
	} else {
		timer_stop(room->timers, &here->timer);
	}
}

void presence_see_all(struct presence_room *room)
{
	for (const struct here *here = room->here; here; here = here->hh.next)
		room->needs.on_seen(room->needs.context, &here->user, 0);
}

void presence_on_question(struct presence_room *room, const struct user_id *user)
{
	const struct here *here = find_here(room, user);

	if (here)
		room->needs.say(room->needs.context, user, here->said);
}

/* Following. */

void presence_follow(struct presence_room *room, const struct user_id *user)
{
	struct followed *followed = find_followed(room, user);

	if (followed) {
		followed->followers++;
		return;
	}
	followed = memory_new(sizeof(*followed));
	followed->user = *user;
	followed->followers = 1;
	HASH_ADD(hh, room->followed, user.text, sizeof(followed->user.text), followed);
	followed->told = greatest(room, user);
	room->needs.on_followed(room->needs.context, user);
	room->needs.ask(room->needs.context, user);
}

static void remove_word(struct presence_room *room, struct followed *followed, struct word *word)
{
	LL_DELETE(followed->words, word);
	room->words_count--;
	free(word);
}

static void remove_followed(struct presence_room *room, struct followed *followed)
{
	while (followed->words)
		remove_word(room, followed, followed->words);
	HASH_DEL(room->followed, followed);
	free(followed);
}

void presence_unfollow(struct presence_room *room, const struct user_id *user)
{
	struct followed *followed = find_followed(room, user);
	struct user_id id = *user;

	must(followed != NULL);
	if (--followed->followers)
		return;
	remove_followed(room, followed);
	room->needs.on_unfollowed(room->needs.context, &id);
}

/* The words of others. */

static struct word *find_word(const struct followed *followed, const char *node)
{
	struct word *word = followed->words;

	while (word && strcmp(word->node, node) != 0)
		word = word->next;
	return word;
}

static struct word *add_word(struct presence_room *room, struct followed *followed,
                             const char *node)
{
	struct word *word = memory_new(sizeof(*word));

	memcpy(word->node, node, strlen(node));
	LL_PREPEND(followed->words, word);
	room->words_count++;
	return word;
}

void presence_on_word(struct presence_room *room, const struct user_id *user, const char *node,
                      enum presence presence)
{
	struct followed *followed = find_followed(room, user);
	struct word *word = followed ? find_word(followed, node) : NULL;

	if (!followed || strlen(node) >= NODE_BYTES)
		return;
	if (presence == PRESENCE_OFFLINE) {
		if (word)
			remove_word(room, followed, word);
	} else {
		if (!word)
			word = add_word(room, followed, node);
		word->presence = presence;
		word->until_ms = 0;
		word->is_lost = false;
	}
	update(room, user);
}

/* The earliest moment at which a word is not believed any more; UINT64_MAX if all are certain. */
static uint64_t next_doubt(const struct followed *followed)
{
	uint64_t next_ms = UINT64_MAX;

	for (const struct word *word = followed->words; word; word = word->next) {
		if (word->until_ms && word->until_ms < next_ms)
			next_ms = word->until_ms;
	}
	return next_ms;
}

static void watch_doubts(struct presence_room *room)
{
	uint64_t now_ms = room->timers->now_ms;
	uint64_t next_ms = UINT64_MAX;

	for (const struct followed *followed = room->followed; followed;
	     followed = followed->hh.next) {
		uint64_t doubt_ms = next_doubt(followed);

		if (doubt_ms < next_ms)
			next_ms = doubt_ms;
	}
	if (next_ms != UINT64_MAX)
		timer_start(room->timers, &room->doubt_timer,
		            next_ms > now_ms ? next_ms - now_ms : 0);
}

static void drop_doubtful(struct presence_room *room, struct followed *followed)
{
	struct word *word;
	struct word *next;
	bool was_lost = false;

	LL_FOREACH_SAFE(followed->words, word, next) {
		if (!word->until_ms || word->until_ms > room->timers->now_ms)
			continue;
		was_lost = was_lost || word->is_lost;
		remove_word(room, followed, word);
	}
	/* Its own node did not live to say so. */
	if (was_lost && greatest(room, &followed->user) == PRESENCE_OFFLINE)
		room->needs.on_seen(room->needs.context, &followed->user, room->options.grace_ms);
}

static void on_doubt_due(struct timer *timer)
{
	struct presence_room *room =
		(struct presence_room *)((char *)timer -
	                                 offsetof(struct presence_room, doubt_timer));
	struct followed *followed;
	struct followed *next;

	HASH_ITER(hh, room->followed, followed, next) {
		if (next_doubt(followed) > room->timers->now_ms)
			continue;
		drop_doubtful(room, followed);
		update(room, &followed->user);
	}
	watch_doubts(room);
}

/* A doubt that stands is not put off: a node that begins again and again would be believed for ever. */
static void doubt(const struct presence_room *room, struct word *word, uint64_t delay_ms)
{
	uint64_t until_ms = room->timers->now_ms + delay_ms;

	if (!word->until_ms || until_ms < word->until_ms)
		word->until_ms = until_ms;
}

void presence_on_node(struct presence_room *room, const char *node)
{
	for (struct followed *followed = room->followed; followed; followed = followed->hh.next) {
		struct word *word = find_word(followed, node);

		if (!word)
			continue;
		word->is_lost = true;
		doubt(room, word, room->options.grace_ms);
	}
	watch_doubts(room);
}

void presence_on_up(struct presence_room *room)
{
	for (const struct here *here = room->here; here; here = here->hh.next)
		room->needs.say(room->needs.context, &here->user, here->said);
	for (struct followed *followed = room->followed; followed; followed = followed->hh.next) {
		struct word *word;

		LL_FOREACH(followed->words, word)
			doubt(room, word, room->options.confirm_ms);
		room->needs.ask(room->needs.context, &followed->user);
	}
	watch_doubts(room);
}

/* Life. */

struct presence_room *presence_create(const struct presence_options *options,
                                      const struct presence_needs *needs, struct timers *timers)
{
	struct presence_room *room = memory_new(sizeof(*room));

	room->options = *options;
	room->needs = *needs;
	room->timers = timers;
	room->doubt_timer.on_due = on_doubt_due;
	return room;
}

void presence_destroy(struct presence_room *room)
{
	struct here *here;
	struct here *next;

	must(!room->followed);
	HASH_ITER(hh, room->here, here, next) {
		timer_stop(room->timers, &here->timer);
		HASH_DEL(room->here, here);
		free(here);
	}
	timer_stop(room->timers, &room->doubt_timer);
	free(room);
}

struct presence_counts presence_counts(const struct presence_room *room)
{
	return (struct presence_counts){
		.here = HASH_COUNT(room->here),
		.followed = HASH_COUNT(room->followed),
		.words = room->words_count,
	};
}
