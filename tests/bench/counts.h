/* counts - what the servers themselves count: statements that PostgreSQL ran, publishes that Mosquitto got.
 *
 * Both are asked before and after what is measured, not during it. Mosquitto tells its counter once a second,
 * so whoever asks waits a little longer than that before.
 */
#ifndef MARTLET_BENCH_COUNTS_H
#define MARTLET_BENCH_COUNTS_H

#include <stdint.h>

#define COUNTS_WAIT_NS 1200000000u

struct counts {
	uint64_t statements; /* of clients, not those inside functions; sweeps and all */
	uint64_t publishes;
};

/* From the environment: BENCH_POSTGRESQL, libpq's connection string to a database with pg_stat_statements;
 * BENCH_MOSQUITTO_PORT and BENCH_MOSQUITTO_PASSWORD, for the user bridge. */
void counts_open(void);

struct counts counts_read(void);

/* Begins anew with the statements; then tells those that cost most. */
void counts_forget_statements(void);
void counts_tell_statements(void);

#endif
