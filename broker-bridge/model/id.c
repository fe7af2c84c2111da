#include "model/id.h"

#include <string.h>

static bool is_id_character(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       c == '.' || c == '_' || c == '~' || c == '@' || c == '-';
}

bool id_is_valid(const char *text)
{
	size_t size = 0;

	if (!text)
		return false;
	while (size <= LIMIT_USER_BYTES && is_id_character(text[size]))
		size++;
	return size >= 1 && size <= LIMIT_USER_BYTES && text[size] == '\0';
}

bool user_id_from_text(const char *text, struct user_id *ret_id)
{
	if (!id_is_valid(text))
		return false;
	/* The rest is zeroed too: ids are compared and hashed as whole structs. */
	memset(ret_id, 0, sizeof(*ret_id));
	memcpy(ret_id->text, text, strlen(text));
	return true;
}

bool user_id_is_equal(const struct user_id *a, const struct user_id *b)
{
	return strcmp(a->text, b->text) == 0;
}

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static bool is_dash_place(int place)
{
	return place == 8 || place == 13 || place == 18 || place == 23;
}

bool uuid_from_text(const char *text, struct uuid *ret_uuid)
{
	struct uuid uuid = {{0}};
	int digits = 0;

	if (!text)
		return false;
	for (int i = 0; i < UUID_TEXT_BYTES - 1; i++) {
		int value = digit_value(text[i]);

		if (is_dash_place(i) ? text[i] != '-' : value < 0)
			return false;
		if (is_dash_place(i))
			continue;
		uuid.bytes[digits / 2] = (uint8_t)(uuid.bytes[digits / 2] << 4 | value);
		digits++;
	}
	if (text[UUID_TEXT_BYTES - 1] != '\0')
		return false;
	*ret_uuid = uuid;
	return true;
}

struct uuid_text uuid_to_text(const struct uuid *uuid)
{
	static const char digits[] = "0123456789abcdef";
	struct uuid_text text;
	char *at = text.text;

	for (int i = 0; i < 16; i++) {
		if (is_dash_place((int)(at - text.text)))
			*at++ = '-';
		*at++ = digits[uuid->bytes[i] >> 4];
		*at++ = digits[uuid->bytes[i] & 15];
	}
	*at = '\0';
	return text;
}

bool uuid_is_equal(const struct uuid *a, const struct uuid *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

bool uuid_is_nil(const struct uuid *uuid)
{
	return uuid_is_equal(uuid, &(struct uuid){{0}});
}

struct uuid uuid_v7(uint64_t time_ms, const uint8_t random[10])
{
	struct uuid uuid;

	for (int i = 0; i < 6; i++)
		uuid.bytes[i] = (uint8_t)(time_ms >> (40 - 8 * i));
	memcpy(uuid.bytes + 6, random, 10);
	uuid.bytes[6] = (uint8_t)((uuid.bytes[6] & 0x0f) | 0x70);
	uuid.bytes[8] = (uint8_t)((uuid.bytes[8] & 0x3f) | 0x80);
	return uuid;
}

static uint32_t hash(const void *bytes, size_t size)
{
	const uint8_t *at = bytes;
	uint32_t value = 2166136261u;

	for (size_t i = 0; i < size; i++)
		value = (value ^ at[i]) * 16777619u;
	return value;
}

uint32_t shard_of_conversation(const struct uuid *conversation, uint32_t shards)
{
	return hash(conversation->bytes, sizeof(conversation->bytes)) % shards;
}

uint32_t shard_of_user(const struct user_id *user, uint32_t shards)
{
	return hash(user->text, strlen(user->text)) % shards;
}
