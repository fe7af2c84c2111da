/* limits - every bound, its default, and what it answers.
 *
 * A bound that can be set is a default here and has its key in etc/martlet.conf; one that cannot is
 * part of a format.
 */
#ifndef MARTLET_MODEL_LIMITS_H
#define MARTLET_MODEL_LIMITS_H

/* Part of the protocol. */
#define LIMIT_USER_BYTES 64         /* a user's id */
#define LIMIT_DEVICE_BYTES 64       /* a device's name */
#define LIMIT_CLIENT_BYTES 64       /* the client's own name in Hello */
#define LIMIT_CONTENT_TYPE_BYTES 64 /* a media type */
#define LIMIT_TITLE_BYTES 128       /* a group's title */
#define LIMIT_TOKEN_BYTES 8192      /* a token: what proxies pass in a header */
#define LIMIT_NAMED_USERS 100       /* users in one command about presence */
#define LIMIT_CREATED_MEMBERS                                                                      \
	100 /* members named in a ConversationCreated: more would outgrow a frame */
#define LIMIT_ADDED_MEMBERS 100   /* users named in one AddMembers: its event names them all */
#define LIMIT_MENTIONS 50         /* users mentioned in one message */
#define LIMIT_SYMBOL_BYTES 32     /* a reaction: the longest emoji sequences fit */
#define LIMIT_REACTION_SYMBOLS 50 /* different ones of one message */
#define LIMIT_MUTE_MS INT64_C(253402300799999) /* the end of 9999, which is for ever */

#define LIMIT_NOTIFICATION_ID_BYTES 64   /* the identity that a service gives a notification */
#define LIMIT_NOTIFICATION_TEXT_BYTES 64 /* its kind, its collapse key */
#define LIMIT_NOTIFIED_USERS 1000        /* of one Notify: they must fit its frame */
#define LIMIT_NOTIFICATION_MS INT64_C(2592000000) /* how long one waits at most: 30 days */

/* Settings. */
#define LIMIT_FRAME_BYTES 65536         /* a ClientFrame: a client can't make us buffer more */
#define LIMIT_BODY_BYTES 16384          /* a message's body: four fit a frame */
#define LIMIT_GROUP_MEMBERS 1000        /* a group; 100,000 can be set */
#define LIMIT_GROUP_MEMBERS_MOST 100000 /* beyond, one member row a member is the wrong design */
#define LIMIT_EDIT_WINDOW_S 86400       /* from sending a message to its last edit; 0 is for ever */
#define LIMIT_RECEIPT_MEMBERS 100       /* of a conversation in which others' receipts are told */
#define LIMIT_HISTORY_EVENTS 100        /* a page of history */
#define LIMIT_HISTORY_BYTES 65536       /* the same, in bytes: pages of large bodies are shorter */
#define LIMIT_LIST_CONVERSATIONS 200    /* a page of conversations */
#define LIMIT_CURSORS 500               /* in Hello: they must fit its frame */
#define LIMIT_RESUME_EVENTS 500        /* events sent after a cursor; beyond it, page the history */
#define LIMIT_USER_CONVERSATIONS 10000 /* conversations of one user that are followed live */
#define LIMIT_SESSIONS_OF_USER 20      /* a stolen token must not fill a worker */
#define LIMIT_SESSIONS_OF_WORKER 50000 /* 22 KB each over TLS: 1.1 GB */
#define LIMIT_HANDSHAKES 2048 /* under way on a worker: a core ends as many in a second over TLS */
#define LIMIT_CONNECTIONS_OF_ADDRESS 0 /* any: an unknown proxy is one address */
#define LIMIT_OUTBOUND_BYTES 1048576 /* waiting for one session: a slow reader hurts only itself */
#define LIMIT_OUTBOUND_LOW_BYTES 262144 /* catching up goes on below this */
#define LIMIT_COMMANDS_PER_SECOND                                                                  \
	50 /* of one user on one node: a fast client's receipts and reads */
#define LIMIT_COMMAND_BURST 150
#define LIMIT_WRITES_PER_SECOND 10 /* of them, those that write to a log: nobody types faster */
#define LIMIT_WRITE_BURST 30
#define LIMIT_GUESTS                                                                               \
	10000 /* users without a session whose allowance is remembered: 2 MB; the one who asked longest
	         ago is forgotten */
#define LIMIT_PENDING_COMMANDS 64 /* unanswered, of one session; then reading stops */
#define LIMIT_COMMAND_ARENA_BYTES                                                                  \
	1048576                 /* decoding 64 KiB of tiny repeated fields costs 16 times as much */
#define LIMIT_TAIL_EVENTS 64    /* newest events of a live conversation kept in memory */
#define LIMIT_TAIL_BYTES 131072 /* the same, in bytes */
#define LIMIT_HELD_EVENTS 256   /* events that came before their turn; beyond, the log has them */
#define LIMIT_LIST_MEMBERS 200  /* a page of members, or of blocked users */
#define LIMIT_TYPING_MEMBERS                                                                       \
	100 /* typing in a larger group is told to nobody: it grows with the square */
#define LIMIT_WATCHED_USERS                                                                        \
	500 /* whose presence one session watches: 130 bytes each, and their news */
#define LIMIT_USER_NOTIFICATIONS 500 /* that wait for one user: what nobody reads must not grow */
#define LIMIT_SERVICE_NOTIFICATIONS 200 /* of them, of one service: none crowds out the others */
#define LIMIT_NOTIFICATION_BYTES 16384  /* a payload: four fit a frame */
#define LIMIT_LIST_NOTIFICATIONS 100    /* a page, and what waits and is sent by itself */
#define LIMIT_NOTIFICATION_MEMORY_S                                                                \
	86400 /* from a notification's end: so long its id makes a repetition free */
#define LIMIT_NOTIFICATIONS_SWEPT 500 /* in one commit */
#define LIMIT_NOTIFICATION_READS 16   /* users whose missed ones are read at once */
#define LIMIT_ABSENT_USERS                                                                         \
	50000 /* of whom it is being found out whether they are anywhere; then push gateways are not told */
#define LIMIT_ABSENT_AT_ONCE 500  /* of them, in one question to the database */
#define LIMIT_OUTBOX_ROWS 64      /* taken at once: of the largest bodies, 4 MiB */
#define LIMIT_BLOCKED_USERS 1000  /* of one user: nobody fills the table */
#define LIMIT_APPEND_BATCH 64     /* sends in one commit: more costs latency and gains nothing */
#define LIMIT_APPEND_PENDING 4096 /* sends that wait for the database; then UNAVAILABLE */
#define LIMIT_QUERY_PENDING 4096  /* other questions that wait for the database */
#define LIMIT_BLOCK_RELATIONS                                                                      \
	10000 /* of one user, kept in memory: who is in more, as others can make one, is told no
                                         signals of others at all */
#define LIMIT_SIGHTINGS                                                                            \
	50000 /* users whose last_seen_at waits for the database; then it is left out */
#define LIMIT_PUBLISH_BYTES 262144 /* one envelope; a fuller shard is published in parts */
#define LIMIT_PUBLISH_PENDING                                                                      \
	4000 /* publishes that wait for Mosquitto's PUBACK, half of them beside the bus: then they are
	        left out, and the others find by number what they missed. A burst of 5,000 commands over MQTT
	        lost answers at 1,000 */

#define LIMIT_TOPICS_PENDING                                                                       \
	10000 /* users to be told over MQTT that they joined; beyond it they find it by a list */
#define LIMIT_TOPICS_AT_ONCE 8 /* of them, asked of the database at the same time */
#define LIMIT_INGEST_BATCH 64  /* commands over MQTT that are answered before more are read */
#define LIMIT_INGEST_EXPIRY_S                                                                      \
	30 /* a node that is gone for good is fed no longer; one that comes back gets what it had */

/* Times, in milliseconds. */
#define LIMIT_HANDSHAKE_MS 10000    /* from accept to a WebSocket, however slowly bytes come */
#define LIMIT_HELLO_MS 10000        /* from the WebSocket to Hello */
#define LIMIT_HTTP_REQUEST_MS 60000 /* a request and its answer, however slowly bytes come or go */
#define LIMIT_HEARTBEAT_MS                                                                         \
	25000 /* between pings: below the 30 s to 60 s that middleboxes forget after */
#define LIMIT_PONG_MS 10000          /* from a ping to any sign of life */
#define LIMIT_TOKEN_WARNING_MS 60000 /* TokenExpiring, before the token expires */
#define LIMIT_STORE_WAIT_MS 5000     /* an answer of the database; then UNAVAILABLE */
#define LIMIT_LINGER_MS 30000 /* a conversation without sessions stays live: reconnects are cheap */
#define LIMIT_HOLE_MS 20      /* a missing event may still come by itself before the log is asked */
#define LIMIT_CATCH_UP_MS                                                                          \
	25000 /* from Hello to the first events; below LIMIT_LINGER_MS, or what was made
                                        live for it would be gone */
#define LIMIT_TYPING_MS 6000 /* what is told of typing holds so long: two repetitions of a client */
#define LIMIT_TYPING_PACE_MS 2000 /* between two tellings of one session in one conversation */
#define LIMIT_PRESENCE_GRACE_MS                                                                    \
	5000 /* from the last session's end to OFFLINE: a reconnect is no news */
#define LIMIT_PRESENCE_CONFIRM_MS                                                                  \
	2000 /* for other nodes to say again what they said before Mosquitto was away */
#define LIMIT_OUTBOX_MS 100        /* between two looks for what applications published */
#define LIMIT_OUTBOX_LEASE_MS 5000 /* for a node to tell of what it took; then another does */
#define LIMIT_ABSENT_MS 1000       /* for other nodes to say whether a user is there */
#define LIMIT_SWEEP_MS 5000        /* between comparisons of live conversations with the log */
#define LIMIT_DRAIN_MS 10000       /* from TERM to the end of a worker */

#endif
