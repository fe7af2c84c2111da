#include "plugin/login.h"

#include <openssl/crypto.h>
#include <string.h>

static const char *judge_bridge(const struct login_rules *rules, const char *password)
{
	size_t size = rules->bridge_password ? strlen(rules->bridge_password) : 0;

	if (!rules->bridge_password)
		return "the bridges' user name is not let in by a token";
	/* How long it takes tells nothing but the length. */
	if (strlen(password) != size || CRYPTO_memcmp(password, rules->bridge_password, size) != 0)
		return "the bridges' password is another";
	return NULL;
}

/* Everything but the time of a token. */
static const char *judge_user(const struct principal *principal, const struct token_claims *claims)
{
	if (!user_id_is_equal(&claims->user, &principal->name))
		return "the token's sub is not the user name";
	return NULL;
}

static const char *judge_service(const struct principal *principal,
                                 const struct token_claims *claims)
{
	bool is_push = principal->kind == PRINCIPAL_PUSH;

	if (!user_id_is_equal(&claims->service, &principal->name))
		return "the token's martlet_service is not the one in the user name";
	if (!(claims->scopes & (is_push ? TOKEN_SCOPE_PUSH : TOKEN_SCOPE_NOTIFY)))
		return is_push ? "the token's scope has no push"
		               : "the token's scope has no notify";
	return NULL;
}

static const char *judge_token(const struct login_rules *rules, const char *token, int64_t now_ms,
                               struct login *login)
{
	bool is_user = login->principal.kind == PRINCIPAL_USER;
	struct token_claims claims;
	const char *reason;
	enum token_status status =
		is_user ? token_verify(rules->keys, token, now_ms, &claims, &reason)
			: token_verify_service(rules->keys, token, now_ms, &claims, &reason);
	const char *fault;

	if (status == TOKEN_BAD)
		return reason;
	login->expires_ms = claims.expires_ms;
	fault = is_user ? judge_user(&login->principal, &claims)
	                : judge_service(&login->principal, &claims);
	if (fault)
		return fault;
	login->is_expired = status == TOKEN_EXPIRED;
	return login->is_expired ? reason : NULL;
}

const char *login_judge(const struct login_rules *rules, const char *user_name,
                        const char *client_id, const char *password, int64_t now_ms,
                        struct login *ret_login)
{
	*ret_login = (struct login){.expires_ms = INT64_MAX};
	if (!user_name || !password)
		return "a user name and a password are needed";
	if (!principal_from_names(user_name, client_id, rules->bridge_user, &ret_login->principal))
		return "the client id is not the user name, a slash and a device";
	if (ret_login->principal.kind == PRINCIPAL_BRIDGE)
		return judge_bridge(rules, password);
	return judge_token(rules, password, now_ms, ret_login);
}
