/* Tokens that must pass, and the known attacks that must not. Keys are made here, at run time. */
#include "auth/token.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <cjose/cjose.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#define NOW_MS INT64_C(1800000000000)
#define HOUR_MS INT64_C(3600000)

static char folder[] = "/tmp/martlet-keys.XXXXXX";

static void path_of(const char *name, char ret_path[256])
{
	snprintf(ret_path, 256, "%s/%s", folder, name);
}

static void write_secret(const char *name, size_t size, mode_t mode)
{
	char path[256];
	FILE *file;

	path_of(name, path);
	file = fopen(path, "w");
	assert_non_null(file);
	for (size_t i = 0; i < size; i++)
		fputc((int)('a' + i % 26), file);
	fclose(file);
	assert_int_equal(chmod(path, mode), 0);
}

static void write_pem(const char *name, EVP_PKEY *key)
{
	char path[256];
	FILE *file;

	path_of(name, path);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
	fclose(file);
	assert_int_equal(chmod(path, 0600), 0);
	EVP_PKEY_free(key);
}

static void remove_key(const char *name)
{
	char path[256];

	path_of(name, path);
	unlink(path);
}

static int make_folder(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(folder));
	write_secret("a.secret", 48, 0600);
	write_pem("ec.pem", EVP_EC_gen("P-256"));
	write_pem("rsa.pem", EVP_RSA_gen(2048));
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	remove_key("a.secret");
	remove_key("ec.pem");
	remove_key("rsa.pem");
	return rmdir(folder);
}

static struct token_keys *load(const char *issuer, const char *audience)
{
	const struct token_options options = {folder, issuer, audience, 1000};
	struct outcome outcome;
	struct token_keys *keys = token_keys_load(&options, &outcome);

	if (!keys)
		print_message("%s\n", outcome.text);
	assert_non_null(keys);
	return keys;
}

static struct token_claims alice(int64_t expires_ms)
{
	struct token_claims claims = {.expires_ms = expires_ms};

	assert_true(user_id_from_text("alice", &claims.user));
	return claims;
}

static enum token_status verify(const struct token_keys *keys, const char *token, int64_t now_ms)
{
	struct token_claims claims;
	const char *reason;
	enum token_status status = token_verify(keys, token, now_ms, &claims, &reason);

	if (status == TOKEN_OK)
		assert_string_equal(claims.user.text, "alice");
	return status;
}

static void token_of_each_algorithm_passes(void **state)
{
	const char *const kids[] = {"a", "ec", "rsa"};
	struct token_keys *keys = load("https://issuer.example", "chat");

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct token_claims claims = alice(NOW_MS + HOUR_MS);
		struct outcome outcome;
		char *token = token_issue(keys, kids[i], &claims, NOW_MS, &outcome);

		assert_non_null(token);
		assert_int_equal(verify(keys, token, NOW_MS), TOKEN_OK);
		assert_int_equal(verify(keys, token, NOW_MS + HOUR_MS + 500), TOKEN_OK);
		assert_int_equal(verify(keys, token, NOW_MS + HOUR_MS + 1001), TOKEN_EXPIRED);
		/* Another signature of the same length. */
		token[strlen(token) - 5] = token[strlen(token) - 5] == 'A' ? 'B' : 'A';
		assert_int_equal(verify(keys, token, NOW_MS), TOKEN_BAD);
		free(token);
	}
	token_keys_destroy(keys);
}

static void token_for_another_audience_or_issuer_is_bad(void **state)
{
	struct token_keys *ours = load("us", "chat");
	struct token_keys *theirs = load("us", "mail");
	struct token_keys *others = load("them", "chat");
	struct token_claims claims = alice(NOW_MS + HOUR_MS);
	struct outcome outcome;
	char *token = token_issue(ours, "a", &claims, NOW_MS, &outcome);

	(void)state;
	assert_int_equal(verify(ours, token, NOW_MS), TOKEN_OK);
	assert_int_equal(verify(theirs, token, NOW_MS), TOKEN_BAD);
	assert_int_equal(verify(others, token, NOW_MS), TOKEN_BAD);
	free(token);
	token_keys_destroy(ours);
	token_keys_destroy(theirs);
	token_keys_destroy(others);
}

/* A token with any header and claims, signed with the bytes of a.secret or with nothing. */
static char *forge(const char *algorithm, const char *kid, const char *extra, const char *claims,
                   const uint8_t *secret, size_t size)
{
	char header[512];
	char *parts[3] = {NULL, NULL, NULL};
	uint8_t mac[EVP_MAX_MD_SIZE];
	size_t mac_size = 0;
	size_t length;
	char *token = malloc(16384);
	cjose_err error;

	snprintf(header, sizeof(header), "{\"alg\":\"%s\"%s%s%s%s}", algorithm,
	         kid ? ",\"kid\":\"" : "", kid ? kid : "", kid ? "\"" : "", extra);
	assert_true(cjose_base64url_encode((const uint8_t *)header, strlen(header), &parts[0],
	                                   &length, &error));
	assert_true(cjose_base64url_encode((const uint8_t *)claims, strlen(claims), &parts[1],
	                                   &length, &error));
	sprintf(token, "%s.%s", parts[0], parts[1]);
	if (secret)
		assert_non_null(EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, secret, size,
		                          (const uint8_t *)token, strlen(token), mac, sizeof(mac),
		                          &mac_size));
	assert_true(cjose_base64url_encode(mac, mac_size, &parts[2], &length, &error));
	sprintf(token, "%s.%s.%s", parts[0], parts[1], parts[2]);
	for (size_t i = 0; i < 3; i++)
		cjose_get_dealloc()(parts[i]);
	return token;
}

#define SECRET ((const uint8_t *)"abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuv")
#define GOOD "{\"sub\":\"alice\",\"exp\":1800003600}"

static void forged_headers_are_bad(void **state)
{
	static const struct {
		const char *algorithm;
		const char *kid;
		const char *extra;
		enum token_status status;
	} cases[] = {
		{"HS256", "a", "", TOKEN_OK},
		{"none", "a", "", TOKEN_BAD},
		{"None", "a", "", TOKEN_BAD},
		{"NONE", NULL, "", TOKEN_BAD},
		{"", "a", "", TOKEN_BAD},
		{"HS512", "a", "", TOKEN_BAD},
		{"RS256", "a", "", TOKEN_BAD},
		{"HS256", "rsa", "", TOKEN_BAD},
		{"HS256", "ec", "", TOKEN_BAD},
		{"HS256", NULL, "", TOKEN_BAD},
		{"HS256", "b", "", TOKEN_BAD},
		{"HS256", "../a", "", TOKEN_BAD},
		{"HS256", "a", ",\"crit\":[\"exp\"]", TOKEN_BAD},
	};
	struct token_keys *keys = load("", "");

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *token =
			forge(cases[i].algorithm, cases[i].kid, cases[i].extra, GOOD, SECRET, 48);
		enum token_status status = verify(keys, token, NOW_MS);

		if (status != cases[i].status)
			print_message("case %zu: alg %s\n", i, cases[i].algorithm);
		assert_int_equal(status, cases[i].status);
		free(token);
	}
	token_keys_destroy(keys);
}

static void public_key_used_as_a_secret_is_bad(void **state)
{
	struct token_keys *keys = load("", "");
	uint8_t pem[4096];
	char path[256];
	FILE *file;
	size_t size;
	char *token;

	(void)state;
	path_of("rsa.pem", path);
	file = fopen(path, "r");
	size = fread(pem, 1, sizeof(pem), file);
	fclose(file);
	token = forge("HS256", "rsa", "", GOOD, pem, size);
	assert_int_equal(verify(keys, token, NOW_MS), TOKEN_BAD);
	free(token);
	token_keys_destroy(keys);
}

static void claims_of_the_wrong_kind_are_bad(void **state)
{
	static const char *const cases[] = {
		"{}",
		"[]",
		"\"alice\"",
		"{\"sub\":\"alice\"}",
		"{\"exp\":1800003600}",
		"{\"sub\":\"\",\"exp\":1800003600}",
		"{\"sub\":7,\"exp\":1800003600}",
		"{\"sub\":\"a/b\",\"exp\":1800003600}",
		"{\"sub\":\"a\\u0000b\",\"exp\":1800003600}",
		"{\"sub\":\"alice\",\"exp\":\"1800003600\"}",
		"{\"sub\":\"alice\",\"exp\":-1}",
		"{\"sub\":\"alice\",\"exp\":1e300}",
		"{\"sub\":\"alice\",\"exp\":1800003600,\"nbf\":1800000100}",
		"{\"sub\":\"alice\",\"exp\":1800003600,\"nbf\":\"now\"}",
		"{\"sub\":\"alice\",\"sub\":\"bob\",\"exp\":1800003600}",
		"{\"sub\":\"alice\",\"exp\":1800003600",
	};
	struct token_keys *keys = load("", "");

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *token = forge("HS256", "a", "", cases[i], SECRET, 48);

		if (verify(keys, token, NOW_MS) != TOKEN_BAD)
			fail_msg("%s", cases[i]);
		free(token);
	}
	token_keys_destroy(keys);
}

static void what_is_no_token_is_bad(void **state)
{
	static const char *const cases[] = {
		"",         ".",       "..",       "...",      "a.b.c",
		"a..c",     ".b.c",    "a.b.",     "a b.c",    "eyJhbGciOiJIUzI1NiJ9.e30",
		"\x01.b.c", "a+/.b.c", "a=.b=.c=", "\xff\xfe",
	};
	struct token_keys *keys = load("", "");
	char *good = forge("HS256", "a", "", GOOD, SECRET, 48);
	char *longer = malloc(20000);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(verify(keys, cases[i], NOW_MS), TOKEN_BAD);
	for (size_t cut = 1; cut < strlen(good); cut++) {
		memcpy(longer, good, cut);
		longer[cut] = '\0';
		assert_int_equal(verify(keys, longer, NOW_MS), TOKEN_BAD);
	}
	memset(longer, 'a', 19999);
	longer[19999] = '\0';
	longer[100] = longer[200] = '.';
	assert_int_equal(verify(keys, longer, NOW_MS), TOKEN_BAD);
	free(longer);
	free(good);
	token_keys_destroy(keys);
}

static void assert_refused(const char *part)
{
	const struct token_options options = {folder, NULL, NULL, 0};
	struct outcome outcome;

	assert_null(token_keys_load(&options, &outcome));
	assert_non_null(strstr(outcome.text, part));
}

static void weak_open_or_strange_keys_are_refused_by_name(void **state)
{
	(void)state;
	write_secret("short.secret", 31, 0600);
	assert_refused("short.secret is no secret of 32");
	remove_key("short.secret");
	write_secret("open.secret", 48, 0644);
	assert_refused("open.secret can be read by others");
	remove_key("open.secret");
	write_secret("junk.pem", 48, 0600);
	assert_refused("junk.pem holds no PEM key");
	remove_key("junk.pem");
	write_secret("key.txt", 48, 0600);
	assert_refused("key.txt is not named");
	remove_key("key.txt");
	write_pem("small.pem", EVP_RSA_gen(1024));
	assert_refused("small.pem is an RSA key of less than 2048");
	remove_key("small.pem");
	write_pem("curve.pem", EVP_EC_gen("P-384"));
	assert_refused("curve.pem is an elliptic-curve key, but not on P-256");
	remove_key("curve.pem");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(token_of_each_algorithm_passes),
		cmocka_unit_test(token_for_another_audience_or_issuer_is_bad),
		cmocka_unit_test(forged_headers_are_bad),
		cmocka_unit_test(public_key_used_as_a_secret_is_bad),
		cmocka_unit_test(claims_of_the_wrong_kind_are_bad),
		cmocka_unit_test(what_is_no_token_is_bad),
		cmocka_unit_test(weak_open_or_strange_keys_are_refused_by_name),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
