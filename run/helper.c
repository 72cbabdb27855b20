/* SPDX-License-Identifier: Apache-2.0 */
#include "run/helper.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"

int helper_find(char path[PATH_MAX], const char *name, struct err *err)
{
	/* From bin to libexec, and back. */
	static const char *const places[] = {"", "../libexec/lampo/", "../lib/lampo/", "../../bin/"};
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n <= 0)
		return err_set(err, n < 0 ? -errno : -ENOENT,
			       "cannot find out where lampo itself is (is /proc mounted?)");
	self[n] = '\0';
	*strrchr(self, '/') = '\0';
	for (size_t i = 0; i < countof(places); i++) {
		if ((size_t)snprintf(path, PATH_MAX, "%s/%s%s", self, places[i], name) >= PATH_MAX)
			continue;
		if (access(path, X_OK) == 0)
			return 0;
	}
	err_set(err, -ENOENT, "cannot find the program %s near %s", name, self);
	return err_hint(err, "%s must lie in the same directory as lampo, or in ../libexec/lampo", name);
}
