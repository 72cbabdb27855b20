/* SPDX-License-Identifier: Apache-2.0 */
#include "run/view.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "run/rundir.h"

/* '?': only what everybody may read (dev/fs.h). */
static const char *const visible_default[] = {"usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "?etc"};

/* Hidden even where everybody may read it, or where the current directory lies around it: keys, password
 * hashes, and what tells the host's secrets or its identity. */
static const char *const hidden_default[] = {
    "etc/shadow",
    "etc/shadow-",
    "etc/gshadow",
    "etc/gshadow-",
    "etc/security/opasswd",
    "etc/.pwd.lock",
    "etc/sudoers",
    "etc/sudoers.d",
    "etc/doas.conf",
    "etc/polkit-1",
    "etc/ssl/private",
    "etc/pki/tls/private",
    "etc/ssh/ssh_host_rsa_key",
    "etc/ssh/ssh_host_ecdsa_key",
    "etc/ssh/ssh_host_ed25519_key",
    "etc/ssh/ssh_host_dsa_key",
    "etc/krb5.keytab",
    "etc/machine-id",
    "etc/crypttab",
    "etc/fstab",
    "etc/exports",
    "etc/ipsec.secrets",
    "etc/ipsec.d",
    "etc/wireguard",
    "etc/openvpn",
    "etc/ppp",
    "etc/wpa_supplicant",
    "etc/NetworkManager/system-connections",
    "etc/netplan",
    "etc/letsencrypt",
    "etc/containers/auth.json",
    "etc/docker",
    "etc/kubernetes",
    "etc/rancher",
    "etc/cron.d",
    "etc/crontab",
    "etc/mysql/debian.cnf",
    "etc/postgresql",
    "etc/cloud",
    "etc/apt/auth.conf",
    "etc/apt/auth.conf.d",
    "etc/luks",
    "etc/cryptsetup-keys.d",
    "etc/credstore",
    "etc/credstore.encrypted",
};

/* path lies in dir or is dir */
static bool beneath(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	return strncmp(path, dir, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

bool view_may_show(const char *cwd)
{
	/* getcwd() says "(unreachable)..." for a directory outside of our root. */
	return cwd[0] == '/' && cwd[1] != '\0' && !beneath(cwd, "/proc") && !beneath(cwd, "/sys") &&
	       !beneath(cwd, "/dev");
}

/* The run directory as the guest would see it: without symbolic links, relative to "/"; it need not exist
 * yet. malloc'd, or NULL. */
static char *real_run_dir(struct err *err)
{
	char path[PATH_MAX], real[PATH_MAX], *result;

	if (rundir_path(path, geteuid(), err) < 0)
		return NULL;
	if (realpath(path, real) != NULL)
		return strdup(real + 1);
	char *slash = strrchr(path, '/');
	const char *name = slash == NULL ? path : slash + 1;
	if (slash != NULL)
		*slash = '\0';
	if (realpath(slash == NULL ? "." : path, real) == NULL || asprintf(&result, "%s/%s", real + 1, name) < 0)
		return NULL;
	return result;
}

int view_init(struct view *view, struct err *err)
{
	size_t n = countof(visible_default), hidden = countof(hidden_default);

	_Static_assert(countof(visible_default) < VIEW_VISIBLE_MAX && countof(hidden_default) < VIEW_HIDDEN_MAX,
		       "view sizes");
	*view = (struct view){0};
	memcpy(view->visible, visible_default, sizeof(visible_default));
	memcpy(view->hidden, hidden_default, sizeof(hidden_default));
	view->cwd = getcwd(NULL, 0);
	if (view->cwd != NULL && view_may_show(view->cwd)) {
		view->visible[n++] = view->cwd + 1;
	} else {
		free(view->cwd);
		view->cwd = strdup("/");
	}
	/* The state of the VMs is nobody's business, should the current directory be around it. */
	view->run_dir = real_run_dir(err);
	if (view->run_dir != NULL)
		view->hidden[hidden++] = view->run_dir;
	view->visible[n] = NULL;
	view->hidden[hidden] = NULL;
	if (view->cwd == NULL) {
		view_fini(view);
		return err_set(err, -ENOMEM, "cannot find the current directory");
	}
	return 0;
}

void view_fini(struct view *view)
{
	free(view->cwd);
	free(view->run_dir);
	*view = (struct view){0};
}
