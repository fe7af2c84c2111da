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

/* The public half, as a .pem of its own. */
static void write_public_pem(const char *name, EVP_PKEY *key, mode_t mode)
{
	char path[256];
	FILE *file;

	path_of(name, path);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(PEM_write_PUBKEY(file, key), 1);
	fclose(file);
	assert_int_equal(chmod(path, mode), 0);
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

/* What base64url makes of the bytes, at the end of a token. */
static void add_part(char *token, size_t token_bytes, const char *dot, const void *bytes,
                     size_t size)
{
	size_t at = strlen(token);
	cjose_err error;
	char *part;
	size_t length;

	assert_true(cjose_base64url_encode(bytes, size, &part, &length, &error));
	assert_true(at + length + 2 < token_bytes);
	snprintf(token + at, token_bytes - at, "%s%s", dot, part);
	cjose_get_dealloc()(part);
}

#define TOKEN_BYTES 32768

/* A token with any header and claims, signed with a secret by HMAC, or with nothing. */
static char *forge_raw(const char *header, const char *claims, const void *secret, size_t size)
{
	char *token = calloc(1, TOKEN_BYTES);
	uint8_t mac[EVP_MAX_MD_SIZE];
	size_t mac_size = 0;

	add_part(token, TOKEN_BYTES, "", header, strlen(header));
	add_part(token, TOKEN_BYTES, ".", claims, strlen(claims));
	if (secret)
		assert_non_null(EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, secret, size,
		                          (const uint8_t *)token, strlen(token), mac, sizeof(mac),
		                          &mac_size));
	add_part(token, TOKEN_BYTES, ".", mac, mac_size);
	return token;
}

static char *forge(const char *algorithm, const char *kid, const char *extra, const char *claims,
                   const void *secret, size_t size)
{
	char header[512];

	snprintf(header, sizeof(header), "{\"alg\":\"%s\"%s%s%s%s}", algorithm,
	         kid ? ",\"kid\":\"" : "", kid ? kid : "", kid ? "\"" : "", extra);
	return forge_raw(header, claims, secret, size);
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
		{"HS256", "/etc/passwd", "", TOKEN_BAD},
		{"HS256", "a.secret", "", TOKEN_BAD},
		{"HS256", "A", "", TOKEN_BAD},
		{"HS256", "", "", TOKEN_BAD},
		{"HS256", NULL, ",\"kid\":7", TOKEN_BAD},
		{"HS256", NULL, ",\"kid\":[\"a\"]", TOKEN_BAD},
		{"HS256", NULL, ",\"kid\":\"a\\u0000b\"", TOKEN_BAD},
		{"hs256", "a", "", TOKEN_BAD},
		{"HS384", "a", "", TOKEN_BAD},
		{"ES256", "a", "", TOKEN_BAD},
		{"ES256", "rsa", "", TOKEN_BAD},
		{"PS256", "rsa", "", TOKEN_BAD},
		{"RS256", "ec", "", TOKEN_BAD},
		{"HS256", "a", ",\"crit\":[\"exp\"]", TOKEN_BAD},
		{"HS256", "a", ",\"crit\":[]", TOKEN_BAD},
		{"HS256", "a", ",\"crit\":null", TOKEN_BAD},
		{"HS256", "a", ",\"b64\":false,\"crit\":[\"b64\"]", TOKEN_BAD},
		{"HS256", "a", ",\"crit\":\"exp\"", TOKEN_BAD},
		/* Of two of a name, readers differ in which one counts. */
		{"HS256", "a", ",\"alg\":\"HS256\"", TOKEN_BAD},
		{"none", "a", ",\"alg\":\"HS256\"", TOKEN_BAD},
		{"HS256", "a", ",\"alg\":\"none\"", TOKEN_BAD},
		{"HS256", "a", ",\"kid\":\"rsa\"", TOKEN_BAD},
		/* Keys that a token brings or names are not looked at. */
		{"HS256", "a", ",\"jku\":\"https://evil.example/keys\"", TOKEN_OK},
		{"HS256", "a", ",\"x5u\":\"https://evil.example/key\"", TOKEN_OK},
		{"HS256", "b", ",\"jku\":\"https://evil.example/keys\"", TOKEN_BAD},
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

static void key_that_a_token_brings_is_not_used(void **state)
{
	static const char evil[] = "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee";
	static const char *const headers[] = {
		"{\"alg\":\"HS256\",\"kid\":\"a\",\"jwk\":{\"kty\":\"oct\",\"kid\":\"a\",\"k\":"
		"\"ZWVlZWVlZWVlZWVlZWVlZWVlZWVlZWVlZWVlZWVlZWU\"}}",
		"{\"alg\":\"HS256\",\"jwk\":{\"kty\":\"oct\",\"k\":"
		"\"ZWVlZWVlZWVlZWVlZWVlZWVlZWVlZWVlZWVlZWVlZWU\"}}",
		"{\"alg\":\"HS256\",\"kid\":\"a\",\"x5c\":[\"ZWVl\"]}",
	};
	struct token_keys *keys = load("", "");

	(void)state;
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		char *token = forge_raw(headers[i], GOOD, evil, strlen(evil));

		assert_int_equal(verify(keys, token, NOW_MS), TOKEN_BAD);
		free(token);
	}
	token_keys_destroy(keys);
}

static void header_that_is_no_object_or_has_wrong_kinds_is_bad(void **state)
{
	static const char *const headers[] = {
		"{}",
		"[]",
		"null",
		"\"HS256\"",
		"7",
		"{\"alg\":7,\"kid\":\"a\"}",
		"{\"alg\":null,\"kid\":\"a\"}",
		"{\"alg\":[\"HS256\"],\"kid\":\"a\"}",
		"{\"kid\":\"a\"}",
		"{\"alg\":\"HS256\",\"kid\":\"a\"",
		"{\"alg\":\"HS256\",\"kid\":\"a\"}}",
		"{\"alg\":\"HS256\",\"kid\":\"\xff\"}",
		" ",
	};
	struct token_keys *keys = load("", "");

	(void)state;
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		char *token = forge_raw(headers[i], GOOD, SECRET, 48);

		if (verify(keys, token, NOW_MS) != TOKEN_BAD)
			fail_msg("%s", headers[i]);
		free(token);
	}
	token_keys_destroy(keys);
}

static void public_key_used_as_a_secret_is_bad(void **state)
{
	const char *const files[] = {"rsa.pem", "public.pem"};
	EVP_PKEY *key = EVP_RSA_gen(2048);
	struct token_keys *keys;

	(void)state;
	write_public_pem("public.pem", key, 0644);
	keys = load("", "");
	for (size_t i = 0; i < 2; i++) {
		uint8_t pem[4096];
		char path[256];
		FILE *file;
		size_t size;

		path_of(files[i], path);
		file = fopen(path, "r");
		assert_non_null(file);
		size = fread(pem, 1, sizeof(pem), file);
		fclose(file);
		/* All of the file, and without its last newline: both are met in the wild. */
		for (size_t less = 0; less < 2; less++) {
			char *token =
				forge("HS256", i ? "public" : "rsa", "", GOOD, pem, size - less);

			assert_int_equal(verify(keys, token, NOW_MS), TOKEN_BAD);
			free(token);
		}
	}
	token_keys_destroy(keys);
	remove_key("public.pem");
	EVP_PKEY_free(key);
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
		"{\"sub\":\"alice\",\"exp\":-1.5}",
		"{\"sub\":\"alice\",\"exp\":1e300}",
		"{\"sub\":\"alice\",\"exp\":9223372036854775807}",
		"{\"sub\":\"alice\",\"exp\":9223372036854775808}",
		"{\"sub\":\"alice\",\"exp\":9000000000000}",
		"{\"sub\":\"alice\",\"exp\":null}",
		"{\"sub\":\"alice\",\"exp\":true}",
		"{\"sub\":\"alice\",\"exp\":[1800003600]}",
		"{\"sub\":null,\"exp\":1800003600}",
		"{\"sub\":[\"alice\"],\"exp\":1800003600}",
		"{\"sub\":\"al ice\",\"exp\":1800003600}",
		"{\"sub\":\"alice\\n\",\"exp\":1800003600}",
		"{\"sub\":\"\xc3\xa9\",\"exp\":1800003600}",
		"{\"sub\":\"\xff\",\"exp\":1800003600}",
		"{\"sub\":\"+\",\"exp\":1800003600}",
		"{\"sub\":\"#\",\"exp\":1800003600}",
		"{\"Sub\":\"alice\",\"exp\":1800003600}",
		("{\"sub\":\"12345678901234567890123456789012345678901234567890123456789012345\","
	         "\"exp\":1800003600}"),
		"{\"sub\":\"alice\",\"exp\":1800003600,\"nbf\":1e300}",
		"{\"sub\":\"alice\",\"exp\":1800003600,\"nbf\":-1}",
		"{\"sub\":\"alice\",\"exp\":1800003600,\"nbf\":null}",
		"{\"sub\":\"alice\",\"exp\":1800003600} x",
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

static void audience_and_issuer_may_have_the_forms_of_the_standard_only(void **state)
{
	static const struct {
		const char *claims;
		enum token_status status;
	} cases[] = {
		{"\"iss\":\"us\",\"aud\":\"chat\"", TOKEN_OK},
		{"\"iss\":\"us\",\"aud\":[\"chat\"]", TOKEN_OK},
		{"\"iss\":\"us\",\"aud\":[\"mail\",\"chat\"]", TOKEN_OK},
		{"\"iss\":\"us\",\"aud\":[7,\"chat\"]", TOKEN_OK},
		{"\"iss\":\"us\",\"aud\":[]", TOKEN_BAD},
		{"\"iss\":\"us\",\"aud\":[\"mail\"]", TOKEN_BAD},
		{"\"iss\":\"us\",\"aud\":[[\"chat\"]]", TOKEN_BAD},
		{"\"iss\":\"us\",\"aud\":{\"chat\":1}", TOKEN_BAD},
		{"\"iss\":\"us\",\"aud\":\"chatter\"", TOKEN_BAD},
		{"\"iss\":\"us\",\"aud\":\"Chat\"", TOKEN_BAD},
		{"\"iss\":\"us\",\"aud\":\"\"", TOKEN_BAD},
		{"\"iss\":\"us\",\"aud\":7", TOKEN_BAD},
		{"\"iss\":\"us\",\"aud\":null", TOKEN_BAD},
		{"\"iss\":\"us\"", TOKEN_BAD},
		{"\"iss\":[\"us\"],\"aud\":\"chat\"", TOKEN_BAD},
		{"\"iss\":7,\"aud\":\"chat\"", TOKEN_BAD},
		{"\"iss\":\"us/\",\"aud\":\"chat\"", TOKEN_BAD},
		{"\"aud\":\"chat\"", TOKEN_BAD},
	};
	struct token_keys *keys = load("us", "chat");

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char claims[256];
		char *token;

		snprintf(claims, sizeof(claims), "{\"sub\":\"alice\",\"exp\":1800003600,%s}",
		         cases[i].claims);
		token = forge("HS256", "a", "", claims, SECRET, 48);
		if (verify(keys, token, NOW_MS) != cases[i].status)
			fail_msg("%s", cases[i].claims);
		free(token);
	}
	token_keys_destroy(keys);
}

/* load() sets a leeway of 1000 ms. NOW_MS is 1800000000 seconds. */
static void times_are_judged_to_the_millisecond_with_leeway(void **state)
{
	static const struct {
		const char *claims;
		int64_t after_now_ms;
		enum token_status status;
	} cases[] = {
		{"\"exp\":1800000000", 0, TOKEN_OK},
		{"\"exp\":1800000000", 999, TOKEN_OK},
		{"\"exp\":1800000000", 1000, TOKEN_EXPIRED},
		{"\"exp\":1800000000.5", 1499, TOKEN_OK},
		{"\"exp\":1800000000.5", 1500, TOKEN_EXPIRED},
		{"\"exp\":1.8e9", 999, TOKEN_OK},
		{"\"exp\":0", 0, TOKEN_EXPIRED},
		{"\"exp\":8999999999999", 0, TOKEN_OK},
		{"\"exp\":1800000010,\"nbf\":1800000001", 0, TOKEN_OK},
		{"\"exp\":1800000010,\"nbf\":1800000001.001", 0, TOKEN_BAD},
		{"\"exp\":1800000010,\"nbf\":1800000002", 999, TOKEN_BAD},
		{"\"exp\":1800000010,\"nbf\":1800000002", 1000, TOKEN_OK},
		{"\"exp\":1800000010,\"nbf\":8999999999999", 0, TOKEN_BAD},
		/* iat is not judged. */
		{"\"exp\":1800000010,\"iat\":1900000000", 0, TOKEN_OK},
	};
	struct token_keys *keys = load("", "");

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char claims[256];
		char *token;

		snprintf(claims, sizeof(claims), "{\"sub\":\"alice\",%s}", cases[i].claims);
		token = forge("HS256", "a", "", claims, SECRET, 48);
		if (verify(keys, token, NOW_MS + cases[i].after_now_ms) != cases[i].status)
			fail_msg("case %zu: %s", i, claims);
		free(token);
	}
	token_keys_destroy(keys);
}

static void expired_token_with_a_wrong_signature_is_bad_and_not_expired(void **state)
{
	struct token_keys *keys = load("", "");
	char *token = forge("HS256", "a", "", "{\"sub\":\"alice\",\"exp\":1}", "wrong", 5);

	(void)state;
	assert_int_equal(verify(keys, token, NOW_MS), TOKEN_BAD);
	free(token);
	token_keys_destroy(keys);
}

static void what_is_no_token_is_bad(void **state)
{
	static const char *const cases[] = {
		"",
		".",
		"..",
		"...",
		"a.b.c",
		"a..c",
		".b.c",
		"a.b.",
		"a b.c",
		"eyJhbGciOiJIUzI1NiJ9.e30",
		"\x01.b.c",
		"a+/.b.c",
		"a=.b=.c=",
		"\xff\xfe",
		"QQ.QQ.QQ",
		/* The library ends the process at these. */
		"Q=.QQ.QQ",
		"QQ.Q=.QQ",
		"QQ.QQ.Q=",
		"eyJhbGciOiJIUzI1NiJ9.Q=.QQ",
		"eyJhbGciOiJIUzI1NiJ9.QQ.Q=",
	};
	struct token_keys *keys = load("", "");
	char *good = forge("HS256", "a", "", GOOD, SECRET, 48);
	char *other = calloc(1, TOKEN_BYTES);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(verify(keys, cases[i], NOW_MS), TOKEN_BAD);
	for (size_t cut = 1; cut < strlen(good); cut++) {
		memcpy(other, good, cut);
		other[cut] = '\0';
		assert_int_equal(verify(keys, other, NOW_MS), TOKEN_BAD);
	}
	free(other);
	free(good);
	token_keys_destroy(keys);
}

static void good_token_with_anything_around_it_is_bad(void **state)
{
	static const char *const around[][2] = {
		{" ", ""},   {"", " "},  {"", "\n"},   {"", "\r\n"}, {"\t", ""},  {"Bearer ", ""},
		{"", "="},   {"", "=="}, {"", "."},    {".", ""},    {"", ".QQ"}, {"", ".."},
		{"QQ.", ""}, {"", "A"},  {"", "AAAA"}, {"A", ""},    {"", "%"},   {"\"", "\""},
	};
	struct token_keys *keys = load("", "");
	char *good = forge("HS256", "a", "", GOOD, SECRET, 48);
	char other[1024];

	(void)state;
	assert_int_equal(verify(keys, good, NOW_MS), TOKEN_OK);
	for (size_t i = 0; i < sizeof(around) / sizeof(around[0]); i++) {
		snprintf(other, sizeof(other), "%s%s%s", around[i][0], good, around[i][1]);
		if (verify(keys, other, NOW_MS) != TOKEN_BAD)
			fail_msg("'%s' before, '%s' after", around[i][0], around[i][1]);
	}
	free(good);
	token_keys_destroy(keys);
}

static void token_of_the_longest_size_passes_and_a_longer_one_does_not(void **state)
{
	struct token_keys *keys = load("", "");
	size_t longest = 0;

	(void)state;
	for (size_t filler = 5950; filler < 6100; filler++) {
		char *claims = calloc(1, 8192);
		size_t size;
		char *token;

		size = (size_t)snprintf(claims, 8192,
		                        "{\"sub\":\"alice\",\"exp\":1800003600,\"x\":\"");
		memset(claims + size, 'x', filler);
		memcpy(claims + size + filler, "\"}", 2);
		token = forge("HS256", "a", "", claims, SECRET, 48);
		size = strlen(token);
		assert_int_equal(verify(keys, token, NOW_MS),
		                 size <= LIMIT_TOKEN_BYTES ? TOKEN_OK : TOKEN_BAD);
		if (size <= LIMIT_TOKEN_BYTES)
			longest = size;
		free(token);
		free(claims);
	}
	assert_in_range(longest, LIMIT_TOKEN_BYTES - 1, LIMIT_TOKEN_BYTES);
	token_keys_destroy(keys);
}

static void deeply_nested_claims_are_bad(void **state)
{
	struct token_keys *keys = load("", "");
	char *claims = calloc(1, 6001);
	char *token;

	(void)state;
	memset(claims, '[', 6000);
	token = forge("HS256", "a", "", claims, SECRET, 48);
	assert_true(strlen(token) <= LIMIT_TOKEN_BYTES + 100);
	assert_int_equal(verify(keys, token, NOW_MS), TOKEN_BAD);
	free(token);
	memset(claims + 5000, '\0', 1001);
	token = forge_raw(claims, GOOD, SECRET, 48);
	assert_int_equal(verify(keys, token, NOW_MS), TOKEN_BAD);
	free(token);
	free(claims);
	token_keys_destroy(keys);
}

/* The last character of a part may have bits that belong to no byte; a patient reader ignores them. */
static void token_has_one_spelling(void **state)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	const char *const kids[] = {"a", "ec", "rsa"};
	struct token_keys *keys = load("", "");

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct token_claims claims = alice(NOW_MS + HOUR_MS);
		struct outcome outcome;
		char *token = token_issue(keys, kids[i], &claims, NOW_MS, &outcome);
		char *last = token + strlen(token) - 1;
		int passed = 0;

		for (size_t c = 0; c < 64; c++) {
			*last = alphabet[c];
			passed += verify(keys, token, NOW_MS) == TOKEN_OK;
		}
		assert_int_equal(passed, 1);
		free(token);
	}
	token_keys_destroy(keys);
}

static void es256_signature_of_another_size_is_bad(void **state)
{
	struct token_keys *keys = load("", "");
	struct token_claims claims = alice(NOW_MS + HOUR_MS);
	struct outcome outcome;
	char *token = token_issue(keys, "ec", &claims, NOW_MS, &outcome);
	char *dot = strrchr(token, '.');
	uint8_t padded[72] = {0};
	uint8_t *signature;
	size_t size;
	cjose_err error;

	(void)state;
	assert_true(cjose_base64url_decode(dot + 1, strlen(dot + 1), &signature, &size, &error));
	assert_int_equal(size, 64);
	for (size_t zeros = 0; zeros < 4; zeros++) {
		char other[2048] = "";

		/* Both numbers with zeros in front: the same numbers. */
		memset(padded, 0, sizeof(padded));
		memcpy(padded + zeros, signature, 32);
		memcpy(padded + 2 * zeros + 32, signature + 32, 32);
		memcpy(other, token, (size_t)(dot - token));
		add_part(other, sizeof(other), ".", padded, 64 + 2 * zeros);
		assert_int_equal(verify(keys, other, NOW_MS), zeros ? TOKEN_BAD : TOKEN_OK);
	}
	for (size_t wrong = 1; wrong <= 72; wrong++) {
		char other[2048] = "";

		/* A byte more or less at the end, which halving an odd size forgets. */
		memset(padded, 0, sizeof(padded));
		memcpy(padded, signature, 64);
		memcpy(other, token, (size_t)(dot - token));
		add_part(other, sizeof(other), ".", padded, wrong);
		assert_int_equal(verify(keys, other, NOW_MS), wrong == 64 ? TOKEN_OK : TOKEN_BAD);
	}
	cjose_get_dealloc()(signature);
	free(token);
	token_keys_destroy(keys);
}

static void es256_signature_of_zeros_is_bad(void **state)
{
	struct token_keys *keys = load("", "");
	char token[1024] = "";
	const char header[] = "{\"alg\":\"ES256\",\"kid\":\"ec\"}";
	const uint8_t zeros[64] = {0};

	(void)state;
	add_part(token, sizeof(token), "", header, strlen(header));
	add_part(token, sizeof(token), ".", GOOD, strlen(GOOD));
	add_part(token, sizeof(token), ".", zeros, sizeof(zeros));
	assert_int_equal(verify(keys, token, NOW_MS), TOKEN_BAD);
	token_keys_destroy(keys);
}

static void changed_claims_are_bad(void **state)
{
	const char *const kids[] = {"a", "ec", "rsa"};
	struct token_keys *keys = load("", "");

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct token_claims claims = alice(NOW_MS + HOUR_MS);
		struct outcome outcome;
		char *token = token_issue(keys, kids[i], &claims, NOW_MS, &outcome);
		size_t header = strcspn(token, ".");
		char other[2048];

		/* The right header, somebody else's claims, the right signature of other claims. */
		snprintf(other, sizeof(other), "%.*s", (int)header, token);
		add_part(other, sizeof(other), ".", "{\"sub\":\"mallory\",\"exp\":1800003600}", 36);
		snprintf(other + strlen(other), sizeof(other) - strlen(other), "%s",
		         strrchr(token, '.'));
		assert_int_equal(verify(keys, other, NOW_MS), TOKEN_BAD);
		free(token);
	}
	token_keys_destroy(keys);
}

static void longest_user_id_passes(void **state)
{
	char user[LIMIT_USER_BYTES + 1];
	char claims[256];
	struct token_claims found;
	struct token_keys *keys = load("", "");
	const char *reason;
	char *token;

	(void)state;
	memset(user, 'u', LIMIT_USER_BYTES);
	user[LIMIT_USER_BYTES] = '\0';
	snprintf(claims, sizeof(claims), "{\"sub\":\"%s\",\"exp\":1800003600}", user);
	token = forge("HS256", "a", "", claims, SECRET, 48);
	assert_int_equal(token_verify(keys, token, NOW_MS, &found, &reason), TOKEN_OK);
	assert_string_equal(found.user.text, user);
	assert_int_equal(found.expires_ms, NOW_MS + HOUR_MS);
	free(token);
	token_keys_destroy(keys);
}

static void single_key_needs_no_name_and_public_key_only_verifies(void **state)
{
	char own[] = "/tmp/martlet-key.XXXXXX";
	struct token_options options = {.keys_folder = own};
	struct token_claims claims = alice(NOW_MS + HOUR_MS);
	struct outcome outcome;
	EVP_PKEY *key;
	struct token_keys *signer;
	struct token_keys *keys;
	char path[256];
	FILE *file;
	char *token;

	(void)state;
	assert_non_null(mkdtemp(own));
	path_of("rsa.pem", path);
	file = fopen(path, "r");
	key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
	fclose(file);
	snprintf(path, sizeof(path), "%s/rsa.pem", own);
	file = fopen(path, "w");
	assert_int_equal(PEM_write_PUBKEY(file, key), 1);
	fclose(file);
	assert_int_equal(chmod(path, 0644), 0);
	signer = load("", "");
	keys = token_keys_load(&options, &outcome);
	assert_non_null(keys);

	token = token_issue(signer, "rsa", &claims, NOW_MS, &outcome);
	assert_int_equal(verify(keys, token, NOW_MS), TOKEN_OK);
	assert_null(token_issue(keys, NULL, &claims, NOW_MS, &outcome));
	assert_non_null(strstr(outcome.text, "can sign"));
	free(token);
	token = forge("HS256", NULL, "", GOOD, SECRET, 48);
	assert_int_equal(verify(keys, token, NOW_MS), TOKEN_BAD);
	free(token);
	/* A name of the wrong kind is not the same as none. */
	token = forge("HS256", NULL, ",\"kid\":null", GOOD, SECRET, 48);
	assert_int_equal(verify(keys, token, NOW_MS), TOKEN_BAD);
	free(token);
	token = forge("none", NULL, "", GOOD, NULL, 0);
	assert_int_equal(verify(keys, token, NOW_MS), TOKEN_BAD);
	free(token);

	token_keys_destroy(keys);
	unlink(path);
	/* And the same with a secret, where a token without a kid is good. */
	snprintf(path, sizeof(path), "%s/only.secret", own);
	file = fopen(path, "w");
	fwrite(SECRET, 1, 48, file);
	fclose(file);
	assert_int_equal(chmod(path, 0600), 0);
	keys = token_keys_load(&options, &outcome);
	assert_non_null(keys);
	token = forge("HS256", NULL, "", GOOD, SECRET, 48);
	assert_int_equal(verify(keys, token, NOW_MS), TOKEN_OK);
	free(token);
	token = forge("HS256", NULL, ",\"kid\":null", GOOD, SECRET, 48);
	assert_int_equal(verify(keys, token, NOW_MS), TOKEN_BAD);
	free(token);
	token_keys_destroy(keys);
	unlink(path);
	rmdir(own);
	token_keys_destroy(signer);
	EVP_PKEY_free(key);
}

static void issuing_with_a_key_that_is_not_there_says_so(void **state)
{
	struct token_keys *keys = load("", "");
	struct token_claims claims = alice(NOW_MS + HOUR_MS);
	struct outcome outcome;

	(void)state;
	assert_null(token_issue(keys, "nobody", &claims, NOW_MS, &outcome));
	assert_non_null(strstr(outcome.text, "no key named nobody can sign"));
	token_keys_destroy(keys);
	token_keys_destroy(NULL);
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
	write_secret("long.secret", 1025, 0600);
	assert_refused("long.secret is no secret of 32 to 1024");
	remove_key("long.secret");
	write_secret("group.secret", 48, 0660);
	assert_refused("group.secret can be written by its group");
	remove_key("group.secret");
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
	write_pem("ed.pem", EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"));
	assert_refused("ed.pem is neither an RSA nor an elliptic-curve key");
	remove_key("ed.pem");
}

static void public_key_that_others_may_write_is_refused(void **state)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");

	(void)state;
	write_public_pem("p.pem", key, 0646);
	assert_refused("p.pem can be written by its group or others");
	write_public_pem("p.pem", key, 0644);
	token_keys_destroy(load("", ""));
	remove_key("p.pem");
	EVP_PKEY_free(key);
}

static void two_keys_of_one_name_are_refused_even_with_another_between(void **state)
{
	(void)state;
	write_pem("a.pem", EVP_EC_gen("P-256"));
	assert_refused("holds two keys named a");
	write_pem("a.q.pem", EVP_EC_gen("P-256"));
	assert_refused("holds two keys named a");
	remove_key("a.q.pem");
	remove_key("a.pem");
}

static void folder_without_keys_or_of_a_long_name_still_tells_why(void **state)
{
	char own[256] =
		"/tmp/martlet-key-with-a-name-that-is-much-longer-than-what-an-outcome-can-tell-"
		"of-it-and-of-the-reason-that-it-is-refused-for-at-the-same-time.XXXXXX";
	const struct token_options options = {.keys_folder = own};
	const struct token_options nowhere = {.keys_folder = "/nowhere"};
	struct outcome outcome;

	(void)state;
	assert_null(token_keys_load(&nowhere, &outcome));
	assert_string_equal(outcome.text, "/nowhere cannot be read: No such file or directory");
	assert_non_null(mkdtemp(own));
	assert_null(token_keys_load(&options, &outcome));
	assert_non_null(strstr(outcome.text, "holds no key; put a KID.secret or KID.pem there"));
	rmdir(own);
}

static void issuer_that_is_no_utf8_is_refused(void **state)
{
	const struct token_options options = {.keys_folder = folder, .issuer = "\xe9"};
	struct outcome outcome;

	(void)state;
	assert_null(token_keys_load(&options, &outcome));
	assert_non_null(strstr(outcome.text, "must be UTF-8"));
}

static void services_token_is_a_services_alone(void **state)
{
	struct token_keys *keys;
	struct token_claims claims = alice(NOW_MS + HOUR_MS);
	struct token_claims read;
	struct outcome outcome;
	const char *reason;
	char *users;
	char *services;

	(void)state;
	write_secret("k.secret", 32, 0600);
	keys = load("", "");
	users = token_issue(keys, NULL, &claims, NOW_MS, &outcome);
	snprintf(claims.service.text, sizeof(claims.service.text), "shop");
	claims.scopes = TOKEN_SCOPE_PUSH;
	services = token_issue(keys, NULL, &claims, NOW_MS, &outcome);

	assert_int_equal(token_verify(keys, users, NOW_MS, &read, &reason), TOKEN_OK);
	assert_string_equal(read.service.text, "");
	assert_int_equal(token_verify(keys, services, NOW_MS, &read, &reason), TOKEN_BAD);
	assert_string_equal(reason, "the token is a service's, no user's");
	assert_int_equal(token_verify(keys, services, NOW_MS + 2 * HOUR_MS, &read, &reason),
	                 TOKEN_BAD);
	assert_int_equal(token_verify_service(keys, services, NOW_MS, &read, &reason), TOKEN_OK);
	assert_string_equal(read.service.text, "shop");
	assert_int_equal(read.scopes, TOKEN_SCOPE_PUSH);
	assert_int_equal(token_verify_service(keys, users, NOW_MS, &read, &reason), TOKEN_BAD);
	assert_string_equal(reason, "the token is a user's, no service's");
	free(users);
	free(services);
	token_keys_destroy(keys);
	remove_key("k.secret");
}

static void scope_is_words_of_which_others_mean_nothing(void **state)
{
	static const struct {
		const char *claims;
		unsigned int scopes;
	} rows[] = {
		{"\"martlet_service\":\"a\"", 0},
		{"\"martlet_service\":\"a\",\"scope\":\"\"", 0},
		{"\"martlet_service\":\"a\",\"scope\":\"notify\"", TOKEN_SCOPE_NOTIFY},
		{"\"martlet_service\":\"a\",\"scope\":\" push  notify \"",
	         TOKEN_SCOPE_NOTIFY | TOKEN_SCOPE_PUSH},
		{"\"martlet_service\":\"a\",\"scope\":\"openid push\"", TOKEN_SCOPE_PUSH},
		{"\"martlet_service\":\"a\",\"scope\":\"notifying Notify pushy\"", 0},
		{"\"martlet_service\":\"a\",\"scope\":[\"notify\"]", 0},
	};
	static const char *const bad[] = {
		"\"martlet_service\":\"\"",    "\"martlet_service\":null",
		"\"martlet_service\":\"a/b\"", "\"martlet_service\":[\"a\"]",
		"\"martlet_service\":true",
	};
	struct token_keys *keys;
	struct token_claims read;
	const char *reason;
	char claims[256];

	(void)state;
	write_secret("k.secret", 32, 0600);
	keys = load("", "");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *token;

		snprintf(claims, sizeof(claims), "{\"sub\":\"a\",\"exp\":1900000000,%s}",
		         rows[i].claims);
		token = forge("HS256", "k", "", claims, "abcdefghijklmnopqrstuvwxyzabcdef", 32);
		if (token_verify_service(keys, token, NOW_MS, &read, &reason) != TOKEN_OK ||
		    read.scopes != rows[i].scopes)
			fail_msg("%s", claims);
		free(token);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char *token;

		snprintf(claims, sizeof(claims), "{\"sub\":\"a\",\"exp\":1900000000,%s}", bad[i]);
		token = forge("HS256", "k", "", claims, "abcdefghijklmnopqrstuvwxyzabcdef", 32);
		assert_int_equal(token_verify_service(keys, token, NOW_MS, &read, &reason),
		                 TOKEN_BAD);
		assert_int_equal(token_verify(keys, token, NOW_MS, &read, &reason), TOKEN_BAD);
		free(token);
	}
	token_keys_destroy(keys);
	remove_key("k.secret");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(token_of_each_algorithm_passes),
		cmocka_unit_test(token_for_another_audience_or_issuer_is_bad),
		cmocka_unit_test(forged_headers_are_bad),
		cmocka_unit_test(key_that_a_token_brings_is_not_used),
		cmocka_unit_test(header_that_is_no_object_or_has_wrong_kinds_is_bad),
		cmocka_unit_test(public_key_used_as_a_secret_is_bad),
		cmocka_unit_test(claims_of_the_wrong_kind_are_bad),
		cmocka_unit_test(audience_and_issuer_may_have_the_forms_of_the_standard_only),
		cmocka_unit_test(times_are_judged_to_the_millisecond_with_leeway),
		cmocka_unit_test(expired_token_with_a_wrong_signature_is_bad_and_not_expired),
		cmocka_unit_test(what_is_no_token_is_bad),
		cmocka_unit_test(good_token_with_anything_around_it_is_bad),
		cmocka_unit_test(token_of_the_longest_size_passes_and_a_longer_one_does_not),
		cmocka_unit_test(deeply_nested_claims_are_bad),
		cmocka_unit_test(token_has_one_spelling),
		cmocka_unit_test(es256_signature_of_another_size_is_bad),
		cmocka_unit_test(es256_signature_of_zeros_is_bad),
		cmocka_unit_test(changed_claims_are_bad),
		cmocka_unit_test(longest_user_id_passes),
		cmocka_unit_test(single_key_needs_no_name_and_public_key_only_verifies),
		cmocka_unit_test(issuing_with_a_key_that_is_not_there_says_so),
		cmocka_unit_test(weak_open_or_strange_keys_are_refused_by_name),
		cmocka_unit_test(public_key_that_others_may_write_is_refused),
		cmocka_unit_test(two_keys_of_one_name_are_refused_even_with_another_between),
		cmocka_unit_test(folder_without_keys_or_of_a_long_name_still_tells_why),
		cmocka_unit_test(issuer_that_is_no_utf8_is_refused),
		cmocka_unit_test(services_token_is_a_services_alone),
		cmocka_unit_test(scope_is_words_of_which_others_mean_nothing),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
