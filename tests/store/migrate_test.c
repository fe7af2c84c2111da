#include "store/migrate.h"

#include "store/support.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATH_BYTES 256

/* A folder of migrations, and a database without any. */
struct fixture {
	char folder[64];
	PGconn *sql;
};

static char applied[1024];

static void on_applied(const char *file)
{
	size_t size = strlen(applied);

	snprintf(applied + size, sizeof(applied) - size, "%s ", file);
}

static struct outcome run(const struct fixture *fixture)
{
	applied[0] = '\0';
	return migrate_run(database_connection(), fixture->folder, on_applied);
}

static void write_file(const struct fixture *fixture, const char *name, const char *sql)
{
	char path[PATH_BYTES];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", fixture->folder, name);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(sql, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static int fixture_setup(void **state)
{
	struct fixture *fixture = test_calloc(1, sizeof(*fixture));
	char path[PATH_BYTES];

	snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/martlet-migrate-XXXXXX");
	assert_non_null(mkdtemp(fixture->folder));
	snprintf(path, sizeof(path), "%s/functions", fixture->folder);
	assert_int_equal(mkdir(path, 0700), 0);
	fixture->sql = sql_open();
	sql_run(fixture->sql, "set client_min_messages = error");
	sql_run(fixture->sql, "drop schema if exists martlet cascade");
	write_file(fixture, "0001_first.sql", "create table martlet.first (id integer);\n");
	write_file(fixture, "0002_second.sql", "create table martlet.second (id integer);\n");
	write_file(fixture, "functions/one.sql",
	           "create or replace function martlet.one() returns integer "
	           "language sql immutable as 'select 1';\n");
	*state = fixture;
	return 0;
}

static int fixture_teardown(void **state)
{
	static const char *const names[] = {"0001_first.sql", "0002_second.sql",
	                                    "0003_third.sql", "functions/one.sql",
	                                    "functions",      ""};
	struct fixture *fixture = *state;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char path[PATH_BYTES];

		snprintf(path, sizeof(path), "%s/%s", fixture->folder, names[i]);
		(void)remove(path);
	}
	PQfinish(fixture->sql);
	test_free(fixture);
	return 0;
}

static void assert_ok(struct outcome outcome)
{
	if (!outcome_is_ok(&outcome))
		fail_msg("%s", outcome.text);
}

static void migrate_from_nothing_applies_all_in_order_once(void **state)
{
	const struct fixture *fixture = *state;

	assert_ok(run(fixture));
	assert_string_equal(applied, "0001_first.sql 0002_second.sql functions/one.sql ");
	assert_int_equal(sql_number(fixture->sql, "select martlet.one()"), 1);
	assert_ok(run(fixture));
	assert_string_equal(applied, "");
	write_file(fixture, "0003_third.sql", "create table martlet.third (id integer);\n");
	assert_ok(run(fixture));
	assert_string_equal(applied, "0003_third.sql ");
}

static void migrate_the_schema_of_this_release_twice(void **state)
{
	const struct fixture *fixture = *state;

	applied[0] = '\0';
	assert_ok(migrate_run(database_connection(), "schema", on_applied));
	assert_non_null(strstr(applied, "functions/append.sql"));
	applied[0] = '\0';
	assert_ok(migrate_run(database_connection(), "schema", on_applied));
	assert_string_equal(applied, "");
	assert_int_equal(sql_number(fixture->sql, "select count(*) from martlet.conversations"), 0);
}

static void migrate_refuses_a_changed_table_and_names_its_file(void **state)
{
	const struct fixture *fixture = *state;
	struct outcome outcome;

	assert_ok(run(fixture));
	write_file(fixture, "0001_first.sql", "create table martlet.first (id bigint);\n");
	write_file(fixture, "0003_third.sql", "create table martlet.third (id integer);\n");
	outcome = run(fixture);
	assert_int_equal(outcome.code, OUTCOME_FAILED_PRECONDITION);
	assert_non_null(strstr(outcome.text, "0001_first.sql"));
	assert_string_equal(applied, "");
}

static void migrate_makes_a_changed_function_again(void **state)
{
	const struct fixture *fixture = *state;

	assert_ok(run(fixture));
	write_file(fixture, "functions/one.sql",
	           "create or replace function martlet.one() returns integer "
	           "language sql immutable as 'select 11';\n");
	assert_ok(run(fixture));
	assert_string_equal(applied, "functions/one.sql ");
	assert_int_equal(sql_number(fixture->sql, "select martlet.one()"), 11);
}

static void migrate_that_fails_leaves_what_was_before(void **state)
{
	const struct fixture *fixture = *state;
	struct outcome outcome;

	write_file(fixture, "0002_second.sql",
	           "create table martlet.second (id integer);\nselect no_such_function();\n");
	outcome = run(fixture);
	assert_int_equal(outcome.code, OUTCOME_FAILED_PRECONDITION);
	assert_non_null(strstr(outcome.text, "0002_second.sql"));
	assert_string_equal(applied, "0001_first.sql ");
	assert_int_equal(
		sql_number(fixture->sql, "select count(*) from pg_class where relname = 'second'"),
		0);
	write_file(fixture, "0002_second.sql", "create table martlet.second (id integer);\n");
	assert_ok(run(fixture));
	assert_string_equal(applied, "0002_second.sql functions/one.sql ");
}

static void migrate_runs_a_marked_file_outside_of_a_transaction(void **state)
{
	static const char index[] =
		"create index concurrently first_id_idx on martlet.first (id);\n";
	const struct fixture *fixture = *state;
	char marked[256];

	write_file(fixture, "0003_third.sql", index);
	assert_int_equal(run(fixture).code, OUTCOME_FAILED_PRECONDITION);
	snprintf(marked, sizeof(marked), "-- martlet: no transaction\n%s", index);
	write_file(fixture, "0003_third.sql", marked);
	assert_ok(run(fixture));
	assert_string_equal(applied, "0003_third.sql functions/one.sql ");
}

static void ignore_applied(const char *file)
{
	(void)file;
}

/* With an index that is built concurrently, which waits for everybody who holds a snapshot. */
static void migrate_by_two_at_once_applies_once(void **state)
{
	enum { RUNS = 4 };
	const struct fixture *fixture = *state;
	pid_t children[RUNS];

	write_file(fixture, "0003_third.sql",
	           "-- martlet: no transaction\n"
	           "create index concurrently first_id_idx on martlet.first (id);\n");
	for (int i = 0; i < RUNS; i++) {
		children[i] = fork();
		assert_true(children[i] >= 0);
		if (!children[i]) {
			struct outcome outcome =
				migrate_run(database_connection(), fixture->folder, ignore_applied);

			if (!outcome_is_ok(&outcome))
				dprintf(STDERR_FILENO, "%s\n", outcome.text);
			_exit(outcome_is_ok(&outcome) ? 0 : 1);
		}
	}
	for (int i = 0; i < RUNS; i++) {
		int status;

		assert_int_equal(waitpid(children[i], &status, 0), children[i]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(sql_number(fixture->sql, "select count(*) from martlet.migrations"), 4);
}

static void migrate_tells_what_it_cannot_reach_or_read(void **state)
{
	struct outcome outcome;

	(void)state;
	outcome = migrate_run("host=127.0.0.1 port=1", "schema", ignore_applied);
	assert_int_equal(outcome.code, OUTCOME_FAILED_PRECONDITION);
	outcome = migrate_run(database_connection(), "no-such-folder", ignore_applied);
	assert_int_equal(outcome.code, OUTCOME_NOT_FOUND);
	assert_non_null(strstr(outcome.text, "no-such-folder"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(migrate_from_nothing_applies_all_in_order_once),
		TEST(migrate_the_schema_of_this_release_twice),
		TEST(migrate_refuses_a_changed_table_and_names_its_file),
		TEST(migrate_makes_a_changed_function_again),
		TEST(migrate_that_fails_leaves_what_was_before),
		TEST(migrate_runs_a_marked_file_outside_of_a_transaction),
		TEST(migrate_by_two_at_once_applies_once),
		TEST(migrate_tells_what_it_cannot_reach_or_read),
	};

	return cmocka_run_group_tests(tests, database_setup_empty, database_teardown);
}
