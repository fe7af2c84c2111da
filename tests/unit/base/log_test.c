/* What is written to standard error, read back. */
#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define LONGEST 2048

static FILE *capture;
static int standard_error;
static char line[2 * LONGEST];

static int begin(void **state)
{
	(void)state;
	capture = tmpfile();
	standard_error = dup(STDERR_FILENO);
	log_set_level(LOG_DEBUG);
	log_set_format(LOG_LOGFMT);
	log_set_node(NULL);
	return capture && dup2(fileno(capture), STDERR_FILENO) >= 0 ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	dup2(standard_error, STDERR_FILENO);
	close(standard_error);
	return fclose(capture);
}

/* All that was written since the last call, without the first field, the time. */
static const char *written(void)
{
	size_t size;
	char *from;

	rewind(capture);
	size = fread(line, 1, sizeof(line) - 1, capture);
	line[size] = '\0';
	assert_int_equal(ftruncate(fileno(capture), 0), 0);
	assert_int_equal(lseek(fileno(capture), 0, SEEK_SET), 0);
	from = strchr(line, ' ');
	return from ? from + 1 : line;
}

/* One flat JSON object and a newline, as log writes them: names, strings and whole numbers. */
static const char *skip_string(const char *at)
{
	assert_int_equal(*at++, '"');
	while (*at != '"') {
		assert_true((unsigned char)*at >= 0x20);
		if (*at++ != '\\')
			continue;
		assert_non_null(strchr("\"\\u", *at));
		if (*at++ == 'u') {
			assert_int_equal(strspn(at, "0123456789abcdef") >= 4, 1);
			at += 4;
		}
	}
	return at + 1;
}

static const char *skip_value(const char *at)
{
	if (*at == '"')
		return skip_string(at);
	at += *at == '-';
	assert_in_range(*at, '0', '9');
	return at + strspn(at, "0123456789");
}

static void assert_json(const char *text)
{
	const char *at = text;

	assert_int_equal(*at++, '{');
	for (;;) {
		at = skip_string(at);
		assert_int_equal(*at++, ':');
		at = skip_value(at);
		if (*at != ',')
			break;
		at++;
	}
	assert_string_equal(at, "}\n");
}

static const char *written_json(void)
{
	written();
	assert_json(line);
	return line;
}

static void line_has_the_fields_in_order(void **state)
{
	(void)state;
	log_info("session closed", log_text("user", "alice"), log_number("code", 4008));
	assert_string_equal(written(), "level=info msg=\"session closed\" user=alice code=4008\n");
	log_set_node("n1");
	log_error("away");
	assert_string_equal(written(), "level=error node=n1 msg=away\n");
	log_warning("x", log_text("nothing", NULL), log_number("least", INT64_MIN));
	assert_string_equal(
		written(), "level=warning node=n1 msg=x nothing=\"\" least=-9223372036854775808\n");
}

static void json_line_has_the_same(void **state)
{
	(void)state;
	log_set_format(LOG_JSON);
	log_set_node("n1");
	log_info("a b", log_text("user", "alice"), log_number("code", -1));
	assert_non_null(strstr(written_json(), "\"level\":\"info\",\"node\":\"n1\",\"msg\":\"a b\","
	                                       "\"user\":\"alice\",\"code\":-1}\n"));
	assert_int_equal(strncmp(line, "{\"time\":\"20", 11), 0);
}

static void level_below_the_threshold_is_not_written(void **state)
{
	enum log_level level = LOG_DEBUG;

	(void)state;
	log_set_level(LOG_WARNING);
	log_info("quiet");
	assert_string_equal(written(), "");
	log_warning("loud");
	assert_string_not_equal(written(), "");
	assert_true(log_level_from_text("error", &level));
	assert_int_equal(level, LOG_ERROR);
	assert_false(log_level_from_text("Error", &level));
	assert_false(log_level_from_text("", &level));
	assert_int_equal(level, LOG_ERROR);
}

/* The same escapes in both formats; what has none stands plain in logfmt. */
static const struct {
	const char *text;
	const char *quoted;
} texts[] = {
	{"a b", "\"a b\""},
	{"", "\"\""},
	{"a=b", "\"a=b\""},
	{"say \"hi\"", "\"say \\\"hi\\\"\""},
	{"back\\slash", "\"back\\\\slash\""},
	{"two\nlines\r\n", "\"two\\u000alines\\u000d\\u000a\""},
	{"\x1b[31m\x07\t\x7f", "\"\\u001b[31m\\u0007\\u0009\\u007f\""},
	{"user=bob level=error", "\"user=bob level=error\""},
	/* C1 controls, which terminals obey too. */
	{"\xc2\x9b[31m\xc2\x80\xc2\xa0", "\"\\u009b[31m\\u0080\xc2\xa0\""},
	{"\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\xa6", "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\xa6\""},
	/* No UTF-8: lone, overlong, surrogate, too high, cut. */
	{"\xff", "\"\\ufffd\""},
	{"\x80z", "\"\\ufffdz\""},
	{"\xc0\xaf", "\"\\ufffd\\ufffd\""},
	{"\xe0\x80\xaf", "\"\\ufffd\\ufffd\\ufffd\""},
	{"\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\""},
	{"\xf0\x80\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\""},
	{"\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\""},
	{"\xc3", "\"\\ufffd\""},
	{"\xe2\x82", "\"\\ufffd\\ufffd\""},
	{"\xf0\x9f\x90\"", "\"\\ufffd\\ufffd\\ufffd\\\"\""},
};

static void hostile_text_stays_inside_its_quotes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		char expected[256];

		log_set_format(LOG_LOGFMT);
		snprintf(expected, sizeof(expected), "level=info msg=m t=%s n=1\n",
		         texts[i].quoted);
		log_info("m", log_text("t", texts[i].text), log_number("n", 1));
		assert_string_equal(written(), expected);
		log_set_format(LOG_JSON);
		snprintf(expected, sizeof(expected), ",\"t\":%s,\"n\":1}\n", texts[i].quoted);
		log_info("m", log_text("t", texts[i].text), log_number("n", 1));
		assert_non_null(strstr(written_json(), expected));
	}
}

/* Every length around the line's end, of pieces of every size: nothing is cut in its middle. */
static void long_text_is_cut_and_the_line_stays_whole(void **state)
{
	static const char *const pieces[] = {"x",   "\x01", "\"", "\xc3\xa9", "\xf0\x9f\x90\xa6",
	                                     "\xff"};
	static char text[4 * LONGEST];

	(void)state;
	log_set_format(LOG_JSON);
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		const size_t size = strlen(pieces[i]);

		for (size_t count = 280; count<2000; count += count> 320 && count < 1900 ? 50 : 1) {
			for (size_t at = 0; at < count; at++)
				memcpy(text + at * size, pieces[i], size);
			text[count * size] = '\0';
			log_info("m", log_text("t", text), log_number("code", 123456789));
			written_json();
			assert_true(strlen(line) <= LONGEST);
			/* The number whole or not at all. */
			assert_true(!strstr(line, "\"code\"") ||
			            strstr(line, "\"code\":123456789}\n"));
			/* The text whole or marked as cut; what is escaped is not compared. */
			if (pieces[i][0] == 'x' || size > 1)
				assert_true(strstr(line, "...\"") || strstr(line, text));
		}
	}
}

static void long_text_is_cut_in_logfmt_too(void **state)
{
	static char text[3 * LONGEST];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	log_info("m", log_text("a", text), log_text("b", text));
	written();
	assert_true(strlen(line) <= LONGEST);
	assert_string_equal(line + strlen(line) - 6, "x...\"\n");
	assert_null(strstr(line, " b="));
}

static void repeated_cause_is_counted_and_told_once(void **state)
{
	struct log_limit limit = {0};
	size_t lines = 0;

	(void)state;
	for (int i = 0; i < 1000; i++)
		LOG_CALL(LOG_INFO, &limit, "again", {0});
	for (const char *at = written() ? line : NULL; (at = strchr(at, '\n')); at++)
		lines++;
	assert_in_range(lines, 1, 100);
	assert_int_equal(lines + limit.suppressed, 1000);
	/* As if the time had passed. */
	limit.window_start_ms = 1;
	LOG_CALL(LOG_INFO, &limit, "again", {0});
	assert_non_null(strstr(written(), " suppressed=9"));
	LOG_CALL(LOG_INFO, &limit, "again", {0});
	assert_null(strstr(written(), "suppressed"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(line_has_the_fields_in_order, begin, end),
		cmocka_unit_test_setup_teardown(json_line_has_the_same, begin, end),
		cmocka_unit_test_setup_teardown(level_below_the_threshold_is_not_written, begin,
	                                        end),
		cmocka_unit_test_setup_teardown(hostile_text_stays_inside_its_quotes, begin, end),
		cmocka_unit_test_setup_teardown(long_text_is_cut_and_the_line_stays_whole, begin,
	                                        end),
		cmocka_unit_test_setup_teardown(long_text_is_cut_in_logfmt_too, begin, end),
		cmocka_unit_test_setup_teardown(repeated_cause_is_counted_and_told_once, begin,
	                                        end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
