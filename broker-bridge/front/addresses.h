/* addresses - whose connections they are, and how many each has.
 *
 * An address here is what one subscriber of a network usually has: an IPv4 address, or the /64 of an IPv6 one,
 * since there whoever has one address has all of them. Behind a reverse proxy the socket's address is the
 * proxy's, and the client's is what the proxy wrote at the end of X-Forwarded-For; what stands before that the
 * client may have written itself.
 *
 * Owns:     the table of counts.
 * Lifetime: addresses_create to addresses_destroy.
 * Threads:  one.
 * Fails:    never; what is no address is said to be none.
 */
#ifndef MARTLET_FRONT_ADDRESSES_H
#define MARTLET_FRONT_ADDRESSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* An IPv6 address; an IPv4 one as ::ffff:a.b.c.d. */
struct address {
	uint8_t bytes[16];
};

/* The addresses that begin with the same bits. */
struct address_range {
	struct address address;
	uint8_t bits; /* of the 128 */
};

/* The address of a socket's other end; false if it is no IPv4 and no IPv6 socket. */
bool address_of_socket(const struct sockaddr *socket, struct address *ret_address)
	__attribute__((warn_unused_result));

/* The last entry of an X-Forwarded-For header: an IPv4 or IPv6 address, the latter perhaps in brackets, both perhaps
 * with a port. False if it is none. */
bool address_of_forwarded(const char *header, struct address *ret_address)
	__attribute__((warn_unused_result));

/* "10.0.0.0/8", "2001:db8::/32", or an address alone; false if it is none of them, or has bits beyond its prefix. */
bool address_range_from_text(const char *text, struct address_range *ret_range)
	__attribute__((warn_unused_result));

bool address_is_in(const struct address *address, const struct address_range *range);

/* How many connections each address has. */
struct addresses;

struct addresses *addresses_create(void);
void addresses_destroy(struct addresses *addresses);

/* One connection more, or less. Entering returns how many there are now. */
uint32_t addresses_enter(struct addresses *addresses, const struct address *address);
void addresses_leave(struct addresses *addresses, const struct address *address);

uint32_t addresses_count(const struct addresses *addresses, const struct address *address);

#endif
