#include "store/migrate.h"

#include "base/buffer.h"
#include "base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <libpq-fe.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_BYTES (4u * 1024 * 1024)
#define NAME_BYTES 512
#define PATH_BYTES 4096

/* A run that meets another one waits for it, and asks again and again: one that lay in wait for the lock
 * would be a transaction that `create index concurrently` waits for in its turn. The number is any that
 * nobody else uses. */
#define LOCK_TRIES 600
#define LOCK "select pg_sleep(case when $1 then 0 else 0.1 end), pg_try_advisory_lock(5211740213)"

/* Who holds a table for longer is stuck: rather fail than make everybody wait behind us. */
#define SETTINGS "set lock_timeout = '60s'"

/* A file that begins with this line runs outside of a transaction, for `create index concurrently`; it has
 * one statement, which can be repeated. */
#define NO_TRANSACTION "-- martlet: no transaction\n"

#define BOOTSTRAP                                                                                     \
	"create schema if not exists martlet;"                                                        \
	"create table if not exists martlet.migrations ("                                             \
	"file text not null, checksum text not null, applied_at timestamptz not null default now(), " \
	"constraint migrations_pkey primary key (file));"

struct run {
	PGconn *pg;
	const char *folder;
	void (*on_applied)(const char *file);
};

static struct outcome failed(const char *what, const char *why)
{
	size_t size = strcspn(why, "\n");

	return outcome_refuse(OUTCOME_FAILED_PRECONDITION, "%s: %.*s", what, (int)size, why);
}

static struct outcome execute(struct run *run, const char *file, const char *sql)
{
	PGresult *result = PQexec(run->pg, sql);
	ExecStatusType status = PQresultStatus(result);
	struct outcome outcome = outcome_ok();

	if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
		outcome = failed(file, PQresultErrorMessage(result));
	PQclear(result);
	return outcome;
}

static bool read_file(const char *path, struct buffer *buffer)
{
	char block[8192];
	size_t size;
	FILE *file = fopen(path, "re");
	bool is_good = file != NULL;

	while (is_good && (size = fread(block, 1, sizeof(block), file)) > 0)
		is_good = buffer_append(buffer, block, size);
	is_good = is_good && !ferror(file) && buffer_append(buffer, "", 1);
	if (file)
		fclose(file);
	return is_good;
}

/* The checksum noted for a file, or of a text: PostgreSQL computes it, so that none is needed here. */
static struct outcome compare(struct run *run, const char *file, const char *sql,
                              bool *ret_is_known, bool *ret_is_same)
{
	const char *const values[] = {file, sql};
	PGresult *result =
		PQexecParams(run->pg,
	                     "select checksum = encode(sha256(convert_to($2, 'UTF8')), 'hex') "
	                     "from martlet.migrations where file = $1",
	                     2, NULL, values, NULL, NULL, 0);
	struct outcome outcome = outcome_ok();

	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		outcome = failed(file, PQresultErrorMessage(result));
	*ret_is_known = PQntuples(result) == 1;
	*ret_is_same = *ret_is_known && PQgetvalue(result, 0, 0)[0] == 't';
	PQclear(result);
	return outcome;
}

static struct outcome note(struct run *run, const char *file, const char *sql)
{
	const char *const values[] = {file, sql};
	PGresult *result = PQexecParams(
		run->pg,
		"insert into martlet.migrations (file, checksum) "
		"values ($1, encode(sha256(convert_to($2, 'UTF8')), 'hex')) "
		"on conflict (file) do update set checksum = excluded.checksum, applied_at = now()",
		2, NULL, values, NULL, NULL, 0);
	struct outcome outcome = outcome_ok();

	if (PQresultStatus(result) != PGRES_COMMAND_OK)
		outcome = failed(file, PQresultErrorMessage(result));
	PQclear(result);
	return outcome;
}

static struct outcome execute_and_note(struct run *run, const char *file, const char *sql)
{
	struct outcome outcome = execute(run, file, sql);

	if (outcome_is_ok(&outcome))
		outcome = note(run, file, sql);
	return outcome;
}

static struct outcome execute_in_transaction(struct run *run, const char *file, const char *sql)
{
	struct outcome outcome = execute(run, file, "begin");

	if (outcome_is_ok(&outcome))
		outcome = execute_and_note(run, file, sql);
	if (outcome_is_ok(&outcome))
		outcome = execute(run, file, "commit");
	if (!outcome_is_ok(&outcome))
		PQclear(PQexec(run->pg, "rollback"));
	return outcome;
}

static struct outcome apply(struct run *run, const char *file, const char *sql)
{
	bool is_alone = strncmp(sql, NO_TRANSACTION, strlen(NO_TRANSACTION)) == 0;
	struct outcome outcome = is_alone ? execute_and_note(run, file, sql)
	                                  : execute_in_transaction(run, file, sql);

	if (outcome_is_ok(&outcome))
		run->on_applied(file);
	return outcome;
}

/* A table's file is applied once and must not change; a function's is applied whenever it has changed. */
static struct outcome migrate_file(struct run *run, const char *file, bool is_function)
{
	char path[PATH_BYTES];
	struct outcome outcome;
	struct buffer sql;
	bool is_known;
	bool is_same;

	buffer_init(&sql, FILE_BYTES);
	if ((size_t)snprintf(path, sizeof(path), "%s/%s", run->folder, file) >= sizeof(path) ||
	    !read_file(path, &sql)) {
		buffer_done(&sql);
		return outcome_refuse(OUTCOME_NOT_FOUND, "%s cannot be read: %s", path,
		                      strerror(errno));
	}
	outcome = compare(run, file, (const char *)sql.bytes, &is_known, &is_same);
	if (outcome_is_ok(&outcome) && is_known && !is_same && !is_function)
		outcome =
			outcome_refuse(OUTCOME_FAILED_PRECONDITION,
		                       "%s has changed since it was applied; put it back, and make "
		                       "the change in a new file",
		                       file);
	else if (outcome_is_ok(&outcome) && !is_same)
		outcome = apply(run, file, (const char *)sql.bytes);
	buffer_done(&sql);
	return outcome;
}

static int is_sql(const struct dirent *entry)
{
	size_t size = strlen(entry->d_name);

	return size > 4 && entry->d_name[0] != '.' && strcmp(entry->d_name + size - 4, ".sql") == 0;
}

static struct outcome migrate_folder(struct run *run, const char *subfolder)
{
	char path[PATH_BYTES];
	char file[NAME_BYTES];
	struct dirent **entries;
	struct outcome outcome = outcome_ok();
	int count;

	snprintf(path, sizeof(path), "%s/%s", run->folder, subfolder);
	count = scandir(path, &entries, is_sql, alphasort);
	if (count < 0)
		return outcome_refuse(OUTCOME_NOT_FOUND, "%s cannot be read: %s", path,
		                      strerror(errno));
	for (int i = 0; i < count; i++) {
		snprintf(file, sizeof(file), "%s%s", subfolder, entries[i]->d_name);
		if (outcome_is_ok(&outcome))
			outcome = migrate_file(run, file, subfolder[0] != '\0');
		free(entries[i]);
	}
	free(entries);
	return outcome;
}

static struct outcome lock(struct run *run)
{
	for (int i = 0; i < LOCK_TRIES; i++) {
		const char *const is_first = i ? "false" : "true";
		PGresult *result = PQexecParams(run->pg, LOCK, 1, NULL, &is_first, NULL, NULL, 0);
		bool is_good = PQresultStatus(result) == PGRES_TUPLES_OK;
		bool is_locked = is_good && PQgetvalue(result, 0, 1)[0] == 't';
		struct outcome outcome =
			is_good ? outcome_ok() : failed("lock", PQresultErrorMessage(result));

		PQclear(result);
		if (!is_good || is_locked)
			return outcome;
	}
	return failed("lock", "another migration has been running for a minute");
}

static struct outcome migrate(struct run *run)
{
	struct outcome outcome = execute(run, "settings", SETTINGS);

	if (outcome_is_ok(&outcome))
		outcome = lock(run);
	if (outcome_is_ok(&outcome))
		outcome = execute(run, "bootstrap", BOOTSTRAP);
	if (outcome_is_ok(&outcome))
		outcome = migrate_folder(run, "");
	if (outcome_is_ok(&outcome))
		outcome = migrate_folder(run, "functions/");
	return outcome;
}

static void ignore_notice(void *context, const char *message)
{
	(void)context;
	(void)message;
}

struct outcome migrate_run(const char *connection, const char *folder,
                           void (*on_applied)(const char *file))
{
	/* What stands behind wins: a timeout in the given string does. */
	const char *const names[] = {"connect_timeout", "application_name", "dbname", NULL};
	const char *const values[] = {"10", "martlet-migrate", connection, NULL};
	struct run run = {.folder = folder, .on_applied = on_applied};
	struct outcome outcome;

	run.pg = PQconnectdbParams(names, values, 1);
	if (PQstatus(run.pg) == CONNECTION_OK) {
		PQsetNoticeProcessor(run.pg, ignore_notice, NULL);
		outcome = migrate(&run);
	} else {
		outcome = failed("database", PQerrorMessage(run.pg));
	}
	PQfinish(run.pg);
	return outcome;
}
