#include "plugin/online.h"

#include "base/memory.h"

#include <stddef.h>
#include <stdlib.h>

#define uthash_malloc(size) memory_new(size)
#include <uthash.h>

struct here {
	struct user_id user;
	UT_hash_handle hh;
	struct online *online;

	uint32_t clients;
	struct timer falling; /* armed while there is none */
};

struct online {
	struct online_needs needs;
	struct timers *timers;
	uint32_t grace_ms;
	struct here *users;
};

struct online *online_create(const struct online_needs *needs, struct timers *timers,
                             uint32_t grace_ms)
{
	struct online *online = memory_new(sizeof(*online));

	*online = (struct online){.needs = *needs, .timers = timers, .grace_ms = grace_ms};
	return online;
}

static void forget(struct here *here)
{
	timer_stop(here->online->timers, &here->falling);
	HASH_DEL(here->online->users, here);
	free(here);
}

void online_destroy(struct online *online)
{
	struct here *here;
	struct here *next;

	if (!online)
		return;
	HASH_ITER(hh, online->users, here, next)
		forget(here);
	free(online);
}

static void on_gone(struct timer *timer)
{
	struct here *here = (struct here *)((char *)timer - offsetof(struct here, falling));
	struct online *online = here->online;
	struct user_id user = here->user;

	forget(here);
	online->needs.say(online->needs.context, &user, PRESENCE_OFFLINE);
}

static struct here *find(const struct online *online, const struct user_id *user)
{
	struct here *here;

	HASH_FIND(hh, online->users, user, sizeof(*user), here);
	return here;
}

void online_come(struct online *online, const struct user_id *user)
{
	struct here *here = find(online, user);

	if (here) {
		here->clients++;
		timer_stop(online->timers, &here->falling);
		return;
	}
	here = memory_new(sizeof(*here));
	here->user = *user;
	here->online = online;
	here->clients = 1;
	here->falling.on_due = on_gone;
	HASH_ADD(hh, online->users, user, sizeof(here->user), here);
	online->needs.say(online->needs.context, user, PRESENCE_ONLINE);
}

void online_go(struct online *online, const struct user_id *user)
{
	struct here *here = find(online, user);

	if (here && here->clients && --here->clients == 0)
		timer_start(online->timers, &here->falling, online->grace_ms);
}

void online_on_question(struct online *online, const struct user_id *user)
{
	if (find(online, user))
		online->needs.say(online->needs.context, user, PRESENCE_ONLINE);
}
