#include "auth/keys.h"

#include "base/memory.h"
#include "base/must.h"
#include "model/id.h"

#include <dirent.h>
#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SECRET_BYTES_LEAST 32 /* RFC 7518, section 3.2 */
#define SECRET_BYTES_MOST 1024
#define RSA_BITS_LEAST 2048 /* RFC 7518, section 3.3 */
#define COORDINATE_BYTES 32 /* of P-256 */
#define PATH_BYTES 4096
#define SHOWN_BYTES 72 /* of a path */

/* The end of a path: an outcome's text is short, and what is wrong must fit it too. */
static const char *tail(const char *path)
{
	size_t size = strlen(path);

	return size > SHOWN_BYTES ? path + size - SHOWN_BYTES : path;
}

static struct outcome wrong(const char *path, const char *why)
{
	return outcome_refuse(OUTCOME_INVALID_ARGUMENT, "%s %s", tail(path), why);
}

static struct outcome unreadable(const char *path)
{
	return outcome_refuse(OUTCOME_NOT_FOUND, "%s cannot be read: %s", tail(path),
	                      strerror(errno));
}

/* A number of a key in big-endian bytes; NULL if the key has none of that name. */
static uint8_t *get_number(const EVP_PKEY *pkey, const char *name, size_t least, size_t *ret_size)
{
	BIGNUM *number = NULL;
	uint8_t *bytes;

	*ret_size = 0;
	if (!EVP_PKEY_get_bn_param(pkey, name, &number))
		return NULL;
	*ret_size = (size_t)BN_num_bytes(number) > least ? (size_t)BN_num_bytes(number) : least;
	bytes = memory_new(*ret_size);
	must(BN_bn2binpad(number, bytes, (int)*ret_size) == (int)*ret_size);
	BN_clear_free(number);
	return bytes;
}

static void forget(uint8_t *bytes, size_t size)
{
	if (bytes)
		OPENSSL_cleanse(bytes, size);
	free(bytes);
}

static struct outcome take_rsa(const char *path, const EVP_PKEY *pkey, struct key *ret_key)
{
	cjose_jwk_rsa_keyspec spec = {0};
	cjose_err error;

	if (EVP_PKEY_get_bits(pkey) < RSA_BITS_LEAST)
		return wrong(path, "is an RSA key of less than 2048 bits");
	spec.n = get_number(pkey, OSSL_PKEY_PARAM_RSA_N, 0, &spec.nlen);
	spec.e = get_number(pkey, OSSL_PKEY_PARAM_RSA_E, 0, &spec.elen);
	spec.d = get_number(pkey, OSSL_PKEY_PARAM_RSA_D, 0, &spec.dlen);
	spec.p = get_number(pkey, OSSL_PKEY_PARAM_RSA_FACTOR1, 0, &spec.plen);
	spec.q = get_number(pkey, OSSL_PKEY_PARAM_RSA_FACTOR2, 0, &spec.qlen);
	spec.dp = get_number(pkey, OSSL_PKEY_PARAM_RSA_EXPONENT1, 0, &spec.dplen);
	spec.dq = get_number(pkey, OSSL_PKEY_PARAM_RSA_EXPONENT2, 0, &spec.dqlen);
	spec.qi = get_number(pkey, OSSL_PKEY_PARAM_RSA_COEFFICIENT1, 0, &spec.qilen);
	ret_key->algorithm = CJOSE_HDR_ALG_RS256;
	ret_key->can_sign = spec.d != NULL;
	ret_key->jwk = cjose_jwk_create_RSA_spec(&spec, &error);
	forget(spec.n, spec.nlen);
	forget(spec.e, spec.elen);
	forget(spec.d, spec.dlen);
	forget(spec.p, spec.plen);
	forget(spec.q, spec.qlen);
	forget(spec.dp, spec.dplen);
	forget(spec.dq, spec.dqlen);
	forget(spec.qi, spec.qilen);
	return ret_key->jwk ? outcome_ok() : wrong(path, "is no usable RSA key");
}

static struct outcome take_ec(const char *path, const EVP_PKEY *pkey, struct key *ret_key)
{
	cjose_jwk_ec_keyspec spec = {.crv = CJOSE_JWK_EC_P_256};
	char curve[32] = "";
	cjose_err error;

	EVP_PKEY_get_utf8_string_param(pkey, OSSL_PKEY_PARAM_GROUP_NAME, curve, sizeof(curve),
	                               NULL);
	if (strcmp(curve, "prime256v1") != 0)
		return wrong(path, "is an elliptic-curve key, but not on P-256");
	spec.x = get_number(pkey, OSSL_PKEY_PARAM_EC_PUB_X, COORDINATE_BYTES, &spec.xlen);
	spec.y = get_number(pkey, OSSL_PKEY_PARAM_EC_PUB_Y, COORDINATE_BYTES, &spec.ylen);
	spec.d = get_number(pkey, OSSL_PKEY_PARAM_PRIV_KEY, COORDINATE_BYTES, &spec.dlen);
	ret_key->algorithm = CJOSE_HDR_ALG_ES256;
	ret_key->can_sign = spec.d != NULL;
	ret_key->jwk = cjose_jwk_create_EC_spec(&spec, &error);
	forget(spec.x, spec.xlen);
	forget(spec.y, spec.ylen);
	forget(spec.d, spec.dlen);
	return ret_key->jwk ? outcome_ok() : wrong(path, "is no usable P-256 key");
}

static EVP_PKEY *read_pem(FILE *file)
{
	/* No password is ever asked for: the empty one is given. */
	EVP_PKEY *pkey = PEM_read_PrivateKey(file, NULL, NULL, (void *)(uintptr_t) "");

	if (pkey)
		return pkey;
	rewind(file);
	return PEM_read_PUBKEY(file, NULL, NULL, NULL);
}

static struct outcome take_pem(const char *path, FILE *file, struct key *ret_key)
{
	EVP_PKEY *pkey = read_pem(file);
	struct outcome outcome;

	if (!pkey)
		outcome = wrong(path, "holds no PEM key, neither private nor public");
	else if (EVP_PKEY_is_a(pkey, "RSA"))
		outcome = take_rsa(path, pkey, ret_key);
	else if (EVP_PKEY_is_a(pkey, "EC"))
		outcome = take_ec(path, pkey, ret_key);
	else
		outcome = wrong(path, "is neither an RSA nor an elliptic-curve key");
	EVP_PKEY_free(pkey);
	return outcome;
}

static struct outcome take_secret(const char *path, FILE *file, struct key *ret_key)
{
	uint8_t secret[SECRET_BYTES_MOST + 1];
	size_t size = fread(secret, 1, sizeof(secret), file);
	cjose_err error;

	if (size < SECRET_BYTES_LEAST || size > SECRET_BYTES_MOST)
		return wrong(path, "is no secret of 32 to 1024 bytes");
	ret_key->algorithm = CJOSE_HDR_ALG_HS256;
	ret_key->can_sign = true;
	ret_key->jwk = cjose_jwk_create_oct_spec(secret, size, &error);
	OPENSSL_cleanse(secret, sizeof(secret));
	return ret_key->jwk ? outcome_ok() : wrong(path, "is no usable secret");
}

/* Splits "kid.ending". NULL if it is no key's name. */
static const char *split_name(const char *name, struct key *ret_key)
{
	const char *dot = strrchr(name, '.');
	size_t size = dot ? (size_t)(dot - name) : 0;

	if (!size || size > KEY_ID_BYTES ||
	    (strcmp(dot, ".secret") != 0 && strcmp(dot, ".pem") != 0))
		return NULL;
	memcpy(ret_key->id, name, size);
	ret_key->id[size] = '\0';
	return id_is_valid(ret_key->id) ? dot : NULL;
}

/* Whoever can write a key, public or not, can sign in as anybody; whoever can read a secret one, too. */
static struct outcome judge_mode(const char *path, FILE *file, const struct key *key)
{
	struct stat status;

	if (fstat(fileno(file), &status) != 0)
		return unreadable(path);
	if (key->can_sign && (status.st_mode & S_IRWXO))
		return wrong(path, "can be read by others; chmod 640 it");
	if (status.st_mode & (S_IWGRP | S_IWOTH))
		return wrong(path, "can be written by its group or others; chmod go-w it");
	return outcome_ok();
}

static struct outcome read_key(const char *folder, const char *name, struct key *ret_key)
{
	const char *ending = split_name(name, ret_key);
	struct outcome outcome;
	char path[PATH_BYTES];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	if (!ending)
		return wrong(path,
		             "is not named KID.secret or KID.pem, KID of A-Z a-z 0-9 . _ ~ @ -");
	file = fopen(path, "re");
	if (!file)
		return unreadable(path);
	outcome = strcmp(ending, ".pem") == 0 ? take_pem(path, file, ret_key)
	                                      : take_secret(path, file, ret_key);
	if (outcome_is_ok(&outcome))
		outcome = judge_mode(path, file, ret_key);
	fclose(file);
	return outcome;
}

static int is_no_dotfile(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* a.pem and a.secret need not be neighbours: a.q.pem stands between them. */
static bool has_key(const struct key *keys, size_t count, const char *id)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(keys[i].id, id) == 0)
			return true;
	}
	return false;
}

static struct outcome read_all(const char *folder, struct dirent **entries, size_t count,
                               struct key *keys)
{
	struct outcome outcome = outcome_ok();

	if (!count)
		return wrong(folder, "holds no key; put a KID.secret or KID.pem there");
	for (size_t i = 0; i < count && outcome_is_ok(&outcome); i++) {
		outcome = read_key(folder, entries[i]->d_name, &keys[i]);
		if (outcome_is_ok(&outcome) && has_key(keys, i, keys[i].id))
			outcome = outcome_refuse(OUTCOME_INVALID_ARGUMENT,
			                         "%s holds two keys named %s", tail(folder),
			                         keys[i].id);
	}
	return outcome;
}

struct key *keys_read(const char *folder, size_t *ret_count, struct outcome *ret_outcome)
{
	struct dirent **entries;
	int count = scandir(folder, &entries, is_no_dotfile, alphasort);
	struct key *keys;

	if (count < 0) {
		*ret_outcome = unreadable(folder);
		return NULL;
	}
	keys = memory_new_array((size_t)count, sizeof(*keys));
	*ret_count = (size_t)count;
	*ret_outcome = read_all(folder, entries, (size_t)count, keys);
	for (int i = 0; i < count; i++)
		free(entries[i]);
	free(entries);
	if (outcome_is_ok(ret_outcome))
		return keys;
	keys_free(keys, (size_t)count);
	return NULL;
}

void keys_free(struct key *keys, size_t count)
{
	for (size_t i = 0; keys && i < count; i++) {
		if (keys[i].jwk)
			cjose_jwk_release(keys[i].jwk);
	}
	free(keys);
}
