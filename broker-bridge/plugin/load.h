/* load - reads all memberships from PostgreSQL, in steps that never wait.
 *
 * A pass is a list of pages, each a statement of its own, in order of conversation and user; a step of load_turn
 * sends one, or takes what has come. What commits between two pages is told by events (see memberships.h).
 *
 *              asked for, or its time has come                    the last page
 *  [ RESTING ] ------------------------------> [ CONNECTING ] -> [ READING ] --.
 *     ^   ^                                          |   failed, or too slow   |
 *     |   '------- again after a backoff ------------'-------------------------|
 *     '--------------------------- again after `interval_ms` ------------------'
 *
 * Owns:     its connection, which it closes between passes.
 * Lifetime: load_create to load_destroy.
 * Threads:  the broker's one thread. No call blocks, but for the lookup of a host that is given by its name.
 * Fails:    by on_trouble with a sentence; it tries again by itself.
 */
#ifndef MARTLET_PLUGIN_LOAD_H
#define MARTLET_PLUGIN_LOAD_H

#include "plugin/memberships.h"

#include <stdint.h>

struct load;

struct load_options {
	const char *connection; /* libpq's; copied */
	uint64_t interval_ms;   /* between passes */
	uint32_t page_rows;
};

struct load_needs {
	void *context;
	void (*on_trouble)(void *context, const char *sentence);
	/* A pass has ended. */
	void (*on_loaded)(void *context);
};

/* The first pass begins with the first turn. The memberships are borrowed for its life. */
struct load *load_create(const struct load_options *options, const struct load_needs *needs,
                         struct memberships *memberships);

/* NULL is allowed. */
void load_destroy(struct load *load);

/* Does what can be done at the time `now_ms`, of a clock that never goes back. */
void load_turn(struct load *load, uint64_t now_ms);

/* News may have been lost: another pass begins soon, after the one under way. */
void load_ask(struct load *load);

/* A descriptor and poll's events to wait for before the next turn; -1 if there is nothing to wait for but time. */
int load_descriptor(const struct load *load, short *ret_events);

/* No pass is under way: it has ended, or failed and waits. */
bool load_is_resting(const struct load *load);

#endif
