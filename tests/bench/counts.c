#include "bench/counts.h"

#include <errno.h>
#include <libpq-fe.h>
#include <mosquitto.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PUBLISHES "$SYS/broker/publish/messages/received"
#define KEEPALIVE_S 60
#define TURN_MS 100
#define TURNS_MOST 100

static PGconn *pg;

static _Noreturn void die(const char *what, const char *which)
{
	fprintf(stderr, "%s %s\n", what, which);
	exit(1);
}

static const char *setting(const char *name)
{
	const char *value = getenv(name);

	if (!value)
		die("not set:", name);
	return value;
}

static PGresult *ask(const char *question)
{
	PGresult *result = PQexec(pg, question);

	if (PQresultStatus(result) != PGRES_TUPLES_OK && PQresultStatus(result) != PGRES_COMMAND_OK)
		die("PostgreSQL:", PQerrorMessage(pg));
	return result;
}

void counts_open(void)
{
	pg = PQconnectdb(setting("BENCH_POSTGRESQL"));
	if (PQstatus(pg) != CONNECTION_OK)
		die("PostgreSQL:", PQerrorMessage(pg));
	PQclear(ask("create extension if not exists pg_stat_statements"));
	mosquitto_lib_init();
}

static uint64_t read_statements(void)
{
	PGresult *result = ask("select coalesce(sum(calls), 0)::bigint from pg_stat_statements "
	                       "where toplevel and query ~ 'martlet\\.'");
	uint64_t count = strtoull(PQgetvalue(result, 0, 0), NULL, 10);

	PQclear(result);
	return count;
}

static void on_message(struct mosquitto *mosquitto, void *context,
                       const struct mosquitto_message *message)
{
	char **text = context;

	(void)mosquitto;
	free(*text);
	*text = strndup(message->payload, (size_t)message->payloadlen);
}

/* mosquitto_loop waits by select(), which knows no socket beyond 1,023; and libmosquitto judges what it read by
 * errno as it finds it. */
static void turn(struct mosquitto *mosquitto)
{
	struct pollfd socket = {.fd = mosquitto_socket(mosquitto), .events = POLLIN};

	if (poll(&socket, 1, TURN_MS) > 0) {
		errno = 0;
		mosquitto_loop_read(mosquitto, 1);
	}
	errno = 0;
	mosquitto_loop_write(mosquitto, 1);
}

/* The topic is retained: who subscribes has the number at once. */
static uint64_t read_publishes(void)
{
	char *text = NULL;
	struct mosquitto *mosquitto = mosquitto_new(NULL, true, &text);
	uint64_t count;

	mosquitto_username_pw_set(mosquitto, "bridge", setting("BENCH_MOSQUITTO_PASSWORD"));
	mosquitto_message_callback_set(mosquitto, on_message);
	if (mosquitto_connect(mosquitto, "127.0.0.1", atoi(setting("BENCH_MOSQUITTO_PORT")),
	                      KEEPALIVE_S) != MOSQ_ERR_SUCCESS ||
	    mosquitto_subscribe(mosquitto, NULL, PUBLISHES, 0) != MOSQ_ERR_SUCCESS)
		die("Mosquitto is away, port", setting("BENCH_MOSQUITTO_PORT"));
	for (int i = 0; i < TURNS_MOST && !text; i++)
		turn(mosquitto);
	if (!text)
		die("Mosquitto does not tell", PUBLISHES);
	count = strtoull(text, NULL, 10);
	mosquitto_disconnect(mosquitto);
	mosquitto_destroy(mosquitto);
	free(text);
	return count;
}

struct counts counts_read(void)
{
	return (struct counts){.statements = read_statements(), .publishes = read_publishes()};
}

void counts_forget_statements(void)
{
	PQclear(ask("select pg_stat_statements_reset()"));
}

void counts_tell_statements(void)
{
	PGresult *result = ask(
		"select calls, round(total_exec_time::numeric, 1), "
		"round((total_exec_time * 1000 / calls)::numeric, 1), "
		"left(regexp_replace(query, '\\s+', ' ', 'g'), 70) from pg_stat_statements "
		"where toplevel and query ~ 'martlet\\.' order by total_exec_time desc limit 8");

	printf("  %10s %12s %10s  statement\n", "calls", "ms in all", "us a call");
	for (int i = 0; i < PQntuples(result); i++)
		printf("  %10s %12s %10s  %s\n", PQgetvalue(result, i, 0), PQgetvalue(result, i, 1),
		       PQgetvalue(result, i, 2), PQgetvalue(result, i, 3));
	PQclear(result);
}
