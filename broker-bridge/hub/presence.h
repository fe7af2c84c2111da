/* presence - whether users are there, over all nodes.
 *
 * Each node has one word for a user: what its own sessions come to. A node says its word to all when it changes, and
 * to whoever asks; it takes back less than it gives. The word falls only after a grace, so that who closes one
 * connection and opens another is not told to have gone:
 *
 *                      a session comes: said at once
 *      [ OFFLINE ] --------------------------------------> [ AWAY or ONLINE ] --.  SetPresence: said
 *           ^                                                   |      ^     ^--'  at once
 *           |                                  a session goes   |      |
 *           |       the grace is over: said                     v      | another comes: nothing is said
 *           '---------------------------------------------- [ FALLING ]
 *
 * This node keeps the words of others for those users only whom somebody here follows. The first follower asks all
 * nodes; the greatest of all words is the user's presence. What another node said is taken back by itself, by the
 * grace after that node was lost (or began again), or, when this node's own connection was lost, if nobody says it
 * again in `confirm_ms`.
 *
 * Owns:     one entry a user with sessions here, one a followed user, and one a word of another node.
 * Lifetime: presence_create; presence_destroy after every follower has gone.
 * Threads:  the worker's one thread; no call here blocks.
 * Fails:    never.
 */
#ifndef MARTLET_HUB_PRESENCE_H
#define MARTLET_HUB_PRESENCE_H

#include "base/timer.h"
#include "model/id.h"
#include "model/presence.h"

#include <stdbool.h>
#include <stdint.h>

struct presence_room;

/* What it needs from above. None may call back before it returns. */
struct presence_needs {
	void *context;
	/* This node's word changed, or was asked for: tell all nodes. */
	void (*say)(void *context, const struct user_id *user, enum presence word);
	/* Ask all nodes for theirs; the user is heard of from now on, and from then on not any more. */
	void (*ask)(void *context, const struct user_id *user);
	void (*on_followed)(void *context, const struct user_id *user);
	void (*on_unfollowed)(void *context, const struct user_id *user);
	/* A followed user's presence changed. */
	void (*on_change)(void *context, const struct user_id *user, enum presence now);
	/* The user was there until so long ago. */
	void (*on_seen)(void *context, const struct user_id *user, uint64_t ago_ms);
};

struct presence_options {
	uint32_t grace_ms;
	uint32_t confirm_ms;
};

/* The timers are borrowed for its life. */
struct presence_room *presence_create(const struct presence_options *options,
                                      const struct presence_needs *needs, struct timers *timers);
void presence_destroy(struct presence_room *room);

/* What a user's sessions here come to now; `is_gone` if it is so because one of them went. */
void presence_set_here(struct presence_room *room, const struct user_id *user, enum presence now,
                       bool is_gone);

/* This node ends: whoever is here is seen for the last time. */
void presence_see_all(struct presence_room *room);

/* Somebody here wants to know of a user, or not any more. Counted. */
void presence_follow(struct presence_room *room, const struct user_id *user);
void presence_unfollow(struct presence_room *room, const struct user_id *user);

/* Of a followed user; of others, what this node says. */
enum presence presence_of(const struct presence_room *room, const struct user_id *user);

/* What other nodes told: a word of theirs, and that one of them wants to know. */
void presence_on_word(struct presence_room *room, const struct user_id *user, const char *node,
                      enum presence word);
void presence_on_question(struct presence_room *room, const struct user_id *user);

/* Another node was lost, or began: what it said counts no longer than the grace unless it says it again. */
void presence_on_node(struct presence_room *room, const char *node);

/* This node's connection is back: everything is said and asked again. */
void presence_on_up(struct presence_room *room);

struct presence_counts {
	size_t here;     /* users with sessions here, or whose word falls */
	size_t followed; /* users */
	size_t words;    /* of other nodes about them */
};

struct presence_counts presence_counts(const struct presence_room *room);

#endif
