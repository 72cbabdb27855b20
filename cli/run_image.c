/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/run_image.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/util.h"
#include "cli/image_open.h"
#include "cli/image_user.h"
#include "cli/parse.h"
#include "run/helper.h"

extern char **environ;

enum pull { PULL_MISSING, PULL_ALWAYS, PULL_NEVER };

static int parse_pull(const struct arguments *arguments, enum pull *pull, struct err *err)
{
	static const char *const names[] = {"missing", "always", "never"};
	const char *text = arguments_value(arguments, "pull");

	*pull = PULL_MISSING;
	if (text == NULL)
		return 0;
	for (unsigned i = 0; i < countof(names); i++)
		if (strcmp(text, names[i]) == 0) {
			*pull = (enum pull)i;
			return 0;
		}
	err_set(err, -EINVAL, "'%s' is nothing for --pull!", text);
	return err_hint(err, "give missing, always or never");
}

/* ---- what the first argument is ------------------------------------------------------------------ */

/* A valid name with a registry in it: something that can be pulled. */
static bool has_registry(const char *text)
{
	struct reference reference;
	struct err ignored;

	return reference_parse(&reference, text, &ignored) == 0 && reference.registry[0] != '\0';
}

static bool is_path(const char *text) { return text[0] == '/' || text[0] == '.'; }

/* Opens the image if there is one: 1; 0: there is none. */
static int open_image(struct run_image *run, const char *text, struct err *err)
{
	struct image_found found = {.file_fd = -1};
	struct store store;
	bool there = false;

	/* No reference begins with '/' or '.'; a program that is named by its path does not depend on the store. */
	int code = is_path(text) ? 0 : image_store_open(&store, &there, err);
	/* A store that is not for us has no images for us. */
	if (code < 0 && code != -EACCES)
		return code;
	code = image_find(there ? &store : NULL, text, &found, err);
	bool none = code == -ENOENT || code == -EINVAL;
	if (code == 0)
		code = image_open(&store, &found, &run->image, err);
	if (there)
		store_close(&store);
	if (none)
		return 0;
	if (code < 0)
		return code;
	run->used = true;
	image_digest_format(&run->image.digest, run->digest);
	snprintf(run->name, sizeof(run->name), "%s", found.entry.name[0] != '\0' ? found.entry.name : run->digest);
	return 1;
}

/* In the program's PATH, or where a path leads. */
static bool is_program(const struct arguments *arguments, const char *text)
{
	const char *path = getenv("PATH");
	char file[4096];

	if (strchr(text, '/') != NULL)
		return access(text, F_OK) == 0;
	for (size_t i = 0; i < arguments->value_count; i++)
		if (strcmp(arguments->values[i].option->name, "env") == 0 &&
		    strncmp(arguments->values[i].value, "PATH=", strlen("PATH=")) == 0)
			path = arguments->values[i].value + strlen("PATH=");
	if (path == NULL)
		path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	for (const char *dir = path; dir != NULL; dir = strchr(dir, ':')) {
		dir += dir != path;
		int n = snprintf(file, sizeof(file), "%.*s/%s", (int)strcspn(dir, ":"), dir, text);
		if (n > 0 && (size_t)n < sizeof(file) && access(file, X_OK) == 0)
			return true;
	}
	return false;
}

/* lampo-image prints its progress and its errors on standard error; standard output is the program's. */
static int pull_image(const char *text, struct err *err)
{
	char path[PATH_MAX];
	char *argv[] = {(char[]){"lampo"}, (char[]){"pull"}, (char[]){"--"}, (char *)(uintptr_t)text, NULL};
	posix_spawn_file_actions_t actions;
	pid_t pid;
	int status, code = helper_find(path, "lampo-image", err);

	if (code < 0)
		return code;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
	code = -posix_spawn(&pid, path, &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (code < 0)
		return err_set(err, code, "cannot run %s", path);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_set(err, -errno, "cannot wait for %s", path);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	return err_set(err, -EREMOTEIO, "cannot run the image %s, as it could not be pulled!", text);
}

static int pull_and_open(struct run_image *run, const char *text, struct err *err)
{
	int code = pull_image(text, err);

	if (code == 0)
		code = open_image(run, text, err);
	if (code == 0)
		return err_set(err, -ENOENT, "cannot find the image %s although it was pulled!", text);
	return code < 0 ? code : 0;
}

static int find_nothing(struct run_image *run, const char *text, struct err *err)
{
	if (has_registry(text)) {
		err_set(err, -ENOENT, "there is no image %s here, and it is not to be pulled!", text);
		return err_hint(err, "pull it with 'lampo pull %s'", text);
	}

	run->missing = true;
	err_set(err, -ENOENT, "%s is neither an image ('lampo images') nor a program of this host!", text);
	return err_hint(
	    err, "an image elsewhere is named with its registry, HOST/NAME; 'lampo run -- CMD' always runs a program");
}

/* Options that mean something for images only. */
static int check_program(const struct arguments *arguments, struct err *err)
{
	static const char *const names[] = {"entrypoint", "user", "pull"};

	for (size_t i = 0; i < countof(names); i++)
		if (arguments_have(arguments, names[i])) {
			err_set(err, -EINVAL, "--%s was given, but %s is a program and not an image!", names[i],
				arguments->rest[0]);
			return err_hint(err, "leave --%s away, or name an image", names[i]);
		}
	return 0;
}

int run_image_find(struct run_image *run, const struct arguments *arguments, struct err *err)
{
	const char *text = arguments->rest[0];
	enum pull pull;
	int code = parse_pull(arguments, &pull, err);

	*run = (struct run_image){.image.fd = -1};
	if (code < 0)
		return code;
	if (arguments->dashes || arguments_have(arguments, "root"))
		return check_program(arguments, err);
	bool pullable = has_registry(text);
	if (pull == PULL_ALWAYS && pullable)
		code = pull_image(text, err);
	if (code == 0)
		code = open_image(run, text, err);
	/* It has a name, but its file is missing or damaged: what a registry has can be healed. */
	if (pull == PULL_MISSING && pullable && (code == -ENOENT || code == -EUCLEAN))
		return pull_and_open(run, text, err);
	if (code != 0)
		return code < 0 ? code : 0;
	/* Where a path leads to in the VM is the VM's business. */
	if (is_path(text) || is_program(arguments, text))
		return check_program(arguments, err);
	if (!pullable || pull == PULL_NEVER)
		return find_nothing(run, text, err);
	return pull_and_open(run, text, err);
}

/* ---- its configuration ---------------------------------------------------------------------------- */

static int read_config(struct run_image *run, struct err *err)
{
	char *json;
	int code = image_file_config(&run->image, &json, err);

	if (code == 0) {
		code = image_config_parse(&run->config, json, strlen(json), err);
		free(json);
	}
	return code < 0 ? err_wrap(err, "image %s", run->name) : 0;
}

static int set_command(struct run_image *run, const struct arguments *arguments, struct monitor_config *config,
		       struct err *err)
{
	const char *const entrypoint[] = {arguments_value(arguments, "entrypoint"), NULL};
	int code = image_config_command(&run->config, arguments->rest + 1, entrypoint[0] != NULL ? entrypoint : NULL,
					&run->command, err);

	config->command = run->command;
	return code;
}

static int set_cwd(struct run_image *run, const struct arguments *arguments, struct monitor_config *config,
		   struct err *err)
{
	const char *given = arguments_value(arguments, "workdir"), *own = run->config.working_dir;
	int n;

	if (given != NULL)
		n = asprintf(&run->cwd, "%s", given);
	else
		/* Docker takes a relative one from the root. */
		n = asprintf(&run->cwd, "%s%s", own[0] == '/' ? "" : "/", own);
	if (n < 0) {
		run->cwd = NULL;
		return err_set(err, -ENOMEM, "cannot start");
	}
	config->cwd = run->cwd;
	return parse_guest_path(run->cwd, err);
}

/* A signal that is not known here, such as SIGRTMIN+3, is no reason not to run. */
static int stop_signal(const struct image_config *config)
{
	struct err ignored;
	int number;

	if (config->stop_signal[0] == '\0' || parse_signal(config->stop_signal, &number, &ignored) < 0)
		return SIGTERM;
	return number;
}

int run_image_configure(struct run_image *run, const struct arguments *arguments, struct monitor_config *config,
			struct environment *environment, struct err *err)
{
	const char *user_text = arguments_value(arguments, "user");
	struct image_user user = {0};
	int code = read_config(run, err);

	if (code == 0)
		code = image_user_find(&run->image, user_text != NULL ? user_text : run->config.user, &user, err);
	if (code == 0)
		code = environment_init_image(environment, arguments, run->config.env, user.home, config->tty, err);
	if (code == 0)
		code = set_command(run, arguments, config, err);
	if (code == 0)
		code = set_cwd(run, arguments, config, err);
	if (code < 0)
		return code;
	config->uid = user.uid;
	config->gid = user.gid;
	config->image_fd = run->image.fd;
	config->image_digest = run->digest;
	config->image_name = run->name;
	config->stop_signal = stop_signal(&run->config);
	return 0;
}

void run_image_fini(struct run_image *run)
{
	if (run->used) {
		image_file_close(&run->image);
		image_config_free(&run->config);
	}
	free(run->command);
	free(run->cwd);
	*run = (struct run_image){.image.fd = -1};
}
