/* change - what changes a conversation besides new messages: one SQL function each, which checks who may, and
 * writes the event that tells of it, in one transaction.
 *
 * The functions (schema/functions/) are the authority. They lock the conversation, so that changes and
 * messages have one order, and each says how it ended by a status:
 *
 *    0 changed                      5 a direct conversation        10 the group is full
 *    1 it was so already            6 the message is redacted      11 too many symbols
 *    2 no such conversation         7 too late to edit             12 blocked
 *    3 no such message              8 no such member
 *    4 the role does not allow it   9 the last owner
 *
 * Repeating a change that is made already is free, so what was sent when a connection broke is sent again.
 */
#ifndef MARTLET_STORE_CHANGE_H
#define MARTLET_STORE_CHANGE_H

#include "model/event.h"
#include "model/id.h"
#include "model/outcome.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;

enum change_kind {
	CHANGE_EDIT,
	CHANGE_REDACT,
	CHANGE_REACT,
	CHANGE_UNREACT,
	CHANGE_TITLE,
	CHANGE_ANNOUNCEMENT,
	CHANGE_FULL_HISTORY,
	CHANGE_ADD_MEMBERS,
	CHANGE_REMOVE_MEMBER,
	CHANGE_LEAVE,
	CHANGE_ROLE,
};

struct change {
	enum change_kind kind;
	struct uuid conversation;
	struct user_id user; /* who makes it */

	/* Of a message: */
	uint64_t target_seq;
	const char *symbol;       /* REACT, UNREACT */
	const char *content_type; /* EDIT */
	const uint8_t *body;
	size_t body_size;

	/* Whom it is about: ADD_MEMBERS, REMOVE_MEMBER, ROLE; the mentioned of EDIT. */
	const struct user_id *users;
	size_t users_count;
	enum role role; /* ROLE */

	const char *title; /* TITLE */
	bool is_on;        /* ANNOUNCEMENT, FULL_HISTORY */

	/* EDIT: the window in seconds, 0 for ever; REACT: symbols of a message; ADD_MEMBERS: members of a
	 * group. */
	uint32_t most;
};

struct change_answer {
	struct outcome outcome;
	const struct event *event; /* NULL if it was so already */
};

/* Makes the change. `done` is called exactly once, never before this returns; the event is valid during that
 * call. What the change points to is copied. */
void change_submit(struct store *store, const struct change *change,
                   void (*done)(void *context, const struct change_answer *answer), void *context);

#endif
