#include "hub/guests.h"

#include "base/memory.h"
#include "base/must.h"
#include "hub/private.h"

#include <stdlib.h>

/* What is told of one guest's typing, over all conversations: who changes them all the time gets no more. */
static const struct rate tellings = {.per_second = 1, .burst = 4};

struct guest {
	struct user_id id;
	UT_hash_handle hh;
	struct guest *prev, *next; /* guests::recent */

	struct allowance allowance;
	struct bucket tellings;
	struct uuid typing_in;
	uint64_t typing_since_ms; /* when it was last told to type there; 0 once it has stopped */
};

struct guests {
	struct guest *by_id;
	struct guest *recent; /* guest::prev, next; who asked last is last */
	uint32_t most;
};

struct guests *guests_create(uint32_t most)
{
	struct guests *guests = memory_new(sizeof(*guests));

	must(most > 0);
	guests->most = most;
	return guests;
}

static void forget(struct guests *guests, struct guest *guest)
{
	HASH_DEL(guests->by_id, guest);
	DL_DELETE(guests->recent, guest);
	free(guest);
}

void guests_destroy(struct guests *guests)
{
	while (guests->recent)
		forget(guests, guests->recent);
	free(guests);
}

static struct guest *find(const struct guests *guests, const struct user_id *id)
{
	struct guest *guest;

	HASH_FIND(hh, guests->by_id, id->text, sizeof(id->text), guest);
	return guest;
}

static struct guest *get(struct guests *guests, const struct user_id *id)
{
	struct guest *guest = find(guests, id);

	if (guest) {
		DL_DELETE(guests->recent, guest);
		DL_APPEND(guests->recent, guest);
		return guest;
	}
	if (HASH_COUNT(guests->by_id) >= guests->most)
		forget(guests, guests->recent);
	guest = memory_new(sizeof(*guest));
	guest->id = *id;
	HASH_ADD(hh, guests->by_id, id.text, sizeof(guest->id.text), guest);
	DL_APPEND(guests->recent, guest);
	return guest;
}

struct allowance *guests_allowance(struct guests *guests, const struct user_id *user)
{
	return &get(guests, user)->allowance;
}

struct allowance guests_take(struct guests *guests, const struct user_id *user)
{
	struct guest *guest = find(guests, user);
	struct allowance allowance = {.refusals = {0}};

	if (guest) {
		allowance = guest->allowance;
		forget(guests, guest);
	}
	return allowance;
}

static bool is_too_soon(const struct guest *guest, const struct uuid *id, uint64_t now_ms)
{
	return guest->typing_since_ms && uuid_is_equal(&guest->typing_in, id) &&
	       now_ms - guest->typing_since_ms < LIMIT_TYPING_PACE_MS;
}

bool hub_note_guest_typing(struct hub *hub, const struct user_id *user, const struct uuid *id,
                           bool is_typing)
{
	struct guest *guest = get(hub->guests, user);
	uint64_t now_ms = hub->timers->now_ms;

	if ((is_typing && is_too_soon(guest, id, now_ms)) ||
	    bucket_take(&guest->tellings, &tellings, now_ms))
		return false;
	guest->typing_in = *id;
	guest->typing_since_ms = is_typing ? now_ms : 0;
	return true;
}

size_t hub_guests(const struct hub *hub)
{
	return HASH_COUNT(hub->guests->by_id);
}
