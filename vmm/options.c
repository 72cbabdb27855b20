/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"

const char options_help[] =
    "usage: lampo-vmm [OPTION...] -- COMMAND [ARGUMENT...]\n"
    "Runs COMMAND in a virtual machine of its own. Started by `lampo run`; by hand for tests.\n"
    "\n"
    "  --id ID                 name of the machine\n"
    "  --kernel PATH           kernel image (default: nucleo beside this program or in ../lib/lampo)\n"
    "  --cpus N                virtual CPUs (default 1)\n"
    "  --memory BYTES          guest memory, rounded up to 2 MiB (default 512 MiB)\n"
    "  --uid N, --gid N        ids of the program in the guest\n"
    "  --hostname NAME, --cwd PATH, --env NAME=VALUE\n"
    "  --environment           what begins with '+' in our own environment is the program's, without the '+'\n"
    "  --stdin                 connect standard input\n"
    "  --tty                   standard streams are a terminal; --rows N, --columns N: its size\n"
    "  --root-fd FD            directory that becomes the guest's root; --root-overlay: writes stay in the guest\n"
    "  --image-fd FD           image file whose content becomes the guest's root; --image-digest DIGEST: which it must "
    "be\n"
    "  --visible PATH          show only this part of the root (repeated); --hidden PATH: hide this part\n"
    "  --volume FD:ro|rw:PATH  a further host directory, at PATH in the guest\n"
    "  --report-fd FD          socket for reports to the starter; --detach: live on when it closes\n"
    "  --control-fd FD         listening socket for requests; --state-fd FD: state directory\n"
    "  --lock-fd FD            kept open: its lock says that this VM lives\n"
    "  --overflow-to-root      owners without a name here (65534) are shown to the guest as root\n"
    "  --timing START_NS       report the boot timeline, from this CLOCK_MONOTONIC time\n"
    "  --strace, --counts      let the kernel print system calls, counters\n"
    "  --help\n";

enum {
	OPTION_ID = 1,
	OPTION_KERNEL,
	OPTION_CPUS,
	OPTION_MEMORY,
	OPTION_REPORT_FD,
	OPTION_CONTROL_FD,
	OPTION_STATE_FD,
	OPTION_DETACH,
	OPTION_TTY,
	OPTION_STDIN,
	OPTION_TIMING,
	OPTION_STRACE,
	OPTION_COUNTS,
	OPTION_HOSTNAME,
	OPTION_UID,
	OPTION_GID,
	OPTION_CWD,
	OPTION_ENV,
	OPTION_ROOT_FD,
	OPTION_VISIBLE,
	OPTION_HIDDEN,
	OPTION_ROOT_OVERLAY,
	OPTION_VOLUME,
	OPTION_ROWS,
	OPTION_COLUMNS,
	OPTION_HELP,
	OPTION_LOCK_FD,
	OPTION_OVERFLOW_TO_ROOT,
	OPTION_ENVIRONMENT,
	OPTION_IMAGE_FD,
	OPTION_IMAGE_DIGEST,
};

static const struct option option_table[] = {
    {"id", required_argument, NULL, OPTION_ID},
    {"kernel", required_argument, NULL, OPTION_KERNEL},
    {"cpus", required_argument, NULL, OPTION_CPUS},
    {"memory", required_argument, NULL, OPTION_MEMORY},
    {"report-fd", required_argument, NULL, OPTION_REPORT_FD},
    {"control-fd", required_argument, NULL, OPTION_CONTROL_FD},
    {"state-fd", required_argument, NULL, OPTION_STATE_FD},
    {"detach", no_argument, NULL, OPTION_DETACH},
    {"tty", no_argument, NULL, OPTION_TTY},
    {"stdin", no_argument, NULL, OPTION_STDIN},
    {"timing", required_argument, NULL, OPTION_TIMING},
    {"strace", no_argument, NULL, OPTION_STRACE},
    {"counts", no_argument, NULL, OPTION_COUNTS},
    {"hostname", required_argument, NULL, OPTION_HOSTNAME},
    {"uid", required_argument, NULL, OPTION_UID},
    {"gid", required_argument, NULL, OPTION_GID},
    {"cwd", required_argument, NULL, OPTION_CWD},
    {"env", required_argument, NULL, OPTION_ENV},
    {"root-fd", required_argument, NULL, OPTION_ROOT_FD},
    {"visible", required_argument, NULL, OPTION_VISIBLE},
    {"hidden", required_argument, NULL, OPTION_HIDDEN},
    {"root-overlay", no_argument, NULL, OPTION_ROOT_OVERLAY},
    {"volume", required_argument, NULL, OPTION_VOLUME},
    {"rows", required_argument, NULL, OPTION_ROWS},
    {"columns", required_argument, NULL, OPTION_COLUMNS},
    {"help", no_argument, NULL, OPTION_HELP},
    {"lock-fd", required_argument, NULL, OPTION_LOCK_FD},
    {"overflow-to-root", no_argument, NULL, OPTION_OVERFLOW_TO_ROOT},
    {"environment", no_argument, NULL, OPTION_ENVIRONMENT},
    {"image-fd", required_argument, NULL, OPTION_IMAGE_FD},
    {"image-digest", required_argument, NULL, OPTION_IMAGE_DIGEST},
    {NULL, 0, NULL, 0},
};

/* A decimal number without sign or blanks, at most `max`. */
static bool number_parse(const char *text, uint64_t max, uint64_t *value)
{
	if (*text < '0' || *text > '9')
		return false;
	char *end;
	errno = 0;
	unsigned long long n = strtoull(text, &end, 10);
	if (errno != 0 || *end != '\0' || n > max)
		return false;
	*value = n;
	return true;
}

/* "FD:ro|rw:GUESTPATH" */
static int volume_parse(struct options *options, const char *text, struct err *err)
{
	if (options->volume_count == countof(options->volumes))
		return err_set(err, -EINVAL, "cannot take more than %zu volumes!", countof(options->volumes));
	struct options_volume *volume = &options->volumes[options->volume_count];
	const char *colon = strchr(text, ':');
	char digits[12];
	uint64_t fd;
	if (colon == NULL || (size_t)(colon - text) >= sizeof(digits))
		goto bad;
	memcpy(digits, text, (size_t)(colon - text));
	digits[colon - text] = '\0';
	if (!number_parse(digits, INT32_MAX, &fd))
		goto bad;
	bool read_only = strncmp(colon, ":ro:", 4) == 0;
	if (!read_only && strncmp(colon, ":rw:", 4) != 0)
		goto bad;
	volume->fd = (int)fd;
	volume->read_only = read_only;
	volume->target = colon + 4;
	if (volume->target[0] != '/')
		goto bad;
	options->volume_count++;
	return 0;
bad:
	return err_set(err, -EINVAL, "cannot read --volume '%s': must be FD:ro:/PATH or FD:rw:/PATH!", text);
}

/* Where a numeric option goes, and what it may be. */
static int number_option(struct options *options, int option, const char *text, struct err *err)
{
	static const struct {
		uint64_t min, max;
	} limits[] = {
	    [OPTION_CPUS] = {1, LAMPO_CPUS_MAX}, [OPTION_MEMORY] = {LAMPO_RAM_MIN, LAMPO_RAM_MAX},
	    [OPTION_REPORT_FD] = {0, INT32_MAX}, [OPTION_CONTROL_FD] = {0, INT32_MAX},
	    [OPTION_STATE_FD] = {0, INT32_MAX},  [OPTION_ROOT_FD] = {0, INT32_MAX},
	    [OPTION_TIMING] = {0, UINT64_MAX},   [OPTION_UID] = {0, UINT32_MAX - 1},
	    [OPTION_GID] = {0, UINT32_MAX - 1},  [OPTION_ROWS] = {0, UINT16_MAX},
	    [OPTION_COLUMNS] = {0, UINT16_MAX},  [OPTION_LOCK_FD] = {0, INT32_MAX},
	    [OPTION_IMAGE_FD] = {0, INT32_MAX},
	};
	uint64_t value;
	if (!number_parse(text, limits[option].max, &value) || value < limits[option].min)
		return err_set(err, -EINVAL, "cannot take '%s' for --%s: must be a number from %llu to %llu!", text,
			       option_table[option - 1].name, (unsigned long long)limits[option].min,
			       (unsigned long long)limits[option].max);
	switch (option) {
	case OPTION_CPUS:
		options->cpus = (unsigned)value;
		break;
	case OPTION_MEMORY:
		options->memory_bytes = align_up(value, 2u << 20);
		break;
	case OPTION_REPORT_FD:
		options->report_fd = (int)value;
		break;
	case OPTION_CONTROL_FD:
		options->control_fd = (int)value;
		break;
	case OPTION_STATE_FD:
		options->state_fd = (int)value;
		break;
	case OPTION_ROOT_FD:
		options->root_fd = (int)value;
		break;
	case OPTION_IMAGE_FD:
		options->image_fd = (int)value;
		break;
	case OPTION_LOCK_FD:
		options->lock_fd = (int)value;
		break;
	case OPTION_TIMING:
		options->start_ns = value;
		options->timing = true;
		break;
	case OPTION_UID:
		options->uid = (uint32_t)value;
		break;
	case OPTION_GID:
		options->gid = (uint32_t)value;
		break;
	case OPTION_ROWS:
		options->rows = (uint16_t)value;
		break;
	case OPTION_COLUMNS:
		options->columns = (uint16_t)value;
		break;
	}
	return 0;
}

static int option_take(struct options *options, int option, const char *text, struct err *err)
{
	switch (option) {
	case OPTION_ID:
		options->id = text;
		return 0;
	case OPTION_KERNEL:
		options->kernel = text;
		return 0;
	case OPTION_HOSTNAME:
		options->hostname = text;
		return 0;
	case OPTION_CWD:
		options->cwd = text;
		return 0;
	case OPTION_DETACH:
		options->detach = true;
		return 0;
	case OPTION_TTY:
		options->tty = true;
		return 0;
	case OPTION_STDIN:
		options->standard_input = true;
		return 0;
	case OPTION_STRACE:
		options->strace = true;
		return 0;
	case OPTION_COUNTS:
		options->counts = true;
		return 0;
	case OPTION_ROOT_OVERLAY:
		options->root_overlay = true;
		return 0;
	case OPTION_OVERFLOW_TO_ROOT:
		options->overflow_to_root = true;
		return 0;
	case OPTION_ENVIRONMENT:
		options->environment = true;
		return 0;
	case OPTION_ENV:
		options->env[options->env_count++] = text;
		return 0;
	case OPTION_VISIBLE:
		options->visible[options->visible_count++] = text;
		return 0;
	case OPTION_HIDDEN:
		options->hidden[options->hidden_count++] = text;
		return 0;
	case OPTION_IMAGE_DIGEST:
		options->image_digest_given = true;
		if (image_digest_parse(&options->image_digest, text) < 0)
			return err_set(err, -EINVAL,
				       "cannot take '%s' for --image-digest: must be sha256: and 64 digits!", text);
		return 0;
	case OPTION_VOLUME:
		return volume_parse(options, text, err);
	default:
		return number_option(options, option, text, err);
	}
}

/* Everybody on the host may read our command line, but not our environment: for values that are secret. */
static void take_environment(struct options *options)
{
	for (char **p = environ; *p != NULL; p++)
		if (**p == '+')
			options->env[options->env_count++] = *p + 1;
}

int options_parse(struct options *options, int argc, char **argv, struct err *err)
{
	size_t environment = 0;
	*options = (struct options){
	    .id = "vm",
	    .cpus = 1,
	    .memory_bytes = OPTIONS_MEMORY_DEFAULT,
	    .report_fd = -1,
	    .control_fd = -1,
	    .state_fd = -1,
	    .lock_fd = -1,
	    .root_fd = -1,
	    .image_fd = -1,
	    .hostname = "lampo",
	    .cwd = "/",
	};
	while (environ[environment] != NULL)
		environment++;
	/* No option can occur more often than there are arguments. */
	const char **lists = calloc((size_t)argc * 3 + environment, sizeof(*lists));
	if (lists == NULL)
		return err_set(err, -ENOMEM, "cannot read the command line");
	options->visible = lists;
	options->hidden = lists + argc;
	options->env = options->hidden + argc;
	optind = 0;
	opterr = 0;
	int option;
	while ((option = getopt_long(argc, argv, "+:", option_table, NULL)) != -1) {
		if (option == OPTION_HELP) {
			options->help = true;
			return 0;
		}
		if (option == ':')
			return err_set(err, -EINVAL, "cannot take %s: it needs a value!", argv[optind - 1]);
		if (option == '?')
			return err_set(err, -EINVAL, "cannot take %s: no such option!", argv[optind - 1]);
		int r = option_take(options, option, optarg, err);
		if (r < 0)
			return r;
	}
	if (options->environment)
		take_environment(options);
	if (options->image_fd >= 0 && options->root_fd >= 0)
		return err_set(err, -EINVAL, "cannot take both --root-fd and --image-fd: there is one root!");
	if (options->image_digest_given && options->image_fd < 0)
		return err_set(err, -EINVAL, "cannot take --image-digest without --image-fd!");
	options->argv = argv + optind;
	options->argc = (unsigned)(argc - optind);
	if (options->argc == 0)
		return err_set(err, -EINVAL, "cannot start: no command was given!");
	return 0;
}

void options_fini(struct options *options)
{
	free(options->visible);
	options->env = options->visible = options->hidden = NULL;
}
