/* support - a real database and a loop for the tests of the store.
 *
 * MARTLET_TEST_DATABASE is a libpq connection string (keywords and values) to a server where its user may
 * make databases; each test program makes one of its own and drops it in the end. Tests run in the
 * project's folder.
 */
#ifndef MARTLET_TESTS_STORE_SUPPORT_H
#define MARTLET_TESTS_STORE_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "store/append.h"
#include "store/query.h"
#include "store/store.h"

#include <libpq-fe.h>
#include <stdbool.h>

#define AWAIT_MS 20000
#define STORES_MOST 2

/* For cmocka_run_group_tests: the program's database, migrated; and the same one empty. */
int database_setup(void **state);
int database_setup_empty(void **state);
int database_teardown(void **state);

/* Its connection string. */
const char *database_connection(void);

/* A session of its own that waits for each answer. */
PGconn *sql_open(void);
/* The same on the server's own database. */
PGconn *sql_open_server(void);
void sql_run(PGconn *sql, const char *format, ...) __attribute__((format(printf, 2, 3)));
int64_t sql_number(PGconn *sql, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A loop with stores on it, and an SQL session beside. */
struct stage {
	uv_loop_t loop;
	uv_timer_t tick;
	struct store *stores[STORES_MOST];
	struct store *store; /* the first */
	PGconn *sql;
	uint32_t open_stores;
};

/* With one store that is ready, and this much time for an answer. */
void stage_open(struct stage *stage, uint32_t wait_ms);
void stage_close(struct stage *stage);

/* Adds a store; the options' loop is the stage's. */
struct store *stage_add_store(struct stage *stage, const struct store_options *options);
struct store_options stage_options(uint32_t wait_ms);

/* Closes this store and turns the loop until it is gone. */
void stage_close_store(struct stage *stage, struct store *store);

/* One turn of the loop; at most some milliseconds long. */
void stage_turn(struct stage *stage);
uint64_t clock_ms(void);

/* Turns the loop until the condition holds. */
#define await(stage, condition)                                                                    \
	do {                                                                                       \
		uint64_t deadline_ = clock_ms() + AWAIT_MS;                                        \
		while (!(condition)) {                                                             \
			if (clock_ms() > deadline_)                                                \
				fail_msg("waited in vain for %s", #condition);                     \
			stage_turn(stage);                                                         \
		}                                                                                  \
	} while (0)

struct user_id user(const char *name);
struct uuid new_uuid(void);

/* A send and what came of it. */
struct sending {
	struct append_item item;
	struct append_answer answer;
	int answers;
};

/* A message of `body` with a new identity. */
void compose(struct sending *sending, const struct uuid *conversation, const char *sender,
             const char *body);
/* Submits it, for the first time or again; the answers start from none. */
void submit(struct store *store, struct sending *sending);
/* Both. */
void send_message(struct store *store, struct sending *sending, const struct uuid *conversation,
                  const char *sender, const char *body);

/* How a conversation began; the answer's members are not kept. */
struct began {
	struct began_answer answer;
	int answers;
};

void begin_direct(struct store *store, struct began *began, const char *who, const char *peer);

/* Begins a group of these members (a list that ends with NULL) and waits for it. */
struct uuid make_group(struct stage *stage, const char *owner, const char *const members[]);

/* Sends so many messages, "1", "2" and so on, and waits for them. */
void fill_conversation(struct stage *stage, const struct uuid *conversation, const char *sender,
                       int count);

/* How many conversations have a hole in their log, or a last_seq that is not its end. */
int64_t broken_logs(PGconn *sql);

#endif
