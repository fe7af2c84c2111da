/* event - the words for conversations and their events, as the store reads them and the protocol
 * encodes them. Plain data; strings and bytes are borrowed from whoever made the struct (an arena, a row).
 */
#ifndef MARTLET_MODEL_EVENT_H
#define MARTLET_MODEL_EVENT_H

#include "model/id.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* As numbers in PostgreSQL and on the wire. */
enum conversation_kind { CONVERSATION_DIRECT = 1, CONVERSATION_GROUP = 2 };

enum role { ROLE_MEMBER = 1, ROLE_ADMIN = 2, ROLE_OWNER = 3 };

enum event_kind {
	EVENT_MESSAGE = 1,
	EVENT_CREATED = 2,
	EVENT_EDITED = 3,
	EVENT_REDACTED = 4,
	EVENT_REACTION_ADDED = 5,
	EVENT_REACTION_REMOVED = 6,
	EVENT_MEMBERS_ADDED = 7,
	EVENT_MEMBER_REMOVED = 8,
	EVENT_ROLE_CHANGED = 9,
	EVENT_GROUP_UPDATED = 10,
};

/* How many users reacted to a message with one symbol. */
struct reaction {
	const char *symbol;
	uint32_t count;
	bool is_mine; /* the user who asked is among them */
};

/* One entry of a conversation's log (martlet.events; ConversationEvent on the wire). */
struct event {
	struct uuid conversation;
	uint64_t seq;
	enum event_kind kind;
	const char *sender;
	int64_t time_ms;

	/* EVENT_MESSAGE */
	struct uuid client_message_id;
	uint64_t reply_to_seq; /* 0 if none */
	uint64_t edited_seq;   /* in a page of history: whose content it has; 0 if its own */
	uint64_t redacted_seq;
	uint64_t
		reactions_seq; /* in a page of history: the newest event that `reactions` includes */
	const struct reaction *reactions;
	size_t reactions_count;

	/* EVENT_MESSAGE, EVENT_EDITED */
	const char *content_type; /* "" means text/plain */
	const uint8_t *body;
	size_t body_size;
	const char *const *mentions;
	size_t mentions_count;

	/* EVENT_EDITED, EVENT_REDACTED, EVENT_REACTION_…: the message that it is about */
	uint64_t target_seq;
	const char *symbol;

	/* EVENT_CREATED (the first of them, at most LIMIT_CREATED_MEMBERS), EVENT_MEMBERS_ADDED,
	 * EVENT_MEMBER_REMOVED, EVENT_ROLE_CHANGED: whom it is about */
	const char *const *users;
	size_t users_count;
	uint32_t member_count; /* EVENT_CREATED: all of them */
	enum role role;        /* EVENT_ROLE_CHANGED */

	/* EVENT_CREATED, EVENT_GROUP_UPDATED */
	const char *title;
	bool is_announcement;
	bool has_full_history;
};

/* One member of a conversation. */
struct member {
	const char *user;
	enum role role;
};

/* How far one member has a conversation. */
struct receipt {
	const char *user;
	uint64_t delivered_seq;
	uint64_t read_seq;
};

/* A conversation as one of its members has it (Conversation on the wire). */
struct membership {
	struct uuid conversation;
	enum conversation_kind kind;
	enum role role;
	const char *title; /* "" for a direct one */
	const char *peer;  /* "" for a group */
	uint32_t member_count;
	uint64_t last_seq;
	uint64_t first_seq; /* the first that the member may see */
	uint64_t delivered_seq;
	uint64_t read_seq;
	uint32_t unread_count;
	int64_t last_event_time_ms;
	const struct event *last_event; /* NULL if there is none that the member may see */
	bool is_announcement;
	bool has_full_history;
	int64_t muted_until_ms;         /* 0 if it is not muted */
	const struct receipt *receipts; /* of the other members, if they are few */
	size_t receipts_count;
	uint32_t state_version;
};

#endif
