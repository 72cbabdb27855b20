/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/parse.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "include/abi/boot.h"

/* Decimal digits only: no sign, no blanks, no wrap. Returns the first character after them, or NULL. */
static const char *parse_digits(const char *text, uint64_t *number)
{
	uint64_t n = 0;

	if (!isdigit((unsigned char)*text))
		return NULL;
	for (; isdigit((unsigned char)*text); text++)
		if (__builtin_mul_overflow(n, 10u, &n) || __builtin_add_overflow(n, (uint64_t)(*text - '0'), &n))
			return NULL;
	*number = n;
	return text;
}

int parse_size(const char *text, uint64_t *bytes, struct err *err)
{
	static const char units[] = "KMGT";
	uint64_t n;
	const char *rest = parse_digits(text, &n);

	if (rest == NULL)
		goto bad;
	if (*rest != '\0' && toupper((unsigned char)*rest) != 'B') {
		const char *unit = strchr(units, toupper((unsigned char)*rest));
		if (unit == NULL)
			goto bad;
		for (const char *u = units; u <= unit; u++)
			if (__builtin_mul_overflow(n, 1024u, &n))
				goto bad;
		rest++;
		if (*rest == 'i' && rest[1] == 'B')
			rest++;
	}
	if (toupper((unsigned char)*rest) == 'B')
		rest++;
	if (*rest != '\0')
		goto bad;
	*bytes = n;
	return 0;
bad:
	err_set(err, -EINVAL, "'%s' is not a size!", text);
	return err_hint(err, "give a number of bytes, or a number with K, M, G or T, such as 512M");
}

int parse_memory(const char *text, uint64_t *bytes, struct err *err)
{
	int code = parse_size(text, bytes, err);

	if (code < 0)
		return code;
	if (*bytes < LAMPO_RAM_MIN) {
		err_set(err, -EINVAL, "%s of memory is too little for a VM!", text);
		return err_hint(err, "give --memory at least %lluM", LAMPO_RAM_MIN >> 20);
	}
	if (*bytes > LAMPO_RAM_MAX) {
		err_set(err, -EINVAL, "%s of memory is too much for a VM!", text);
		return err_hint(err, "give --memory at most %lluG", LAMPO_RAM_MAX >> 30);
	}
	return 0;
}

int parse_number(const char *what, const char *text, uint64_t min, uint64_t max, uint64_t *number, struct err *err)
{
	const char *rest = parse_digits(text, number);

	if (rest != NULL && *rest == '\0' && *number >= min && *number <= max)
		return 0;
	err_set(err, -EINVAL, "'%s' cannot be the %s!", text, what);
	return err_hint(err, "give a number from %llu to %llu", (unsigned long long)min, (unsigned long long)max);
}

int parse_signal(const char *text, int *number, struct err *err)
{
	const char *name = strncasecmp(text, "SIG", 3) == 0 ? text + 3 : text;
	uint64_t n;
	const char *rest = parse_digits(text, &n);

	if (rest != NULL && *rest == '\0' && n >= 1 && n <= 64) {
		*number = (int)n;
		return 0;
	}
	for (int i = 1; i < 32; i++) {
		const char *known = sigabbrev_np(i);
		if (known != NULL && strcasecmp(known, name) == 0) {
			*number = i;
			return 0;
		}
	}
	err_set(err, -EINVAL, "there is no signal '%s'!", text);
	return err_hint(err, "give a name such as TERM, or a number from 1 to 64");
}

int parse_guest_path(char *path, struct err *err)
{
	char *out = path;
	const char *in = path;

	if (*path != '/') {
		err_set(err, -EINVAL, "the path '%s' in the VM is not absolute!", path);
		return err_hint(err, "paths in the VM begin with '/'");
	}
	while (*in != '\0') {
		size_t slashes = strspn(in, "/");
		const char *part = in + slashes;
		size_t len = strcspn(part, "/");
		in = part + len;
		if (len == 2 && memcmp(part, "..", 2) == 0)
			return err_set(err, -EINVAL, "a path in the VM must not contain '..': %s!", path);
		if (len == 0 || (len == 1 && *part == '.'))
			continue;
		*out++ = '/';
		memmove(out, part, len);
		out += len;
	}
	if (out == path)
		*out++ = '/';
	*out = '\0';
	return 0;
}

int parse_volume(const char *text, struct parsed_volume *volume, struct err *err)
{
	char *host = strdup(text);
	if (host == NULL)
		return err_set(err, -ENOMEM, "cannot read the volume");
	char *guest = strchr(host, ':');
	char *mode = guest == NULL ? NULL : strchr(guest + 1, ':');

	if (guest == NULL || guest == host || guest[1] == '\0')
		goto bad;
	*guest++ = '\0';
	if (mode != NULL)
		*mode++ = '\0';
	volume->read_only = mode == NULL || strcmp(mode, "ro") == 0;
	if (!volume->read_only && strcmp(mode, "rw") != 0)
		goto bad;
	if (parse_guest_path(guest, err) < 0) {
		free(host);
		return -EINVAL;
	}
	if (strcmp(guest, "/") == 0) {
		err_set(err, -EINVAL, "the volume %s cannot take the place of the VM's root!", text);
		err_hint(err, "use --root DIR for that");
		free(host);
		return -EINVAL;
	}
	volume->host = host;
	volume->guest = guest;
	return 0;
bad:
	free(host);
	err_set(err, -EINVAL, "'%s' is not a volume!", text);
	return err_hint(err, "give HOST:GUEST, HOST:GUEST:ro or HOST:GUEST:rw, such as -v ./data:/data:rw");
}
