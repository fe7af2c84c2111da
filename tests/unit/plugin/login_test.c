#include "plugin/login.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define NOW_MS INT64_C(1800000000000)
#define HOUR_MS INT64_C(3600000)

static char folder[] = "/tmp/martlet-login.XXXXXX";
static char path[64];
static struct token_keys *keys;

static int setup(void **state)
{
	struct outcome outcome;
	FILE *file;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/k.secret", folder);
	file = fopen(path, "w");
	fprintf(file, "%048d", 7);
	fclose(file);
	chmod(path, 0600);
	keys = token_keys_load(&(struct token_options){.keys_folder = folder}, &outcome);
	return keys ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	token_keys_destroy(keys);
	unlink(path);
	return rmdir(folder);
}

static const char *judge(const char *user_name, const char *client_id, const char *password,
                         struct login *ret_login)
{
	const struct login_rules rules = {keys, "bridge", "correct"};

	return login_judge(&rules, user_name, client_id, password, NOW_MS, ret_login);
}

/* A token that expires in so long. */
static char *token(const char *user, const char *service, unsigned int scopes, int64_t in_ms)
{
	struct token_claims claims = {.expires_ms = NOW_MS + in_ms, .scopes = scopes};
	struct outcome outcome;

	snprintf(claims.user.text, sizeof(claims.user.text), "%s", user);
	snprintf(claims.service.text, sizeof(claims.service.text), "%s", service);
	return token_issue(keys, NULL, &claims, NOW_MS, &outcome);
}

static void each_comes_in_with_what_is_its_own(void **state)
{
	char *users = token("alice", "", 0, HOUR_MS);
	char *services = token("x", "shop", TOKEN_SCOPE_NOTIFY, HOUR_MS);
	char *gateways = token("x", "gate", TOKEN_SCOPE_PUSH, HOUR_MS);
	struct login login;

	(void)state;
	assert_null(judge("alice", "alice/phone", users, &login));
	assert_int_equal(login.principal.kind, PRINCIPAL_USER);
	assert_int_equal(login.expires_ms, NOW_MS + HOUR_MS);
	assert_null(judge("service:shop", "service:shop/1", services, &login));
	assert_int_equal(login.principal.kind, PRINCIPAL_SERVICE);
	assert_null(judge("push:gate", "push:gate/1", gateways, &login));
	assert_int_equal(login.principal.kind, PRINCIPAL_PUSH);
	assert_null(judge("bridge", "any", "correct", &login));
	assert_int_equal(login.principal.kind, PRINCIPAL_BRIDGE);
	assert_int_equal(login.expires_ms, INT64_MAX);

	assert_non_null(judge("bob", "bob/phone", users, &login));
	assert_non_null(judge("alice", "bob/phone", users, &login));
	assert_non_null(judge("x", "x/phone", services, &login));
	assert_non_null(judge("push:shop", "push:shop/1", services, &login));
	assert_non_null(judge("service:gate", "service:gate/1", gateways, &login));
	assert_non_null(judge("bridge", "any", "correc", &login));
	assert_non_null(judge("bridge", "any", "correct ", &login));
	assert_non_null(judge("bridge", "any", users, &login));
	assert_non_null(judge(NULL, "alice/phone", users, &login));
	assert_non_null(judge("alice", "alice/phone", NULL, &login));
	free(users);
	free(services);
	free(gateways);
}

static void expired_is_told_only_of_who_would_have_come_in(void **state)
{
	char *users = token("alice", "", 0, -HOUR_MS);
	char *services = token("x", "shop", TOKEN_SCOPE_NOTIFY, -HOUR_MS);
	struct login login;

	(void)state;
	assert_string_equal(judge("alice", "alice/phone", users, &login), "the token has expired");
	assert_true(login.is_expired);
	assert_non_null(judge("bob", "bob/phone", users, &login));
	assert_false(login.is_expired);
	assert_non_null(judge("service:shop", "service:shop/1", services, &login));
	assert_true(login.is_expired);
	assert_non_null(judge("push:shop", "push:shop/1", services, &login));
	assert_false(login.is_expired);
	users[strlen(users) - 4] ^= 1;
	assert_non_null(judge("alice", "alice/phone", users, &login));
	assert_false(login.is_expired);
	free(users);
	free(services);
}

static void without_a_password_of_theirs_bridges_are_not_let_in_here(void **state)
{
	const struct login_rules rules = {keys, "bridge", NULL};
	char *bridges = token("bridge", "", 0, HOUR_MS);
	struct login login;

	(void)state;
	assert_non_null(login_judge(&rules, "bridge", "bridge/1", bridges, NOW_MS, &login));
	assert_non_null(login_judge(&rules, "bridge", "bridge/1", "", NOW_MS, &login));
	free(bridges);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_comes_in_with_what_is_its_own),
		cmocka_unit_test(expired_is_told_only_of_who_would_have_come_in),
		cmocka_unit_test(without_a_password_of_theirs_bridges_are_not_let_in_here),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
