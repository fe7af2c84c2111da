#include "flow/absent.h"

#include "base/memory.h"
#include "flow/watching.h"
#include "hub/hub.h"
#include "store/notifications.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#define RETRY_MS 500

/* Somebody who is looked for. */
struct missing {
	struct user_id user;
	struct absent *absent;
	UT_hash_handle hh;           /* absent::missing */
	struct missing *prev, *next; /* absent::waiting, once nobody has it */

	struct timer timer; /* the next look; armed while it is followed */
	bool was_here;
	bool is_second_look;
	bool is_asked;
	bool is_again; /* it was here since it was asked about */
};

struct absent {
	struct absent_needs needs;
	struct hub *hub;
	struct store *store;
	struct watching *watching;
	struct timers *timers;

	struct missing *missing;
	struct missing *waiting;
	struct missing *asked[LIMIT_ABSENT_AT_ONCE];
	size_t asked_count; /* 0 while nothing is asked */
	struct timer retry_timer;
	bool is_stopped;
};

static void ask(struct absent *absent);

static void forget(struct missing *missing)
{
	HASH_DEL(missing->absent->missing, missing);
	free(missing);
}

static void follow(struct missing *missing, uint32_t delay_ms)
{
	struct absent *absent = missing->absent;

	missing->is_second_look = false;
	watching_follow(absent->watching, &missing->user);
	timer_start(absent->timers, &missing->timer, delay_ms);
}

/* From its last session's end its word stands for the grace. */
static uint32_t first_delay(const struct missing *missing)
{
	return LIMIT_ABSENT_MS + (missing->was_here ? LIMIT_PRESENCE_GRACE_MS : 0);
}

static bool is_there(const struct absent *absent, const struct user_id *user)
{
	return hub_has_user(absent->hub, user) ||
	       watching_presence_of(absent->watching, user) != PRESENCE_OFFLINE;
}

static void on_look_due(struct timer *timer)
{
	struct missing *missing =
		(struct missing *)((char *)timer - offsetof(struct missing, timer));
	struct absent *absent = missing->absent;
	bool is_found = is_there(absent, &missing->user);

	if (is_found && !missing->is_second_look) {
		missing->is_second_look = true;
		timer_start(absent->timers, timer, LIMIT_PRESENCE_GRACE_MS + LIMIT_ABSENT_MS);
		return;
	}
	watching_unfollow(absent->watching, &missing->user);
	if (is_found) {
		forget(missing);
		return;
	}
	DL_APPEND(absent->waiting, missing);
	ask(absent);
}

static void tell(const struct absent *absent, const struct waiting_answer *answer)
{
	for (size_t i = 0; i < answer->count; i++) {
		const struct waiting_user *user = &answer->users[i];

		/* Who came meanwhile has it. */
		if (!hub_has_user(absent->hub, &user->user))
			absent->needs.on_waiting(absent->needs.context, &user->user, user->waiting,
			                         user->newest);
	}
}

static void on_answer(void *context, const struct waiting_answer *answer)
{
	struct absent *absent = context;
	bool is_good = outcome_is_ok(&answer->outcome);
	size_t count = absent->asked_count;

	absent->asked_count = 0;
	if (absent->is_stopped) {
		for (size_t i = 0; i < count; i++)
			forget(absent->asked[i]);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		struct missing *missing = absent->asked[i];
		bool is_again = missing->is_again;

		missing->is_asked = false;
		missing->is_again = false;
		if (is_again) {
			missing->was_here = true;
			follow(missing, first_delay(missing));
		} else if (is_good) {
			forget(missing);
		} else {
			DL_APPEND(absent->waiting, missing);
		}
	}
	tell(absent, answer);
	if (is_good)
		ask(absent);
	else
		timer_start(absent->timers, &absent->retry_timer, RETRY_MS);
}

static void ask(struct absent *absent)
{
	struct user_id *users;
	bool were_here[LIMIT_ABSENT_AT_ONCE];
	size_t count = 0;

	if (absent->asked_count || !absent->waiting || timer_is_armed(&absent->retry_timer))
		return;
	users = memory_new_array(LIMIT_ABSENT_AT_ONCE, sizeof(*users));
	while (absent->waiting && count < LIMIT_ABSENT_AT_ONCE) {
		struct missing *missing = absent->waiting;

		DL_DELETE(absent->waiting, missing);
		missing->is_asked = true;
		users[count] = missing->user;
		were_here[count] = missing->was_here;
		absent->asked[count++] = missing;
	}
	absent->asked_count = count;
	notifications_tell_waiting(absent->store, users, were_here, count, on_answer, absent);
	free(users);
}

static void on_retry_due(struct timer *timer)
{
	ask((struct absent *)((char *)timer - offsetof(struct absent, retry_timer)));
}

void absent_look_for(struct absent *absent, const struct user_id *user, bool was_here)
{
	struct missing *missing;

	if (absent->is_stopped)
		return;
	HASH_FIND(hh, absent->missing, user->text, sizeof(user->text), missing);
	if (missing) {
		missing->was_here |= was_here;
		missing->is_again |= was_here && missing->is_asked;
		return;
	}
	if (HASH_COUNT(absent->missing) >= LIMIT_ABSENT_USERS)
		return;
	missing = memory_new(sizeof(*missing));
	missing->user = *user;
	missing->absent = absent;
	missing->was_here = was_here;
	missing->timer.on_due = on_look_due;
	HASH_ADD(hh, absent->missing, user.text, sizeof(missing->user.text), missing);
	follow(missing, first_delay(missing));
}

struct absent *absent_create(const struct absent_needs *needs, struct hub *hub, struct store *store,
                             struct watching *watching, struct timers *timers)
{
	struct absent *absent = memory_new(sizeof(*absent));

	absent->needs = *needs;
	absent->hub = hub;
	absent->store = store;
	absent->watching = watching;
	absent->timers = timers;
	absent->retry_timer.on_due = on_retry_due;
	return absent;
}

/* Those that are asked about go with their answer. */
void absent_stop(struct absent *absent)
{
	struct missing *missing;
	struct missing *next;

	absent->is_stopped = true;
	timer_stop(absent->timers, &absent->retry_timer);
	absent->waiting = NULL;
	for (missing = absent->missing; missing; missing = next) {
		next = missing->hh.next;
		if (timer_is_armed(&missing->timer)) {
			timer_stop(absent->timers, &missing->timer);
			watching_unfollow(absent->watching, &missing->user);
		}
		if (!missing->is_asked)
			forget(missing);
	}
}

void absent_destroy(struct absent *absent)
{
	free(absent);
}
