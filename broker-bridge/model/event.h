/* event - the words for conversations and their events, as the store reads them and the protocol
 * encodes them. Plain data; strings and bytes are borrowed from whoever made the struct (an arena, a row).
 */
#ifndef MARTLET_MODEL_EVENT_H
#define MARTLET_MODEL_EVENT_H

#include "model/id.h"

#include <stddef.h>
#include <stdint.h>

/* As numbers in PostgreSQL and on the wire. */
enum conversation_kind { CONVERSATION_DIRECT = 1, CONVERSATION_GROUP = 2 };

enum role { ROLE_MEMBER = 1, ROLE_ADMIN = 2, ROLE_OWNER = 3 };

enum event_kind { EVENT_MESSAGE = 1, EVENT_CREATED = 2 };

/* One entry of a conversation's log (martlet.events; ConversationEvent on the wire). */
struct event {
	struct uuid conversation;
	uint64_t seq;
	enum event_kind kind;
	const char *sender;
	int64_t time_ms;

	/* EVENT_MESSAGE */
	struct uuid client_message_id;
	const char *content_type; /* "" means text/plain */
	const uint8_t *body;
	size_t body_size;
	uint64_t reply_to_seq; /* 0 if none */

	/* EVENT_CREATED */
	const char *title;
	const char *const *members; /* the first of them; at most LIMIT_CREATED_MEMBERS */
	size_t members_count;
	uint32_t member_count;
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
	int64_t last_event_time_ms;
	const struct event *last_event; /* NULL if it was not asked for */
};

#endif
