/* private - what the rooms of the hub show each other and nobody else. */
#ifndef MARTLET_HUB_PRIVATE_H
#define MARTLET_HUB_PRIVATE_H

#include "hub/hub.h"

#include <uthash.h>
#include <utlist.h>

/* Across whom no signal goes to a user: blocked.c keeps it. */
struct blocked {
	struct user_id *users; /* in order of id; NULL if there are none */
	size_t count;
	bool is_known;
	bool is_all;
};

/* Everybody, as long as it is not known. */
bool blocked_has(const struct blocked *blocked, const struct user_id *user);
void blocked_done(struct blocked *blocked);

/* What a user has left to ask. */
struct allowance {
	struct bucket commands;
	struct bucket writes;
	struct bucket refusals; /* without a session; a session has its own */
};

/* Users who gave commands without a session: guests.c keeps them. */
struct guests *guests_create(uint32_t most);
void guests_destroy(struct guests *guests);

/* The guest's, who is made one if it was none. */
struct allowance *guests_allowance(struct guests *guests, const struct user_id *user);

/* The user has a session from now on and is no guest any more: what it had left, all if it was none. */
struct allowance guests_take(struct guests *guests, const struct user_id *user);

/* A user with sessions here. */
struct hub_user {
	struct user_id id;
	uint64_t membership_version;
	uint64_t notifications; /* the newest change of them that was heard of */
	struct blocked blocked;
	struct session *sessions; /* session::user_prev, user_next; oldest first */
	uint32_t sessions_count;
	struct allowance allowance;
	enum presence presence; /* as told; 0 at first */
	UT_hash_handle hh;
};

struct hub {
	struct hub_options options;
	struct hub_needs needs;
	struct timers *timers;

	struct hub_user *users;
	struct guests *guests;
	struct conversation *conversations;
	struct session *sessions; /* session::prev, next */

	uint64_t last_session_id;
	struct hub_counts counts;
};

/* NULL if the user has no session here. */
struct hub_user *hub_find_user(const struct hub *hub, const struct user_id *id);

/* session.c tells the hub of its life. */
void hub_add_session(struct hub *hub, struct session *session);
void hub_remove_session(struct hub *hub, struct session *session);
void hub_user_arrives(struct hub *hub, struct session *session);
void hub_user_leaves(struct hub *hub, struct session *session);
void hub_user_says(struct hub *hub, struct session *session);

struct session {
	uint64_t id;
	struct user_id user;
	char device[LIMIT_DEVICE_BYTES + 1];

	struct hub *hub;
	struct hub_user *owner;                /* NULL unless identified and open */
	struct session *prev, *next;           /* hub::sessions */
	struct session *user_prev, *user_next; /* hub_user::sessions */
	struct seat *seats;                    /* seat::session_prev, session_next */
	struct pipe *pipe;                     /* NULL once detached */
	struct timer timer;                    /* hello, then the token's warning, then its end */

	const struct session_options *options;

	enum session_state state;
	uint32_t references;
	struct frame **queue; /* a ring */
	uint32_t queue_first;
	uint32_t queue_count;
	uint32_t queue_capacity;
	uint32_t seats_count;
	uint32_t lagging; /* seats that must be fed from the log */
	size_t queued_bytes;
	uint32_t pending_commands;
	uint32_t last_warning_ms; /* between the token's warning and its end */
	struct frame *warning;    /* the token's; NULL once queued */
	bool is_paused;
	struct bucket refusals; /* for want of allowance */
	uint64_t notified;      /* the newest change of notifications that it was told */
	bool is_notified;
	bool is_away; /* as its client says */
};

/* conversation.c keeps these two. */
struct seat {
	struct conversation *conversation;
	struct session *session;
	struct seat *prev, *next;                 /* conversation::seats */
	struct seat *session_prev, *session_next; /* session::seats */
	uint64_t seq;                             /* the session has everything up to it */
	uint64_t member_seq;      /* its user was a member there: a removal up to it is past */
	uint64_t typing_since_ms; /* when it was last told to type; 0 if never */
	bool is_typing;           /* and was not told to have stopped */
	bool is_lagging;
};

/* NULL if the session has none here. */
struct seat *conversation_find_seat(const struct conversation *conversation,
                                    const struct session *session);

/* Ends all seats of a session. */
void session_leave_all(struct session *session);

/* An event that came before its turn. */
struct held {
	uint64_t seq;
	struct frame *frame;
};

struct conversation {
	struct uuid id;

	struct hub *hub;
	UT_hash_handle hh;
	struct seat *seats; /* seat::prev, next */

	uint64_t next_seq;       /* 0 while unknown */
	uint64_t known_last_seq; /* the newest number heard of */
	struct frame **tail;     /* a ring of the events before next_seq */
	uint32_t tail_first;
	uint32_t tail_count;
	uint32_t tail_bytes;
	struct held *held; /* rising by seq */
	uint32_t held_count;
	uint32_t held_capacity;
	uint32_t seats_count;
	uint32_t member_count;
	struct timer hole_timer;
	struct timer linger_timer;
};

/* hub.c: the conversation has had no seat for a while. */
void hub_drop_conversation(struct hub *hub, struct conversation *conversation);

#endif
