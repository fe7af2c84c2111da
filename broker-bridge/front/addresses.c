#include "front/addresses.h"

#include "base/memory.h"
#include "base/must.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#define SUBSCRIBER_BYTES 8 /* of an IPv6 address: its /64 */
#define IPV4_BITS 96       /* in front of an IPv4 address */
#define TEXT_BYTES 64

struct entry {
	struct address address;
	uint32_t count;
	UT_hash_handle hh;
};

struct addresses {
	struct entry *entries;
};

static const uint8_t ipv4_prefix[12] = {[10] = 0xff, [11] = 0xff};

static bool is_ipv4(const struct address *address)
{
	return memcmp(address->bytes, ipv4_prefix, sizeof(ipv4_prefix)) == 0;
}

static void set_ipv4(struct address *address, const void *bytes)
{
	memcpy(address->bytes, ipv4_prefix, sizeof(ipv4_prefix));
	memcpy(address->bytes + sizeof(ipv4_prefix), bytes, 4);
}

bool address_of_socket(const struct sockaddr *socket, struct address *ret_address)
{
	*ret_address = (struct address){{0}};
	if (socket->sa_family == AF_INET)
		set_ipv4(ret_address, &((const struct sockaddr_in *)socket)->sin_addr);
	else if (socket->sa_family == AF_INET6)
		memcpy(ret_address->bytes, &((const struct sockaddr_in6 *)socket)->sin6_addr,
		       sizeof(ret_address->bytes));
	else
		return false;
	return true;
}

/* The address alone, as it is written. */
static bool read_address(const char *text, struct address *ret_address)
{
	uint8_t ipv4[4];

	if (inet_pton(AF_INET, text, ipv4) == 1) {
		set_ipv4(ret_address, ipv4);
		return true;
	}
	return inet_pton(AF_INET6, text, ret_address->bytes) == 1;
}

/* Takes off what stands around an address: brackets, and a port. An IPv6 address with a port has brackets. */
static char *strip(char *text)
{
	char *colon = strchr(text, ':');
	char *bracket;

	if (*text != '[') {
		if (colon && !strchr(colon + 1, ':'))
			*colon = '\0';
		return text;
	}
	bracket = strchr(text, ']');
	if (!bracket || (bracket[1] && bracket[1] != ':'))
		return text;
	*bracket = '\0';
	return text + 1;
}

bool address_of_forwarded(const char *header, struct address *ret_address)
{
	static const char blanks[] = " \t";
	const char *comma = strrchr(header, ',');
	const char *from = comma ? comma + 1 : header;
	char text[TEXT_BYTES];
	size_t size;

	from += strspn(from, blanks);
	size = strlen(from);
	while (size && strchr(blanks, from[size - 1]))
		size--;
	if (size >= sizeof(text))
		return false;
	memcpy(text, from, size);
	text[size] = '\0';
	return read_address(strip(text), ret_address);
}

static bool has_bit(const struct address *address, unsigned int place)
{
	return address->bytes[place / 8] & (0x80 >> place % 8);
}

bool address_range_from_text(const char *text, struct address_range *ret_range)
{
	const char *slash = strchr(text, '/');
	size_t size = slash ? (size_t)(slash - text) : strlen(text);
	char copy[TEXT_BYTES];
	char *end = NULL;
	unsigned long bits;

	if (size >= sizeof(copy))
		return false;
	memcpy(copy, text, size);
	copy[size] = '\0';
	if (!read_address(copy, &ret_range->address))
		return false;
	bits = 128;
	if (slash) {
		bits = strtoul(slash + 1, &end, 10);
		if (strspn(slash + 1, "0123456789") == 0 || *end || bits > 128)
			return false;
		bits += strchr(copy, ':') ? 0 : IPV4_BITS;
	}
	for (unsigned long place = bits; place < 128; place++) {
		if (has_bit(&ret_range->address, (unsigned int)place))
			return false;
	}
	ret_range->bits = (uint8_t)bits;
	return bits <= 128;
}

bool address_is_in(const struct address *address, const struct address_range *range)
{
	for (unsigned int place = 0; place < range->bits; place++) {
		if (has_bit(address, place) != has_bit(&range->address, place))
			return false;
	}
	return true;
}

/* What the table knows it by. */
static struct address key_of(const struct address *address)
{
	struct address key = *address;

	if (!is_ipv4(address))
		memset(key.bytes + SUBSCRIBER_BYTES, 0, sizeof(key.bytes) - SUBSCRIBER_BYTES);
	return key;
}

static struct entry *find(const struct addresses *addresses, const struct address *address)
{
	struct address key = key_of(address);
	struct entry *entry;

	HASH_FIND(hh, addresses->entries, &key, sizeof(key), entry);
	return entry;
}

struct addresses *addresses_create(void)
{
	return memory_new(sizeof(struct addresses));
}

void addresses_destroy(struct addresses *addresses)
{
	/* Who entered has left. */
	must(!addresses || !addresses->entries);
	free(addresses);
}

uint32_t addresses_enter(struct addresses *addresses, const struct address *address)
{
	struct entry *entry = find(addresses, address);

	if (!entry) {
		entry = memory_new(sizeof(*entry));
		entry->address = key_of(address);
		HASH_ADD(hh, addresses->entries, address, sizeof(entry->address), entry);
	}
	return ++entry->count;
}

void addresses_leave(struct addresses *addresses, const struct address *address)
{
	struct entry *entry = find(addresses, address);

	must(entry && entry->count);
	if (--entry->count)
		return;
	HASH_DEL(addresses->entries, entry);
	free(entry);
}

uint32_t addresses_count(const struct addresses *addresses, const struct address *address)
{
	const struct entry *entry = find(addresses, address);

	return entry ? entry->count : 0;
}
