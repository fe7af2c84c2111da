/* private - what the rooms of the store show each other and nobody else. */
#ifndef MARTLET_STORE_PRIVATE_H
#define MARTLET_STORE_PRIVATE_H

#include "store/connection.h"
#include "store/store.h"

struct appends;
struct marks;
struct orders;

struct store {
	struct connection *writer;
	struct connection *reader;
	struct appends *appends;
	struct marks *marks;
	struct orders *orders;
	uint32_t receipt_members;

	uint32_t open_connections;
	void (*on_closed)(void *context);
	void *closed_context;
};

/* PostgreSQL's numbers of the types of parameters. */
#define UUID ELEMENT_UUID
#define TEXT ELEMENT_TEXT
#define BIGINT ELEMENT_BIGINT
#define BYTEA ELEMENT_BYTEA
#define BOOLEAN 16
#define INTEGER 23
#define UUIDS 2951
#define TEXTS 1009
#define BIGINTS 1016
#define BYTEAS 1001

/* The statements of the writing and of the reading connection, by index. */
enum writer_statement {
	STATEMENT_APPEND,
	STATEMENT_BLOCK,
	STATEMENT_UNBLOCK,
	STATEMENT_SEE,
	STATEMENT_OPEN_DIRECT,
	STATEMENT_CREATE_GROUP,
	STATEMENT_EDIT_MESSAGE,
	STATEMENT_REDACT_MESSAGE,
	STATEMENT_CHANGE_REACTION,
	STATEMENT_UPDATE_GROUP,
	STATEMENT_ADD_MEMBERS,
	STATEMENT_REMOVE_MEMBER,
	STATEMENT_SET_ROLE,
	STATEMENT_MARK_RECEIPTS,
	STATEMENT_SET_MUTE,
	STATEMENT_STORE_NOTIFICATIONS,
	STATEMENT_ACK_NOTIFICATIONS,
	STATEMENT_SWEEP_NOTIFICATIONS,
	STATEMENT_TELL_WAITING,
	STATEMENT_FORGET_TOLD,
	STATEMENT_TAKE_OUTBOX,
	STATEMENT_FORGET_OUTBOX,
	WRITER_STATEMENTS
};

enum reader_statement {
	STATEMENT_FOLLOWS,
	STATEMENT_BLOCKED,
	STATEMENT_BLOCKS_OF,
	STATEMENT_VISIBLE,
	STATEMENT_MEMBERSHIPS,
	STATEMENT_LIST,
	STATEMENT_HISTORY_BEFORE,
	STATEMENT_HISTORY_AFTER,
	STATEMENT_LOG,
	STATEMENT_LEFT,
	STATEMENT_MEMBERS,
	STATEMENT_RECEIPTS,
	STATEMENT_HEADS,
	STATEMENT_MEMBERSHIP_VERSIONS,
	STATEMENT_LIST_NOTIFICATIONS,
	READER_STATEMENTS,
};

extern const struct statement writer_statements[WRITER_STATEMENTS];
extern const struct statement reader_statements[READER_STATEMENTS];

/* append.c */
struct appends *appends_create(struct store *store, const struct store_options *options);
void appends_flush(struct appends *appends);
/* Answers what waits with UNAVAILABLE, and from now on what is submitted, at the next call. What is on its
 * way is answered when the connection closes. */
void appends_stop(struct appends *appends);
void appends_destroy(struct appends *appends);

/* receipts.c, likewise. */
struct marks *marks_create(struct store *store, const struct store_options *options);
void marks_flush(struct marks *marks);
void marks_stop(struct marks *marks);
void marks_destroy(struct marks *marks);

/* notifications.c, likewise. */
struct orders *orders_create(struct store *store, const struct store_options *options);
void orders_flush(struct orders *orders);
void orders_stop(struct orders *orders);
void orders_destroy(struct orders *orders);

#endif
