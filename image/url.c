/* SPDX-License-Identifier: Apache-2.0 */
#include "image/url.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Copies a part of the address; false if it is missing or too long. */
static bool get_part(CURLU *handle, CURLUPart part, unsigned flags, char *to, size_t size)
{
	char *text = NULL;

	if (curl_url_get(handle, part, &text, flags) != CURLUE_OK)
		return false;
	bool fits = strlen(text) < size;
	if (fits)
		memcpy(to, text, strlen(text) + 1);
	curl_free(text);
	return fits;
}

static int resolve(CURLU *handle, struct url *url, const struct url *base, const char *location)
{
	char scheme[8];

	if (strlen(location) >= URL_MAX)
		return -EINVAL;
	/* Control characters and spaces have no place in an address; libcurl would pass some of them on. */
	for (const char *c = location; *c != '\0'; c++)
		if ((unsigned char)*c <= ' ' || *c == 0x7f)
			return -EINVAL;
	if (base && curl_url_set(handle, CURLUPART_URL, base->text, CURLU_DISALLOW_USER) != CURLUE_OK)
		return -EINVAL;
	if (curl_url_set(handle, CURLUPART_URL, location, CURLU_DISALLOW_USER) != CURLUE_OK ||
	    curl_url_set(handle, CURLUPART_FRAGMENT, NULL, 0) != CURLUE_OK ||
	    !get_part(handle, CURLUPART_SCHEME, 0, scheme, sizeof(scheme)) ||
	    !get_part(handle, CURLUPART_HOST, 0, url->host, sizeof(url->host)) ||
	    !get_part(handle, CURLUPART_PORT, CURLU_DEFAULT_PORT, url->port, sizeof(url->port)) ||
	    !get_part(handle, CURLUPART_URL, 0, url->text, sizeof(url->text)))
		return -EINVAL;
	url->tls = strcasecmp(scheme, "https") == 0;
	for (char *c = url->host; *c != '\0'; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	return url->tls || strcasecmp(scheme, "http") == 0 ? 0 : -EINVAL;
}

int url_resolve(struct url *url, const struct url *base, const char *location, struct err *err)
{
	CURLU *handle = curl_url();

	if (!handle)
		return err_set(err, -ENOMEM, "cannot take the address apart");
	int code = resolve(handle, url, base, location);
	curl_url_cleanup(handle);
	if (code < 0)
		return err_set(err, code, "'%.300s' is no address of the kind http://HOST/PATH or https://HOST/PATH!",
			       location);
	return 0;
}

bool url_same_origin(const struct url *a, const struct url *b)
{
	return a->tls == b->tls && strcmp(a->host, b->host) == 0 && strcmp(a->port, b->port) == 0;
}

/* The address that the host is, as IPv6 (IPv4 addresses mapped); false: it is a name. */
static bool get_address(const struct url *url, struct in6_addr *address)
{
	char text[64];
	size_t length = strlen(url->host);
	struct in_addr v4;

	if (inet_pton(AF_INET, url->host, &v4) == 1) {
		memset(address, 0, sizeof(*address));
		address->s6_addr[10] = address->s6_addr[11] = 0xff;
		memcpy(address->s6_addr + 12, &v4, sizeof(v4));
		return true;
	}
	if (url->host[0] != '[' || length < 3 || length - 2 >= sizeof(text))
		return false;
	memcpy(text, url->host + 1, length - 2);
	text[length - 2] = '\0';
	return inet_pton(AF_INET6, text, address) == 1;
}

bool url_is_loopback(const struct url *url)
{
	struct in6_addr address;

	if (!get_address(url, &address))
		return strcmp(url->host, "localhost") == 0;
	return IN6_IS_ADDR_LOOPBACK(&address) || (IN6_IS_ADDR_V4MAPPED(&address) && address.s6_addr[12] == 127);
}

bool url_is_local(const struct url *url)
{
	struct in6_addr address;

	if (url_is_loopback(url))
		return true;
	if (!get_address(url, &address))
		return false;
	if (IN6_IS_ADDR_V4MAPPED(&address))
		return address.s6_addr[12] == 0 || (address.s6_addr[12] == 169 && address.s6_addr[13] == 254);
	return IN6_IS_ADDR_LINKLOCAL(&address) || IN6_IS_ADDR_UNSPECIFIED(&address);
}

void url_show(const char *url, char *text, unsigned size)
{
	size_t length = strcspn(url, "?#");

	snprintf(text, size, "%.*s%s", (int)(length < 300 ? length : 300), url, length > 300 ? "..." : "");
}
