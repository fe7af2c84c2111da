/* login - who may come in: user name, client id and password judged together.
 *
 * Users and services bring a token as their password (auth/token.h), bridges a password of their own. The names
 * must belong together (model/rules.h) and be the token's: a user's `sub`, a service's `martlet_service` with the
 * scope of what it comes for.
 *
 * Fails:    by a reason, without any part of the password.
 */
#ifndef MARTLET_PLUGIN_LOGIN_H
#define MARTLET_PLUGIN_LOGIN_H

#include "auth/token.h"
#include "model/rules.h"

#include <stdbool.h>
#include <stdint.h>

struct login_rules {
	const struct token_keys *keys;
	const char *bridge_user;
	const char *bridge_password; /* NULL: bridges are let in elsewhere, never here */
};

struct login {
	struct principal principal;
	int64_t expires_ms; /* since 1970; INT64_MAX for a bridge */
	bool is_expired; /* the only fault: names and token belong together, but its time is over */
};

/* NULL if they may come in, with ret_login; otherwise why not. Any of the texts may be NULL. */
const char *login_judge(const struct login_rules *rules, const char *user_name,
                        const char *client_id, const char *password, int64_t now_ms,
                        struct login *ret_login) __attribute__((warn_unused_result));

#endif
