/* notify - what services tell users: stored, told to every session of the user on every node, ended.
 *
 *   a service --> notify_submit --> PostgreSQL: each user's next number --> answered: it is durable
 *                                        |
 *                                        '--> sessions here, and the bus --> sessions there
 *
 * Each change of a user's notifications has the next number of that user: one is stored, or some are pending no
 * more. A session knows up to which it was told, and a change is for it
 *
 *      known:     told already, dropped              next:  told
 *      farther:   something was missed: what lies between is read from PostgreSQL, and told
 *
 * so the bus may lose, repeat or reorder. It carries the notification itself, once a shard however many of the
 * shard's users it is for: the usual reader needs no question to the database, and those who are nowhere cost no
 * copy. Whoever missed the last change of all finds it by users.notification_version (flow/sweep.h); and a session that
 * begins reads what waits (flow/resume.h). So a node may die after any step: what was stored is told.
 *
 * Everything of one answer of the database leaves in one turn, and so in one message a session and one publish a
 * shard: the time that the database takes is the window in which notifications are collected.
 *
 * Owns:     one entry a user whose missed ones are read; a scratch buffer; the looking for who is nowhere.
 * Lifetime: notify_create; notify_stop before watching, the link and the store are stopped; notify_destroy after the
 *           store is closed.
 * Threads:  the worker's one thread; no call here blocks.
 * Fails:    notify_submit, by its return or by the outcome in the answer.
 */
#ifndef MARTLET_FLOW_NOTIFY_H
#define MARTLET_FLOW_NOTIFY_H

#include "base/timer.h"
#include "flow/absent.h"
#include "model/id.h"
#include "model/outcome.h"
#include "protocol/decode.h"
#include "store/notifications.h"

#include <stddef.h>
#include <stdint.h>

struct hub;
struct link;
struct notify;
struct topics;

struct notify_options {
	uint32_t shards;
	uint32_t notification_bytes; /* of a payload */
	uint32_t list_notifications; /* told at once to who missed some */
	uint32_t memory_s;           /* an ended one's id makes a repetition free for so long */
	uint32_t sweep_ms;           /* between two looks for those whose time is over */
};

/* Everything is borrowed for its life; options and needs are copied. The needs are those of who is nowhere: once
 * a user until it comes back, from one node of all. */
struct notify *notify_create(const struct notify_options *options, const struct absent_needs *needs,
                             struct hub *hub, struct store *store, struct link *link,
                             struct topics *topics, struct watching *watching,
                             struct timers *timers);
void notify_stop(struct notify *notify);
void notify_destroy(struct notify *notify);

struct notify_answer {
	struct outcome outcome;
	uint32_t stored;   /* users for whom it was stored just now */
	uint32_t repeated; /* users for whom this service had used the id before */
};

/* A service notifies users; `service` is its name, as its connection proved it. The command is borrowed until
 * `done`, which is called exactly once, never before this returns, when it is durable for all of them or for none.
 * Not ok: a field is wrong, and `done` is never called. Repeating with the same id is free. */
struct outcome notify_submit(struct notify *notify, const char *service,
                             const Martlet__V1__Notify *command,
                             void (*done)(void *context, const struct notify_answer *answer),
                             void *context) __attribute__((warn_unused_result));

/* A device of this user ends notifications; told to all its sessions. The numbers are copied; `done` is called
 * exactly once, never before this returns. */
void notify_ack(struct notify *notify, const struct user_id *user, const uint64_t *numbers,
                size_t count, void (*done)(void *context, const struct ack_answer *answer),
                void *context);

/* The newest change of this user's notifications has this number, which the database told: whoever was told less
 * here is told the rest. `tell` also says so to all nodes. */
void notify_learn(struct notify *notify, const struct user_id *user, uint64_t number);
void notify_tell(struct notify *notify, const struct user_id *user, uint64_t number);

/* What another node told; borrowed. */
void notify_on_entry(struct notify *notify, const Martlet__Bus__V1__NotificationEntry *entry);

/* The user's last session here has ended. */
void notify_on_user_idle(struct notify *notify, const struct user_id *user);

#endif
