#include "model/outcome.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void outcome_has_what_it_was_made_of(void **state)
{
	struct outcome ok = outcome_ok();
	struct outcome refused = outcome_refuse(OUTCOME_NOT_FOUND, "no %s here", "cat");
	struct outcome invalid = outcome_invalid("title", "at most %d bytes", 128);
	struct outcome retry = outcome_retry(OUTCOME_UNAVAILABLE, 250, "%d wait", 7);

	(void)state;
	assert_true(outcome_is_ok(&ok));
	assert_string_equal(ok.text, "");

	assert_false(outcome_is_ok(&refused));
	assert_int_equal(refused.code, OUTCOME_NOT_FOUND);
	assert_string_equal(refused.text, "no cat here");
	assert_string_equal(refused.field, "");
	assert_int_equal(refused.retry_after_ms, 0);

	assert_int_equal(invalid.code, OUTCOME_INVALID_ARGUMENT);
	assert_string_equal(invalid.field, "title");
	assert_string_equal(invalid.text, "at most 128 bytes");

	assert_int_equal(retry.code, OUTCOME_UNAVAILABLE);
	assert_int_equal(retry.retry_after_ms, 250);
	assert_string_equal(retry.text, "7 wait");
}

static void long_texts_are_cut_and_closed(void **state)
{
	char long_text[1000];
	struct outcome outcome;

	(void)state;
	memset(long_text, 'x', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	outcome = outcome_invalid(long_text, "%s", long_text);
	assert_int_equal(strlen(outcome.field), sizeof(outcome.field) - 1);
	assert_int_equal(strlen(outcome.text), sizeof(outcome.text) - 1);
	outcome = outcome_refuse(OUTCOME_INTERNAL, "%s", long_text);
	assert_int_equal(strlen(outcome.text), sizeof(outcome.text) - 1);
	outcome = outcome_retry(OUTCOME_UNAVAILABLE, 1, "%s", long_text);
	assert_int_equal(strlen(outcome.text), sizeof(outcome.text) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(outcome_has_what_it_was_made_of),
		cmocka_unit_test(long_texts_are_cut_and_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
