/* Configuration files as people write them, and what they are told. Runs in the project's folder, for
 * etc/martlet.conf. */
#include "app/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define SAMPLE "etc/martlet.conf"

static char folder[] = "/tmp/martlet-config.XXXXXX";
static char path[64];

static int make_folder(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/martlet.conf", folder);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(folder);
}

static void write_file(const char *text, size_t size)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
}

/* Loads the path; *ret_errors is to be freed. */
static struct config *load_path(const char *from, char **ret_errors)
{
	size_t size;
	FILE *errors = open_memstream(ret_errors, &size);
	struct config *config = config_load(from, errors);

	assert_int_equal(fclose(errors), 0);
	return config;
}

static struct config *load(const char *text, char **ret_errors)
{
	write_file(text, strlen(text));
	return load_path(path, ret_errors);
}

static struct config *load_good(const char *text)
{
	char *errors;
	struct config *config = load(text, &errors);

	if (!config)
		print_message("%s\n%s", text, errors);
	assert_non_null(config);
	assert_string_equal(errors, "");
	free(errors);
	return config;
}

/* What is told; to be freed. */
static char *load_bad(const char *text)
{
	char *errors;
	struct config *config = load(text, &errors);

	if (config)
		print_message("accepted: %s\n", text);
	assert_null(config);
	return errors;
}

static char *print(const struct config *config)
{
	char *text;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	config_print(config, out);
	assert_int_equal(fclose(out), 0);
	return text;
}

static void assert_told(const char *text, const char *part)
{
	char *errors = load_bad(text);

	if (!strstr(errors, part))
		print_message("%s\ntold: %smissing: %s\n", text, errors, part);
	assert_non_null(strstr(errors, part));
	free(errors);
}

static void empty_file_gives_the_defaults(void **state)
{
	struct config *config = load_good("");

	(void)state;
	assert_int_equal(config->node.workers, 0);
	assert_string_not_equal(config->node.name, "");
	assert_string_equal(config->websocket.listen[0], "127.0.0.1:8082");
	assert_null(config->websocket.listen[1]);
	assert_null(config->websocket.origins[0]);
	assert_false(config->auth.development_sign_in);
	assert_int_equal(config->mosquitto.shards, 64);
	assert_int_equal(config->limits.frame_bytes, 65536);
	config_destroy(config);
	config_destroy(NULL);
}

/* The file's lines "# name = value", without the mark; prose has no such form. */
static bool is_setting(const char *line)
{
	size_t name = strspn(line + 2, "abcdefghijklmnopqrstuvwxyz_");

	return strncmp(line, "# ", 2) == 0 && name && strncmp(line + 2 + name, " =", 2) == 0;
}

/* The sample with every setting in force; to be freed. */
static char *uncommented_sample(size_t *ret_settings)
{
	FILE *file = fopen(SAMPLE, "r");
	char line[512];
	char *text;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(file);
	*ret_settings = 0;
	while (fgets(line, sizeof(line), file)) {
		*ret_settings += is_setting(line);
		fputs(is_setting(line) ? line + 2 : line, out);
	}
	fclose(file);
	assert_int_equal(fclose(out), 0);
	return text;
}

static void sample_file_has_every_key_with_its_default(void **state)
{
	const char *section, *name, *preset;
	size_t settings;
	char *sample = uncommented_sample(&settings);
	size_t keys = 0;

	(void)state;
	while (config_describe(keys, &section, &name, &preset)) {
		char head[64];
		char line[256];
		const char *from;
		const char *end;
		const char *found;

		snprintf(head, sizeof(head), "\n[%s]\n", section);
		snprintf(line, sizeof(line), "\n%s =%s%s\n", name, *preset ? " " : "", preset);
		from = strstr(sample, head);
		assert_non_null(from);
		end = strstr(from + 2, "\n[");
		found = strstr(from, line);
		if (!found || (end && found > end))
			fail_msg("%s lacks, under [%s]: # %s", SAMPLE, section, line + 1);
		keys++;
	}
	assert_int_equal(settings, keys);
	free(sample);
}

static void sample_file_in_force_changes_nothing(void **state)
{
	size_t settings;
	char *sample = uncommented_sample(&settings);
	struct config *plain = load_good("");
	struct config *sampled = load_good(sample);
	char *plain_text = print(plain);
	char *sampled_text = print(sampled);

	(void)state;
	assert_string_equal(plain_text, sampled_text);
	free(plain_text);
	free(sampled_text);
	free(sample);
	config_destroy(plain);
	config_destroy(sampled);
}

static void what_is_printed_can_be_read_and_prints_the_same(void **state)
{
	struct config *first = load_good("[node]\nname = n1\nworkers = 3\n"
	                                 "[websocket]\nlisten = *:9000, [::1]:9001\norigins = *\n"
	                                 "[auth]\nkeys = here\ndevelopment_sign_in = on\n");
	char *first_text = print(first);
	struct config *second = load_good(first_text);
	char *second_text = print(second);

	(void)state;
	assert_string_equal(first_text, second_text);
	free(first_text);
	free(second_text);
	config_destroy(first);
	config_destroy(second);
}

static void relative_paths_start_at_the_files_folder(void **state)
{
	struct config *config = load_good("[auth]\nkeys = a/b\n[http]\nweb_root = /srv/web\n");
	char expected[128];

	(void)state;
	snprintf(expected, sizeof(expected), "%s/a/b", folder);
	assert_string_equal(config->auth.keys, expected);
	assert_string_equal(config->http.web_root, "/srv/web");
	assert_string_equal(config->websocket.certificate, "");
	config_destroy(config);
}

static void file_is_read_as_people_write_it(void **state)
{
	struct config *config = load_good("\xef\xbb\xbf[node]\r\n"
	                                  "  # indented\r\n"
	                                  "\tname=a\r\n"
	                                  "  workers : 2   ; why\r\n"
	                                  "\r\n"
	                                  "; the other mark\r\n"
	                                  "[websocket]\r\n"
	                                  "origins=https://a.example,http://b.example:8080 , "
	                                  "https://[::1]:9,app://c");

	(void)state;
	assert_string_equal(config->node.name, "a");
	assert_int_equal(config->node.workers, 2);
	assert_string_equal(config->websocket.origins[0], "https://a.example");
	assert_string_equal(config->websocket.origins[1], "http://b.example:8080");
	assert_string_equal(config->websocket.origins[2], "https://[::1]:9");
	assert_string_equal(config->websocket.origins[3], "app://c");
	assert_null(config->websocket.origins[4]);
	config_destroy(config);
}

static void bad_values_are_told_with_what_would_be_right(void **state)
{
	static const struct {
		const char *text;
		const char *told;
	} cases[] = {
		{"[node]\nworkers = 0\n", ":2: [node] workers = 0: give auto"},
		{"[node]\nworkers = 65\n", "1 to 64"},
		{"[node]\nworkers = -1\n", "1 to 64"},
		{"[node]\nworkers = 1.5\n", "1 to 64"},
		{"[node]\nname = a/b\n", "give 1 to 48 of"},
		{"[node]\nname = 1234567890123456789012345678901234567890123456789\n", "1 to 48"},
		{"[node]\nlog_level = loud\n", "give debug, info, warning or error"},
		{"[node]\nlog_format = xml\n", "give logfmt or json"},
		{"[node]\ndrain_ms = 10s\n", "give a whole number from 0 to 600000"},
		{"[node]\ndrain_ms =\n", "give a whole number"},
		{"[node]\ndrain_ms = 99999999999999999999\n", "give a whole number"},
		{"[node]\ndrain_ms = 0x10\n", "give a whole number"},
		{"[auth]\ndevelopment_sign_in = yes\n", "give on or off"},
		{"[auth]\ndevelopment_sign_in = ON\n", "give on or off"},
		{"[http]\nlisten = 8080\n", "give address:port"},
		{"[http]\nlisten = :8080\n", "give address:port"},
		{"[http]\nlisten = example.org:8080\n", "give address:port"},
		{"[http]\nlisten = 127.0.0.1:0\n", "give address:port"},
		{"[http]\nlisten = 127.0.0.1:080\n", "give address:port"},
		{"[http]\nlisten = 127.0.0.1:65536\n", "give address:port"},
		{"[http]\nlisten = 127.0.0.1:80a\n", "give address:port"},
		{"[http]\nlisten = 127.0.0.256:80\n", "give address:port"},
		{"[http]\nlisten = ::1:80\n", "give address:port"},
		{"[http]\nlisten = [::1:80\n", "give address:port"},
		{"[http]\nlisten = []:80\n", "give address:port"},
		{"[http]\nlisten = 127.0.0.1:80, bad\n", "give address:port"},
		{"[websocket]\norigins = chat.example\n", "give origins"},
		{"[websocket]\norigins = https://\n", "give origins"},
		{"[websocket]\norigins = ://chat.example\n", "give origins"},
		{"[websocket]\norigins = https://chat.example/\n", "give origins"},
		{"[websocket]\norigins = https://chat.example:443\n", "give origins"},
		{"[websocket]\norigins = http://chat.example:80\n", "give origins"},
		{"[websocket]\norigins = https://chat.example:x\n", "give origins"},
		{"[websocket]\norigins = https://*.example\n", "give origins"},
		{"[websocket]\norigins = https://Chat.example\n", "give origins"},
		{"[websocket]\norigins = https://a@chat.example\n", "give origins"},
		{"[websocket]\norigins = https://[::1\n", "give origins"},
		{"[websocket]\ntrusted_proxies = proxy.example\n", "give addresses of proxies"},
		{"[websocket]\ntrusted_proxies = 127.0.0.1, 10.0.0.1/8\n", "10.0.0.0/8"},
		{"[websocket]\nhandshakes = 0\n", "from 1 to 1000000"},
		{"[http]\nwebsocket_url = https://chat.example\n", "give an address like wss://"},
		{"[http]\nwebsocket_tls_url = ws://chat.example\n", "give an address like wss://"},
		{"[mosquitto]\nhost = broker.example\n", "give an address like 127.0.0.1"},
		{"[mosquitto]\nport = 0\n", "1 to 65535"},
		{"[mosquitto]\nport = 1883 # ours\n", "1 to 65535"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_told(cases[i].text, cases[i].told);
}

static void unknown_names_are_told_with_those_that_are_known(void **state)
{
	(void)state;
	assert_told("[node]\nwrokers = 2\n",
	            ":2: [node] wrokers: there is no such key; there are name workers log_level");
	assert_told("[nod]\nname = a\n",
	            ":2: [nod] name: there is no such section; there are [node] "
	            "[websocket] [http] [admin] [auth] [mosquitto] [database] "
	            "[limits]");
	assert_told("name = a\n", ":1: [] name: there is no such section");
	assert_told("[Node]\nname = a\n", "there is no such section");
	assert_told("[node]\nName = a\n", "there is no such key");
	assert_told("[node]\nname = a\nname = b\n", ":3: [node] name was given before");
}

static void every_error_is_told_at_its_line(void **state)
{
	static const char *const told[] = {
		":2: is neither [section] nor key = value",
		":3: [node] workers = x",
		":4: is neither [section]",
		":6: [node] colour: there is no such key",
		":7: is neither [section]",
		":9: [limits] cursors = -1",
	};
	char *errors = load_bad("[node]\n"
	                        "junk\n"
	                        "workers = x\n"
	                        "more junk\n"
	                        "name = a\n"
	                        "colour = red\n"
	                        "[websocket\n"
	                        "[limits]\n"
	                        "cursors = -1\n");
	const char *at = errors;
	size_t lines = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
		at = strstr(at, told[i]);
		if (!at)
			fail_msg("missing %s in\n%s", told[i], errors);
	}
	for (at = errors; (at = strchr(at, '\n')); at++)
		lines++;
	assert_int_equal(lines, sizeof(told) / sizeof(told[0]));
	assert_int_equal(strncmp(errors, path, strlen(path)), 0);
	free(errors);
}

/* The file's library cuts lines at 200 bytes and reads the rest as another line. */
static void line_that_is_too_long_is_told_and_nothing_of_it_taken(void **state)
{
	char text[1024] = "[node]\nname = a\n[auth]\nissuer = ";
	size_t start = strlen(text);
	char *errors;

	(void)state;
	memset(text + start, 'i', 400);
	snprintf(text + start + 400, sizeof(text) - start - 400, "\naudience = %s\nleeway_ms = x\n",
	         "b");
	errors = load_bad(text);
	assert_non_null(strstr(errors, ":4: is longer than 198 bytes"));
	assert_non_null(strstr(errors, ":6: [auth] leeway_ms = x"));
	assert_null(strstr(errors, ":5:"));
	free(errors);
}

static void zero_byte_is_told(void **state)
{
	static const char text[] = "[node]\nname = a\0b\nworkers = 2\n";
	char *errors;

	(void)state;
	write_file(text, sizeof(text) - 1);
	assert_null(load_path(path, &errors));
	assert_non_null(strstr(errors, ":2: has a zero byte"));
	assert_null(strstr(errors, ":3:"));
	free(errors);
}

static void path_that_is_no_readable_file_is_told(void **state)
{
	char *errors;

	(void)state;
	assert_null(load_path("/nowhere/martlet.conf", &errors));
	assert_string_equal(errors, "/nowhere/martlet.conf: No such file or directory\n");
	free(errors);
	assert_null(load_path(folder, &errors));
	assert_non_null(strstr(errors, "cannot be read; give a file"));
	free(errors);
}

static void keys_are_checked_together(void **state)
{
	(void)state;
	assert_told("[websocket]\ntls_listen = 127.0.0.1:9\n",
	            "tls_listen needs [websocket] certificate");
	assert_told("[http]\ntls_listen = 127.0.0.1:9\n",
	            "tls_listen needs [websocket] certificate");
	assert_told("[limits]\nframe_bytes = 17407\n", "frame_bytes must be at least 1024 above");
	assert_told("[limits]\nbody_bytes = 262144\nframe_bytes = 1048576\n",
	            "outbound_bytes must be at least 8 times");
	assert_told("[mosquitto]\npassword_file = nowhere\n", "password_file cannot be read");
	assert_told("[websocket]\nlisten =\n", "[websocket] needs an address");
	assert_told("[http]\nlisten = 127.0.0.1:8082\n", "127.0.0.1:8082 is listened on twice");
	assert_told("[admin]\nlisten = localhost:8080\n", "localhost:8080 is listened on twice");
	assert_told("[admin]\nlisten = [::1]:9, [::1]:9\n", "[::1]:9 is listened on twice");
	config_destroy(load_good("[limits]\nframe_bytes = 17408\n"));
	config_destroy(load_good("[admin]\nlisten = [::1]:8080, 127.0.0.2:8080\n"));
}

static void environment_wins_over_the_file(void **state)
{
	struct config *config;

	(void)state;
	setenv("MARTLET_NODE_WORKERS", "7", 1);
	setenv("MARTLET_HTTP", "is no setting", 1);
	setenv("MARTLET_OTHER_THING", "is no setting", 1);
	config = load_good("[node]\nworkers = 2\n");
	unsetenv("MARTLET_NODE_WORKERS");
	unsetenv("MARTLET_HTTP");
	unsetenv("MARTLET_OTHER_THING");
	assert_int_equal(config->node.workers, 7);
	config_destroy(config);
}

static void environment_is_checked_like_the_file(void **state)
{
	(void)state;
	setenv("MARTLET_NODE_WORKERS", "many", 1);
	assert_told("", "MARTLET_NODE_WORKERS = many: give auto");
	unsetenv("MARTLET_NODE_WORKERS");
	setenv("MARTLET_NODE_WROKERS", "2", 1);
	assert_told("", "MARTLET_NODE_WROKERS: [node] has no such key; there are name workers");
	unsetenv("MARTLET_NODE_WROKERS");
}

static void password_of_the_database_is_never_shown(void **state)
{
	static const char *const cases[] = {
		"host=db password=hunter2",
		"postgresql://user:hunter2@db/martlet",
		"postgres://db/martlet?password=hunter2",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char file[256];
		struct config *config;
		char *text;

		snprintf(file, sizeof(file), "[database]\nconnection = %s\n", cases[i]);
		config = load_good(file);
		assert_string_equal(config->database.connection, cases[i]);
		text = print(config);
		assert_null(strstr(text, "hunter2"));
		assert_non_null(strstr(text, "connection = (not shown"));
		free(text);
		config_destroy(config);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_file_gives_the_defaults),
		cmocka_unit_test(sample_file_has_every_key_with_its_default),
		cmocka_unit_test(sample_file_in_force_changes_nothing),
		cmocka_unit_test(what_is_printed_can_be_read_and_prints_the_same),
		cmocka_unit_test(relative_paths_start_at_the_files_folder),
		cmocka_unit_test(file_is_read_as_people_write_it),
		cmocka_unit_test(bad_values_are_told_with_what_would_be_right),
		cmocka_unit_test(unknown_names_are_told_with_those_that_are_known),
		cmocka_unit_test(every_error_is_told_at_its_line),
		cmocka_unit_test(line_that_is_too_long_is_told_and_nothing_of_it_taken),
		cmocka_unit_test(zero_byte_is_told),
		cmocka_unit_test(path_that_is_no_readable_file_is_told),
		cmocka_unit_test(keys_are_checked_together),
		cmocka_unit_test(environment_wins_over_the_file),
		cmocka_unit_test(environment_is_checked_like_the_file),
		cmocka_unit_test(password_of_the_database_is_never_shown),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
