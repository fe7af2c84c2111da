#include "hub/watchers.h"

#include "base/memory.h"
#include "base/must.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

/* Who watches whom. */
struct pair {
	struct watcher *watcher;
	struct watched *watched;
};

struct watch {
	struct pair pair;
	UT_hash_handle hh;                         /* watchers::watches, by pair */
	struct watch *prev, *next;                 /* watched::watches */
	struct watch *watcher_prev, *watcher_next; /* watcher::watches */
	enum presence told;
	bool is_shown;
};

/* A session that watches. */
struct watcher {
	struct session *session;
	UT_hash_handle hh; /* by session */
	struct watch *watches;
	uint32_t count;
	bool is_behind; /* something could not be told */
};

/* A user who is watched. */
struct watched {
	struct user_id user;
	UT_hash_handle hh;
	struct watch *watches;
};

/* A user against whom all is to be asked again. */
struct recheck {
	struct user_id user;
	UT_hash_handle hh;
};

struct watchers {
	struct watchers_options options;
	struct watchers_needs needs;
	struct hub *hub;
	struct presence_room *presence;
	struct timers *timers;

	struct watcher *watchers;
	struct watched *watched;
	struct watch *watches;
	struct recheck *rechecks;
	struct timer retry_timer;

	/* The question: the user, and all others, of whom a page is asked at a time. */
	struct user_id asked;
	struct user_id *others; /* NULL while nothing is asked */
	size_t others_count;
	size_t others_done;
	size_t page; /* on its way; 0 while it waits to be asked again */
};

/* Finding. */

static struct watcher *find_watcher(const struct watchers *watchers, const struct session *session)
{
	struct watcher *watcher;

	HASH_FIND_PTR(watchers->watchers, &session, watcher);
	return watcher;
}

static struct watched *find_watched(const struct watchers *watchers, const struct user_id *user)
{
	struct watched *watched;

	HASH_FIND(hh, watchers->watched, user->text, sizeof(user->text), watched);
	return watched;
}

/* In a table, since both lists may be long: a popular user has many watches, and so has a busy session. */
static struct watch *find_watch(const struct watchers *watchers, struct watcher *watcher,
                                struct watched *watched)
{
	const struct pair pair = {watcher, watched};
	struct watch *watch;

	HASH_FIND(hh, watchers->watches, &pair, sizeof(pair), watch);
	return watch;
}

/* A watch's life. */

static struct watcher *get_watcher(struct watchers *watchers, struct session *session)
{
	struct watcher *watcher = find_watcher(watchers, session);

	if (watcher)
		return watcher;
	watcher = memory_new(sizeof(*watcher));
	watcher->session = session;
	HASH_ADD_PTR(watchers->watchers, session, watcher);
	return watcher;
}

static struct watched *get_watched(struct watchers *watchers, const struct user_id *user)
{
	struct watched *watched = find_watched(watchers, user);

	if (watched)
		return watched;
	watched = memory_new(sizeof(*watched));
	watched->user = *user;
	HASH_ADD(hh, watchers->watched, user.text, sizeof(watched->user.text), watched);
	return watched;
}

static void add_watch(struct watchers *watchers, struct watcher *watcher, struct watched *watched)
{
	struct watch *watch = memory_new(sizeof(*watch));

	watch->pair = (struct pair){watcher, watched};
	watch->told = PRESENCE_OFFLINE;
	HASH_ADD(hh, watchers->watches, pair, sizeof(watch->pair), watch);
	DL_APPEND(watched->watches, watch);
	DL_APPEND2(watcher->watches, watch, watcher_prev, watcher_next);
	watcher->count++;
}

static void set_shown(struct watchers *watchers, struct watch *watch, bool is_shown)
{
	const struct user_id *user = &watch->pair.watched->user;

	if (watch->is_shown == is_shown)
		return;
	watch->is_shown = is_shown;
	if (is_shown)
		presence_follow(watchers->presence, user);
	else
		presence_unfollow(watchers->presence, user);
}

static void remove_watch(struct watchers *watchers, struct watch *watch)
{
	struct watched *watched = watch->pair.watched;
	struct watcher *watcher = watch->pair.watcher;

	set_shown(watchers, watch, false);
	DL_DELETE2(watcher->watches, watch, watcher_prev, watcher_next);
	watcher->count--;
	DL_DELETE(watched->watches, watch);
	HASH_DEL(watchers->watches, watch);
	free(watch);
	if (watched->watches)
		return;
	HASH_DEL(watchers->watched, watched);
	free(watched);
}

static void remove_idle_watcher(struct watchers *watchers, struct watcher *watcher)
{
	if (watcher->watches)
		return;
	HASH_DEL(watchers->watchers, watcher);
	free(watcher);
}

/* Telling. */

static enum presence shown(const struct watchers *watchers, const struct watch *watch)
{
	return watch->is_shown ? presence_of(watchers->presence, &watch->pair.watched->user)
	                       : PRESENCE_OFFLINE;
}

/* Tells a watch's session what it shows, if that is news. `*frame` says it already, or is NULL and then made. What the
 * client has no room for is told when it has. */
static void tell(struct watchers *watchers, struct watch *watch, struct frame **frame)
{
	enum presence now = shown(watchers, watch);

	if (watch->told == now)
		return;
	if (!*frame)
		*frame = watchers->needs.encode(watchers->needs.context, &watch->pair.watched->user,
		                                now, watch->is_shown);
	if (session_push_signal(watch->pair.watcher->session, *frame))
		watch->told = now;
	else
		watch->pair.watcher->is_behind = true;
}

static void tell_alone(struct watchers *watchers, struct watch *watch)
{
	struct frame *frame = NULL;

	tell(watchers, watch, &frame);
	frame_unref(frame);
}

/* One frame for all: those who may see it are shown the same, and for the others nothing changes. */
void watchers_on_change(struct watchers *watchers, const struct user_id *user)
{
	const struct watched *watched = find_watched(watchers, user);
	struct frame *frame = NULL;
	struct watch *watch;

	DL_FOREACH(watched ? watched->watches : NULL, watch) {
		if (watch->is_shown)
			tell(watchers, watch, &frame);
	}
	frame_unref(frame);
}

void watchers_on_room(struct watchers *watchers, struct session *session)
{
	struct watcher *watcher = find_watcher(watchers, session);
	struct watch *watch;

	if (!watcher || !watcher->is_behind)
		return;
	watcher->is_behind = false;
	DL_FOREACH2(watcher->watches, watch, watcher_next)
		tell_alone(watchers, watch);
}

/* Watching. */

/* How many of these the session does not watch yet; one that is named twice counts twice. */
static size_t count_new(const struct watchers *watchers, struct watcher *watcher,
                        const struct user_id *users, size_t count)
{
	size_t fresh = 0;

	for (size_t i = 0; i < count; i++)
		fresh += !find_watch(watchers, watcher, find_watched(watchers, &users[i]));
	return fresh;
}

bool watchers_add(struct watchers *watchers, struct session *session, const struct user_id *users,
                  size_t count)
{
	struct watcher *watcher = find_watcher(watchers, session);
	size_t fresh = count_new(watchers, watcher, users, count);

	if ((watcher ? watcher->count : 0) + fresh > watchers->options.watched_users)
		return false;
	if (!session_is_open(session) || !fresh)
		return true;
	watcher = get_watcher(watchers, session);
	for (size_t i = 0; i < count; i++) {
		struct watched *watched = get_watched(watchers, &users[i]);

		if (!find_watch(watchers, watcher, watched))
			add_watch(watchers, watcher, watched);
	}
	return true;
}

void watchers_remove(struct watchers *watchers, struct session *session,
                     const struct user_id *users, size_t count)
{
	struct watcher *watcher = find_watcher(watchers, session);

	if (!watcher)
		return;
	for (size_t i = 0; i < count; i++) {
		struct watch *watch =
			find_watch(watchers, watcher, find_watched(watchers, &users[i]));

		if (watch)
			remove_watch(watchers, watch);
	}
	remove_idle_watcher(watchers, watcher);
}

void watchers_on_session_gone(struct watchers *watchers, struct session *session)
{
	struct watcher *watcher = find_watcher(watchers, session);

	if (!watcher)
		return;
	while (watcher->watches)
		remove_watch(watchers, watcher->watches);
	remove_idle_watcher(watchers, watcher);
}

enum presence watchers_show(struct watchers *watchers, struct session *session,
                            const struct user_id *user, bool is_shown)
{
	struct watch *watch =
		find_watch(watchers, find_watcher(watchers, session), find_watched(watchers, user));

	if (!watch)
		return PRESENCE_OFFLINE;
	set_shown(watchers, watch, is_shown);
	watch->told = shown(watchers, watch);
	return watch->told;
}

/* Asking again. */

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct user_id *)a)->text, ((const struct user_id *)b)->text);
}

/* Ids in the making. */
struct ids {
	const struct watchers *watchers;
	struct user_id *ids;
	size_t count;
	size_t capacity;
};

static void add_id(struct ids *ids, const struct user_id *id)
{
	if (ids->count == ids->capacity) {
		ids->capacity = ids->capacity ? ids->capacity * 2 : 16;
		ids->ids = memory_resize(ids->ids, ids->capacity * sizeof(*ids->ids));
	}
	ids->ids[ids->count++] = *id;
}

static void add_watched_of(void *context, struct session *session)
{
	struct ids *ids = context;
	const struct watcher *watcher = find_watcher(ids->watchers, session);
	const struct watch *watch;

	DL_FOREACH2(watcher ? watcher->watches : NULL, watch, watcher_next)
		add_id(ids, &watch->pair.watched->user);
}

static void sort_once(struct ids *ids)
{
	size_t count = 0;

	if (ids->count)
		qsort(ids->ids, ids->count, sizeof(*ids->ids), compare);
	for (size_t i = 0; i < ids->count; i++) {
		if (!count || compare(&ids->ids[count - 1], &ids->ids[i]) != 0)
			ids->ids[count++] = ids->ids[i];
	}
	ids->count = count;
}

/* Everybody who watches the user, or is watched by a session of it. */
static struct ids list_others(const struct watchers *watchers, const struct user_id *user)
{
	const struct watched *watched = find_watched(watchers, user);
	struct ids ids = {.watchers = watchers};
	const struct watch *watch;

	DL_FOREACH(watched ? watched->watches : NULL, watch)
		add_id(&ids, session_user(watch->pair.watcher->session));
	hub_each_session_of(watchers->hub, user, add_watched_of, &ids);
	sort_once(&ids);
	return ids;
}

static void ask_page(struct watchers *watchers)
{
	size_t left = watchers->others_count - watchers->others_done;

	watchers->page = left < WATCHERS_ASKED ? left : WATCHERS_ASKED;
	watchers->needs.ask(watchers->needs.context, &watchers->asked,
	                    watchers->others + watchers->others_done, watchers->page);
}

static void end_question(struct watchers *watchers)
{
	free(watchers->others);
	watchers->others = NULL;
}

static bool take_recheck(struct watchers *watchers)
{
	struct recheck *recheck = watchers->rechecks;

	if (!recheck)
		return false;
	watchers->asked = recheck->user;
	HASH_DEL(watchers->rechecks, recheck);
	free(recheck);
	return true;
}

static void ask_next(struct watchers *watchers)
{
	while (!watchers->others && take_recheck(watchers)) {
		struct ids ids = list_others(watchers, &watchers->asked);

		if (!ids.count) {
			free(ids.ids);
			continue;
		}
		watchers->others = ids.ids;
		watchers->others_count = ids.count;
		watchers->others_done = 0;
		ask_page(watchers);
	}
}

/* A page's answer. */
struct verdict {
	struct watchers *watchers;
	const struct user_id *others;
	const bool *is_visible;
	size_t count;
};

static void judge(const struct verdict *verdict, struct watch *watch, const struct user_id *other)
{
	const struct user_id *found =
		bsearch(other, verdict->others, verdict->count, sizeof(*other), compare);

	if (!found)
		return;
	set_shown(verdict->watchers, watch, verdict->is_visible[found - verdict->others]);
	tell_alone(verdict->watchers, watch);
}

static void judge_session(void *context, struct session *session)
{
	const struct verdict *verdict = context;
	const struct watcher *watcher = find_watcher(verdict->watchers, session);
	struct watch *watch;

	DL_FOREACH2(watcher ? watcher->watches : NULL, watch, watcher_next)
		judge(verdict, watch, &watch->pair.watched->user);
}

void watchers_answer(struct watchers *watchers, const bool *is_visible)
{
	struct verdict verdict = {watchers, watchers->others + watchers->others_done, is_visible,
	                          watchers->page};
	const struct watched *watched = find_watched(watchers, &watchers->asked);
	struct watch *watch;

	must(watchers->page);
	watchers->page = 0;
	if (!is_visible) {
		timer_start(watchers->timers, &watchers->retry_timer, watchers->options.retry_ms);
		return;
	}
	DL_FOREACH(watched ? watched->watches : NULL, watch)
		judge(&verdict, watch, session_user(watch->pair.watcher->session));
	hub_each_session_of(watchers->hub, &watchers->asked, judge_session, &verdict);
	watchers->others_done += verdict.count;
	if (watchers->others_done < watchers->others_count) {
		ask_page(watchers);
		return;
	}
	end_question(watchers);
	ask_next(watchers);
}

static void on_retry_due(struct timer *timer)
{
	ask_page((struct watchers *)((char *)timer - offsetof(struct watchers, retry_timer)));
}

void watchers_recheck(struct watchers *watchers, const struct user_id *user)
{
	struct recheck *recheck;

	if (!watchers->watches ||
	    (!find_watched(watchers, user) && !hub_has_user(watchers->hub, user)))
		return;
	HASH_FIND(hh, watchers->rechecks, user->text, sizeof(user->text), recheck);
	if (recheck)
		return;
	recheck = memory_new(sizeof(*recheck));
	recheck->user = *user;
	HASH_ADD(hh, watchers->rechecks, user.text, sizeof(recheck->user.text), recheck);
	ask_next(watchers);
}

void watchers_recheck_all(struct watchers *watchers)
{
	for (const struct watcher *watcher = watchers->watchers; watcher;
	     watcher = watcher->hh.next)
		watchers_recheck(watchers, session_user(watcher->session));
}

/* Life. */

struct watchers *watchers_create(const struct watchers_options *options,
                                 const struct watchers_needs *needs, struct hub *hub,
                                 struct presence_room *presence, struct timers *timers)
{
	struct watchers *watchers = memory_new(sizeof(*watchers));

	watchers->options = *options;
	watchers->needs = *needs;
	watchers->hub = hub;
	watchers->presence = presence;
	watchers->timers = timers;
	watchers->retry_timer.on_due = on_retry_due;
	return watchers;
}

void watchers_destroy(struct watchers *watchers)
{
	must(!watchers->watchers);
	while (take_recheck(watchers))
		;
	timer_stop(watchers->timers, &watchers->retry_timer);
	end_question(watchers);
	free(watchers);
}

size_t watchers_count(const struct watchers *watchers)
{
	return HASH_COUNT(watchers->watches);
}
