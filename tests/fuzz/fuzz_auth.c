/* SPDX-License-Identifier: Apache-2.0 */
/* What a registry asks for, from hostile bytes: what is taken is terminated, and fit to become part of a request. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "image/auth.h"
#include "tests/fuzz/input.h"

static void check(const char *text, size_t size)
{
	size_t length = strnlen(text, size);

	if (length == size)
		abort();
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct auth_challenge challenge;
	char *value = malloc(size + 1);

	if (!value)
		return 0;
	if (size > 0)
		memcpy(value, data, size);
	value[size] = '\0';
	memset(&challenge, 0, sizeof(challenge));
	int code = auth_challenge_parse(&challenge, value);
	if (code != 0 && (code != -EINVAL || challenge.scheme != AUTH_NONE))
		abort();
	if (challenge.scheme == AUTH_BEARER && challenge.realm[0] == '\0')
		abort();
	check(challenge.realm, sizeof(challenge.realm));
	check(challenge.service, sizeof(challenge.service));
	check(challenge.scope, sizeof(challenge.scope));
	free(value);
	return 0;
}
