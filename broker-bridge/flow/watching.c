#include "flow/watching.h"

#include "base/buffer.h"
#include "base/memory.h"
#include "hub/presence.h"
#include "hub/watchers.h"
#include "link/interest.h"
#include "link/link.h"
#include "protocol/encode_signals.h"
#include "store/people.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#define SEEN_MS 1000 /* sightings are collected for so long */
#define SEEN_AT_ONCE 500
#define RETRY_MS 500

/* A sighting that is not written yet. */
struct seen {
	struct sighting sighting;
	UT_hash_handle hh;
};

struct watching {
	struct watching_options options;
	struct hub *hub;
	struct store *store;
	struct link *link;
	struct timers *timers;
	struct presence_room *presence;
	struct watchers *watchers;

	struct buffer entry;
	struct seen *seen;
	struct timer seen_timer;
	struct user_id *asked; /* others of the question on its way */
	size_t asked_count;
	bool is_stopped;
};

/* What presence needs. */

static void publish(struct watching *watching, const struct user_id *user)
{
	link_publish_bus(watching->link, shard_of_user(user, watching->options.shards),
	                 watching->entry.bytes, watching->entry.size);
}

static void say(void *context, const struct user_id *user, enum presence word)
{
	struct watching *watching = context;

	if (!watching->is_stopped &&
	    encode_presence_entry(&watching->entry, user, watching->options.node, word))
		publish(watching, user);
}

static void ask(void *context, const struct user_id *user)
{
	struct watching *watching = context;

	if (!watching->is_stopped &&
	    encode_presence_question(&watching->entry, user, watching->options.node))
		publish(watching, user);
}

static void on_followed(void *context, const struct user_id *user)
{
	struct watching *watching = context;

	if (!watching->is_stopped)
		interest_acquire(link_interest(watching->link),
		                 shard_of_user(user, watching->options.shards));
}

/* With the link go all its holds. */
static void on_unfollowed(void *context, const struct user_id *user)
{
	struct watching *watching = context;

	if (!watching->is_stopped)
		interest_release(link_interest(watching->link),
		                 shard_of_user(user, watching->options.shards));
}

static void on_change(void *context, const struct user_id *user, enum presence now)
{
	struct watching *watching = context;

	(void)now;
	watchers_on_change(watching->watchers, user);
}

/* Sightings, written together. */

static void on_written(void *context, const struct outcome *outcome)
{
	/* What the database did not take is left out: the next sighting is as good. */
	(void)context;
	(void)outcome;
}

static void write_seen(struct watching *watching)
{
	struct sighting *sightings = memory_new_array(SEEN_AT_ONCE, sizeof(*sightings));
	size_t count = 0;

	while (watching->seen && count < SEEN_AT_ONCE) {
		struct seen *seen = watching->seen;

		sightings[count++] = seen->sighting;
		HASH_DEL(watching->seen, seen);
		free(seen);
	}
	if (count && !watching->is_stopped)
		people_see(watching->store, sightings, count, on_written, NULL);
	free(sightings);
}

static void on_seen_due(struct timer *timer)
{
	struct watching *watching =
		(struct watching *)((char *)timer - offsetof(struct watching, seen_timer));

	write_seen(watching);
	if (watching->seen)
		timer_start(watching->timers, timer, SEEN_MS);
}

static void on_seen(void *context, const struct user_id *user, uint64_t ago_ms)
{
	struct watching *watching = context;
	struct seen *seen;

	HASH_FIND(hh, watching->seen, user->text, sizeof(user->text), seen);
	if (!seen) {
		if (watching->is_stopped || HASH_COUNT(watching->seen) >= LIMIT_SIGHTINGS)
			return;
		seen = memory_new(sizeof(*seen));
		seen->sighting.user = *user;
		HASH_ADD(hh, watching->seen, sighting.user.text, sizeof(user->text), seen);
	}
	seen->sighting.time_ms = watching->options.clock_ms() - (int64_t)ago_ms;
	if (!timer_is_armed(&watching->seen_timer))
		timer_start(watching->timers, &watching->seen_timer, SEEN_MS);
}

/* What watchers need. */

/* Who has gone is told after the grace, and was last there before it. */
static struct frame *encode(void *context, const struct user_id *user, enum presence presence,
                            bool is_shown)
{
	const struct watching *watching = context;
	struct shown_presence shown = {.user = *user, .presence = presence};

	if (presence == PRESENCE_OFFLINE && is_shown)
		shown.last_seen_ms = watching->options.clock_ms() - LIMIT_PRESENCE_GRACE_MS;
	return encode_presence_changed(&shown);
}

static const struct visible_user *find_visible(const struct visible_answer *answer,
                                               const struct user_id *user)
{
	for (size_t i = 0; i < answer->count; i++) {
		if (strcmp(answer->users[i].user, user->text) == 0)
			return &answer->users[i];
	}
	return NULL;
}

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct user_id *)a)->text, ((const struct user_id *)b)->text);
}

/* The others that were asked are in order, and the answer has some of them. */
static void on_rechecked(void *context, const struct visible_answer *answer)
{
	struct watching *watching = context;
	bool *is_visible;

	if (watching->is_stopped)
		return;
	if (!outcome_is_ok(&answer->outcome)) {
		watchers_answer(watching->watchers, NULL);
		return;
	}
	is_visible = memory_new_array(watching->asked_count, sizeof(*is_visible));
	for (size_t i = 0; i < answer->count; i++) {
		struct user_id user;
		const struct user_id *found =
			user_id_from_text(answer->users[i].user, &user)
				? bsearch(&user, watching->asked, watching->asked_count,
		                          sizeof(user), compare)
				: NULL;

		if (found)
			is_visible[found - watching->asked] = true;
	}
	watchers_answer(watching->watchers, is_visible);
	free(is_visible);
}

static void ask_visible(void *context, const struct user_id *user, const struct user_id *others,
                        size_t count)
{
	struct watching *watching = context;

	if (watching->is_stopped)
		return;
	free(watching->asked);
	watching->asked = memory_new_array(count, sizeof(*others));
	watching->asked_count = count;
	memcpy(watching->asked, others, count * sizeof(*others));
	people_read_visible(watching->store, user, others, count, on_rechecked, watching);
}

/* Life. */

static void create_rooms(struct watching *watching)
{
	const struct presence_needs presence_needs = {
		.context = watching,
		.say = say,
		.ask = ask,
		.on_followed = on_followed,
		.on_unfollowed = on_unfollowed,
		.on_change = on_change,
		.on_seen = on_seen,
	};
	const struct watchers_needs watchers_needs = {
		.context = watching,
		.encode = encode,
		.ask = ask_visible,
	};

	watching->presence = presence_create(
		&(struct presence_options){
			.grace_ms = LIMIT_PRESENCE_GRACE_MS,
			.confirm_ms = LIMIT_PRESENCE_CONFIRM_MS,
		},
		&presence_needs, watching->timers);
	watching->watchers = watchers_create(
		&(struct watchers_options){
			.watched_users = watching->options.watched_users,
			.retry_ms = RETRY_MS,
		},
		&watchers_needs, watching->hub, watching->presence, watching->timers);
}

struct watching *watching_create(const struct watching_options *options, struct hub *hub,
                                 struct store *store, struct link *link, struct timers *timers)
{
	struct watching *watching = memory_new(sizeof(*watching));

	watching->options = *options;
	watching->hub = hub;
	watching->store = store;
	watching->link = link;
	watching->timers = timers;
	watching->seen_timer.on_due = on_seen_due;
	buffer_init(&watching->entry, LIMIT_PUBLISH_BYTES);
	create_rooms(watching);
	return watching;
}

void watching_stop(struct watching *watching)
{
	while (watching->seen)
		write_seen(watching);
	timer_stop(watching->timers, &watching->seen_timer);
	watching->is_stopped = true;
}

void watching_destroy(struct watching *watching)
{
	watchers_destroy(watching->watchers);
	presence_destroy(watching->presence);
	buffer_done(&watching->entry);
	free(watching->asked);
	free(watching);
}

/* Watching. */

/* One WatchPresence on its way. */
struct request {
	struct watching *watching;
	struct session *session;
	watching_done done;
	void *context;
	size_t count;
	struct user_id users[];
};

static void on_visible(void *context, const struct visible_answer *answer)
{
	struct request *request = context;
	struct watching *watching = request->watching;
	struct shown_presence *presences = memory_new_array(request->count, sizeof(*presences));
	bool is_good = outcome_is_ok(&answer->outcome);

	for (size_t i = 0; is_good && i < request->count; i++) {
		const struct user_id *user = &request->users[i];
		const struct visible_user *visible = find_visible(answer, user);

		presences[i].user = *user;
		presences[i].presence =
			watchers_show(watching->watchers, request->session, user, visible != NULL);
		if (visible && presences[i].presence == PRESENCE_OFFLINE)
			presences[i].last_seen_ms = visible->last_seen_ms;
	}
	request->done(request->context, &answer->outcome, presences, is_good ? request->count : 0);
	free(presences);
	free(request);
}

bool watching_watch(struct watching *watching, struct session *session, const struct user_id *users,
                    size_t count, watching_done done, void *context)
{
	struct request *request;

	if (!watchers_add(watching->watchers, session, users, count))
		return false;
	request = memory_new(sizeof(*request) + count * sizeof(*users));
	request->watching = watching;
	request->session = session;
	request->done = done;
	request->context = context;
	request->count = count;
	memcpy(request->users, users, count * sizeof(*users));
	people_read_visible(watching->store, session_user(session), users, count, on_visible,
	                    request);
	return true;
}

void watching_unwatch(struct watching *watching, struct session *session,
                      const struct user_id *users, size_t count)
{
	watchers_remove(watching->watchers, session, users, count);
}

void watching_recheck_user(struct watching *watching, const struct user_id *user)
{
	watchers_recheck(watching->watchers, user);
}

void watching_follow(struct watching *watching, const struct user_id *user)
{
	presence_follow(watching->presence, user);
}

void watching_unfollow(struct watching *watching, const struct user_id *user)
{
	presence_unfollow(watching->presence, user);
}

enum presence watching_presence_of(const struct watching *watching, const struct user_id *user)
{
	return presence_of(watching->presence, user);
}

/* From outside. */

void watching_on_word(struct watching *watching, const Martlet__Bus__V1__PresenceEntry *entry)
{
	struct user_id user;

	/* Its own word this node knows. */
	if (strcmp(entry->node, watching->options.node) == 0 ||
	    !user_id_from_text(entry->user, &user) || entry->status < PRESENCE_OFFLINE ||
	    entry->status > PRESENCE_ONLINE)
		return;
	presence_on_word(watching->presence, &user, entry->node, (enum presence)entry->status);
}

void watching_on_question(struct watching *watching,
                          const Martlet__Bus__V1__PresenceQuestion *entry)
{
	struct user_id user;

	if (strcmp(entry->node, watching->options.node) != 0 &&
	    user_id_from_text(entry->user, &user))
		presence_on_question(watching->presence, &user);
}

void watching_on_node(struct watching *watching, const char *node)
{
	if (strcmp(node, watching->options.node) != 0)
		presence_on_node(watching->presence, node);
}

/* What was missed may have changed who sees whom. */
void watching_on_up(struct watching *watching)
{
	presence_on_up(watching->presence);
	watchers_recheck_all(watching->watchers);
}

void watching_on_drain(struct watching *watching)
{
	presence_see_all(watching->presence);
}

void watching_on_presence(struct watching *watching, const struct user_id *user, enum presence now,
                          bool is_gone)
{
	presence_set_here(watching->presence, user, now, is_gone);
}

void watching_on_room(struct watching *watching, struct session *session)
{
	watchers_on_room(watching->watchers, session);
}

void watching_on_session_gone(struct watching *watching, struct session *session)
{
	watchers_on_session_gone(watching->watchers, session);
}
