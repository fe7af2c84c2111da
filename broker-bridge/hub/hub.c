#include "hub/hub.h"

#include "base/memory.h"
#include "base/must.h"
#include "hub/private.h"

#include <stdlib.h>
#include <string.h>

struct hub *hub_create(const struct hub_options *options, const struct hub_needs *needs,
                       struct timers *timers)
{
	struct hub *hub = memory_new(sizeof(*hub));

	hub->options = *options;
	hub->needs = *needs;
	hub->timers = timers;
	hub->guests = guests_create(options->guests);
	return hub;
}

void hub_destroy(struct hub *hub)
{
	must(!hub->sessions && !hub->users);
	while (hub->conversations)
		hub_drop_conversation(hub, hub->conversations);
	guests_destroy(hub->guests);
	free(hub);
}

struct conversation *hub_find_conversation(struct hub *hub, const struct uuid *id)
{
	struct conversation *conversation;

	HASH_FIND(hh, hub->conversations, id, sizeof(*id), conversation);
	return conversation;
}

struct conversation *hub_get_conversation(struct hub *hub, const struct uuid *id)
{
	struct conversation *conversation = hub_find_conversation(hub, id);

	if (conversation)
		return conversation;
	conversation = conversation_create(hub, id);
	HASH_ADD(hh, hub->conversations, id, sizeof(conversation->id), conversation);
	hub->counts.conversations++;
	hub->needs.on_conversation_live(hub->needs.context, id);
	return conversation;
}

void hub_drop_conversation(struct hub *hub, struct conversation *conversation)
{
	struct uuid id = conversation->id;

	HASH_DEL(hub->conversations, conversation);
	hub->counts.conversations--;
	conversation_destroy(conversation);
	hub->needs.on_conversation_idle(hub->needs.context, &id);
}

void hub_offer(struct hub *hub, const struct uuid *id, uint64_t seq, struct frame *frame)
{
	struct conversation *conversation = hub_find_conversation(hub, id);

	if (conversation)
		conversation_offer(conversation, seq, frame);
}

struct hub_user *hub_find_user(const struct hub *hub, const struct user_id *id)
{
	struct hub_user *user;

	HASH_FIND(hh, hub->users, id->text, sizeof(id->text), user);
	return user;
}

bool hub_has_user(const struct hub *hub, const struct user_id *id)
{
	return hub_find_user(hub, id) != NULL;
}

void hub_add_session(struct hub *hub, struct session *session)
{
	session->id = ++hub->last_session_id;
	DL_APPEND(hub->sessions, session);
	hub->counts.sessions++;
}

void hub_remove_session(struct hub *hub, struct session *session)
{
	DL_DELETE(hub->sessions, session);
	hub->counts.sessions--;
}

static struct hub_user *get_user(struct hub *hub, const struct user_id *id)
{
	struct hub_user *user = hub_find_user(hub, id);

	if (user)
		return user;
	user = memory_new(sizeof(*user));
	user->id = *id;
	user->allowance = guests_take(hub->guests, id);
	HASH_ADD(hh, hub->users, id.text, sizeof(user->id.text), user);
	hub->counts.users++;
	hub->needs.on_user_live(hub->needs.context, id);
	return user;
}

static enum presence presence_of_sessions(const struct hub_user *user)
{
	const struct session *session;

	DL_FOREACH2(user->sessions, session, user_next) {
		if (!session->is_away)
			return PRESENCE_ONLINE;
	}
	return user->sessions ? PRESENCE_AWAY : PRESENCE_OFFLINE;
}

static void update_presence(struct hub *hub, struct hub_user *user, bool is_gone)
{
	enum presence now = presence_of_sessions(user);

	if (user->presence == now)
		return;
	user->presence = now;
	hub->needs.on_presence(hub->needs.context, &user->id, now, is_gone);
}

void hub_user_says(struct hub *hub, struct session *session)
{
	update_presence(hub, session->owner, false);
}

void hub_user_arrives(struct hub *hub, struct session *session)
{
	struct hub_user *user = get_user(hub, &session->user);

	session->owner = user;
	DL_APPEND2(user->sessions, session, user_prev, user_next);
	user->sessions_count++;
	update_presence(hub, user, false);
	if (user->sessions_count > hub->options.sessions_of_user)
		session_close(user->sessions, CLOSE_REPLACED,
		              "a newer session took this one's place");
}

void hub_user_leaves(struct hub *hub, struct session *session)
{
	struct user_id id = session->user;
	struct hub_user *user = session->owner;

	session->owner = NULL;
	DL_DELETE2(user->sessions, session, user_prev, user_next);
	user->sessions_count--;
	update_presence(hub, user, true);
	if (!user->sessions) {
		HASH_DEL(hub->users, user);
		hub->counts.users--;
		*guests_allowance(hub->guests, &id) = user->allowance;
		blocked_done(&user->blocked);
		free(user);
		hub->needs.on_user_idle(hub->needs.context, &id);
	}
	hub->needs.on_session_gone(hub->needs.context, session);
}

void hub_each_session_of(struct hub *hub, const struct user_id *id,
                         void (*visit)(void *context, struct session *session), void *context)
{
	struct hub_user *user = hub_find_user(hub, id);
	struct session *session;
	struct session *next;

	/* The last session's closing frees the user; the list ends with it. */
	for (session = user ? user->sessions : NULL; session; session = next) {
		next = session->user_next;
		visit(context, session);
	}
}

void hub_each_session(struct hub *hub, void (*visit)(void *context, struct session *session),
                      void *context)
{
	struct session *session;
	struct session *next;

	DL_FOREACH_SAFE(hub->sessions, session, next)
		visit(context, session);
}

/* uthash keeps the order of arrival, so a place is a count of those already met. */
size_t hub_list_conversations(const struct hub *hub, size_t *place, struct uuid *ret_ids,
                              size_t most)
{
	const struct conversation *conversation = hub->conversations;
	size_t count = 0;

	for (size_t i = 0; conversation && i < *place; i++)
		conversation = conversation->hh.next;
	for (; conversation && count < most; conversation = conversation->hh.next)
		ret_ids[count++] = conversation->id;
	*place += count;
	return count;
}

size_t hub_list_users(const struct hub *hub, size_t *place, struct user_id *ret_ids, size_t most)
{
	const struct hub_user *user = hub->users;
	size_t count = 0;

	for (size_t i = 0; user && i < *place; i++)
		user = user->hh.next;
	for (; user && count < most; user = user->hh.next)
		ret_ids[count++] = user->id;
	*place += count;
	return count;
}

uint64_t hub_membership_version(const struct hub *hub, const struct user_id *id)
{
	const struct hub_user *user = hub_find_user(hub, id);

	return user ? user->membership_version : 0;
}

void hub_set_membership_version(struct hub *hub, const struct user_id *id, uint64_t version)
{
	struct hub_user *user = hub_find_user(hub, id);

	if (!user || user->membership_version == version)
		return;
	user->membership_version = version;
	hub->needs.on_memberships(hub->needs.context, id);
}

uint64_t hub_notifications(const struct hub *hub, const struct user_id *id)
{
	const struct hub_user *user = hub_find_user(hub, id);

	return user ? user->notifications : 0;
}

void hub_learn_notifications(struct hub *hub, const struct user_id *id, uint64_t number)
{
	struct hub_user *user = hub_find_user(hub, id);

	if (user && user->notifications < number)
		user->notifications = number;
}

const struct hub_counts *hub_counts(const struct hub *hub)
{
	return &hub->counts;
}
