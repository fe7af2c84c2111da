/* Counters, and the line that tells of them. */
#include "base/counters.h"

#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define LINE_BYTES 4096

static FILE *capture;
static int standard_error;
static char line[LINE_BYTES];

static int begin(void **state)
{
	(void)state;
	capture = tmpfile();
	standard_error = dup(STDERR_FILENO);
	return capture && dup2(fileno(capture), STDERR_FILENO) >= 0 ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	dup2(standard_error, STDERR_FILENO);
	close(standard_error);
	return fclose(capture);
}

static const char *logged(void)
{
	size_t size;

	assert_int_equal(ftruncate(fileno(capture), 0), 0);
	assert_int_equal(lseek(fileno(capture), 0, SEEK_SET), 0);
	counters_log("refused");
	rewind(capture);
	size = fread(line, 1, sizeof(line) - 1, capture);
	line[size] = '\0';
	return line;
}

static void every_counter_has_a_name_of_its_own(void **state)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_";

	(void)state;
	for (size_t i = 0; i < COUNTERS; i++) {
		const struct counter_name *name = counters_name((enum counter)i);

		if (!name->family || !name->cause)
			fail_msg("counter %zu has no name", i);
		assert_true(*name->cause && !name->cause[strspn(name->cause, letters)]);
		assert_true(*name->family && !name->family[strspn(name->family, letters)]);
		for (size_t j = 0; j < i; j++) {
			const struct counter_name *other = counters_name((enum counter)j);

			assert_true(strcmp(name->family, other->family) != 0 ||
			            strcmp(name->cause, other->cause) != 0);
		}
	}
}

static void counting_is_told_once(void **state)
{
	(void)state;
	assert_string_equal(logged(), "");
	counters_add(COUNTER_UPGRADE_ORIGIN);
	counters_add(COUNTER_CLOSE_4008);
	counters_add(COUNTER_UPGRADE_ORIGIN);
	assert_non_null(strstr(logged(), "msg=refused upgrade_origin=2 close_4008=1\n"));
	assert_string_equal(logged(), "");
	counters_add(COUNTER_CLOSE_4008);
	assert_non_null(strstr(logged(), "msg=refused close_4008=1\n"));
	/* The values themselves only rise. */
	assert_int_equal(counters_get(COUNTER_CLOSE_4008), 2);
	assert_int_equal(counters_get(COUNTER_UPGRADE_ORIGIN), 2);
}

/* The log cuts what is longer than its line. */
static void all_counters_fit_one_line(void **state)
{
	const char *text;

	(void)state;
	for (int times = 0; times < 9999; times++) {
		for (size_t i = 0; i < COUNTERS; i++)
			counters_add((enum counter)i);
	}
	text = logged();
	for (size_t i = 0; i < COUNTERS; i++) {
		const struct counter_name *name = counters_name((enum counter)i);
		char field[64];

		snprintf(field, sizeof(field), " %s_%s=9999", name->family, name->cause);
		if (!strstr(text, field))
			fail_msg("%s is not in the line", field);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_counter_has_a_name_of_its_own),
		cmocka_unit_test_setup_teardown(counting_is_told_once, begin, end),
		cmocka_unit_test_setup_teardown(all_counters_fit_one_line, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
