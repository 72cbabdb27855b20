/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses of registries and what they lead to: http and https only, without user and password (RFC 3986). */
#ifndef LAMPO_IMAGE_URL_H
#define LAMPO_IMAGE_URL_H

#include <stdbool.h>

#include "base/host/err.h"

#define URL_MAX 8192u /* signed addresses of storage services are a few thousand bytes */

struct url {
	char text[URL_MAX];
	char host[256]; /* lower case; an IPv6 address in brackets */
	char port[8];
	bool tls;
};

/* location: absolute, or relative to base (NULL: must be absolute). -EINVAL with *err. */
int url_resolve(struct url *url, const struct url *base, const char *location, struct err *err);
/* Same scheme, host and port. */
bool url_same_origin(const struct url *a, const struct url *b);
/* The host is this machine by its name: "localhost", 127.0.0.0/8, [::1]. */
bool url_is_loopback(const struct url *url);
/* Loopback, or an address that means something on this link only (169.254.0.0/16, fe80::/10), or none (0.0.0.0, [::]).
 */
bool url_is_local(const struct url *url);
/* For messages: without the query, which may have signatures in it. */
void url_show(const char *url, char *text, unsigned size);

#endif
