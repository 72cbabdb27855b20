/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates of registries, as docker and podman keep them: certs.d/HOST[:PORT]/ has *.crt (authorities beside the
 * system's) and pairs NAME.cert, NAME.key (what we show). Taken from the first folder of that name below
 * ~/.config/containers, /etc/containers and /etc/docker.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "image/registry_call.h"
#include "run/fd.h"

#define CA_BYTES_MAX (1u << 20)

static bool ends_with(const char *name, const char *end)
{
	size_t length = strlen(name), wanted = strlen(end);

	return length > wanted && strcmp(name + length - wanted, end) == 0;
}

/* Appends a file to the authorities. */
static int add_authorities(struct registry *registry, const char *path, struct err *err)
{
	FD_AUTO int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t have = registry->ca_pem ? strlen(registry->ca_pem) : 0, start = have;

	if (fd < 0)
		return err_set(err, -errno, "cannot read the certificates in %s", path);
	char *text = realloc(registry->ca_pem, have + CA_BYTES_MAX + 2);
	if (!text)
		return err_set(err, -ENOMEM, "cannot read the certificates in %s", path);
	registry->ca_pem = text;
	for (;;) {
		ssize_t n = read(fd, text + have, start + CA_BYTES_MAX - have);
		text[n > 0 ? have + (size_t)n : have] = '\0';
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(err, -errno, "cannot read the certificates in %s", path);
		have += (size_t)n;
		if (n == 0)
			break;
		if (have == start + CA_BYTES_MAX)
			return err_set(err, -EFBIG, "cannot read the certificates in %s", path);
	}
	/* A NUL would hide what follows. */
	if (strlen(text) != have || !strstr(text + start, "-----BEGIN "))
		return err_set(err, -EINVAL, "%s has no certificates in PEM form!", path);
	text[have] = '\n';
	text[have + 1] = '\0';
	return 0;
}

static int take_file(struct registry *registry, const char *directory, const char *name, struct err *err)
{
	char path[4096];

	if (snprintf(path, sizeof(path), "%s/%s", directory, name) >= (int)sizeof(path))
		return 0;
	if (ends_with(name, ".crt"))
		return add_authorities(registry, path, err);
	if (!ends_with(name, ".cert") || registry->cert_file[0] != '\0')
		return 0;
	memcpy(registry->cert_file, path, sizeof(path));
	size_t stem = strlen(path) - strlen(".cert");
	memcpy(registry->key_file, path, stem);
	memcpy(registry->key_file + stem, ".key", sizeof(".key"));
	if (access(registry->key_file, R_OK) < 0)
		return err_set(err, -errno, "cannot read %s, the key of %s", registry->key_file, path);
	registry->http_options.cert_file = registry->cert_file;
	registry->http_options.key_file = registry->key_file;
	return 0;
}

/* 1: there is no such folder. */
static int take_folder(struct registry *registry, const char *directory, struct err *err)
{
	DIR *stream = opendir(directory);
	struct dirent *entry;
	int code = 0;

	if (!stream)
		return errno == ENOENT || errno == ENOTDIR || errno == EACCES
			   ? 1
			   : err_set(err, -errno, "cannot read the folder %s", directory);
	while (code == 0 && (entry = readdir(stream)) != NULL)
		code = take_file(registry, directory, entry->d_name, err);
	closedir(stream);
	return code;
}

int registry_load_certificates(struct registry *registry, struct err *err)
{
	const char *file = registry->options.ca_file ? registry->options.ca_file : getenv("LAMPO_CA_FILE");
	const char *home = getenv("HOME");
	char mine[2048], directory[4096];
	const char *const places[] = {mine, "/etc/containers", "/etc/docker"};
	int code = 0;

	if (file && file[0] != '\0')
		code = add_authorities(registry, file, err);
	snprintf(mine, sizeof(mine), "%s/.config/containers", home && home[0] == '/' ? home : "");
	for (size_t i = 0; code == 0 && i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(directory, sizeof(directory), "%s/certs.d/%s", places[i], registry->reference.registry);
		int found = take_folder(registry, directory, err);
		if (found <= 0) {
			code = found;
			break;
		}
	}
	registry->http_options.ca_pem = registry->ca_pem;
	return code;
}
