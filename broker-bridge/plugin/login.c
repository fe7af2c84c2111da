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

static const char *judge_user(const struct login_rules *rules, const char *token, int64_t now_ms,
                              const struct principal *principal, struct token_claims *ret_claims)
{
	const char *reason;

	if (token_verify(rules->keys, token, now_ms, ret_claims, &reason) != TOKEN_OK)
		return reason;
	if (!user_id_is_equal(&ret_claims->user, &principal->name))
		return "the token's sub is not the user name";
	return NULL;
}

static const char *judge_service(const struct login_rules *rules, const char *token, int64_t now_ms,
                                 const struct principal *principal, struct token_claims *ret_claims)
{
	unsigned int scope =
		principal->kind == PRINCIPAL_PUSH ? TOKEN_SCOPE_PUSH : TOKEN_SCOPE_NOTIFY;
	const char *reason;

	if (token_verify_service(rules->keys, token, now_ms, ret_claims, &reason) != TOKEN_OK)
		return reason;
	if (!user_id_is_equal(&ret_claims->service, &principal->name))
		return "the token's martlet_service is not the one in the user name";
	if (!(ret_claims->scopes & scope))
		return scope == TOKEN_SCOPE_PUSH ? "the token's scope has no push"
		                                 : "the token's scope has no notify";
	return NULL;
}

const char *login_judge(const struct login_rules *rules, const char *user_name,
                        const char *client_id, const char *password, int64_t now_ms,
                        struct login *ret_login)
{
	struct token_claims claims = {0};
	const char *reason;

	if (!user_name || !password)
		return "a user name and a password are needed";
	if (!principal_from_names(user_name, client_id, rules->bridge_user, &ret_login->principal))
		return "the client id is not the user name, a slash and a device";
	switch (ret_login->principal.kind) {
	case PRINCIPAL_BRIDGE:
		ret_login->expires_ms = INT64_MAX;
		return judge_bridge(rules, password);
	case PRINCIPAL_USER:
		reason = judge_user(rules, password, now_ms, &ret_login->principal, &claims);
		break;
	default:
		reason = judge_service(rules, password, now_ms, &ret_login->principal, &claims);
		break;
	}
	ret_login->expires_ms = claims.expires_ms;
	return reason;
}
