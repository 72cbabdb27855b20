/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"

#define OPTION_JSON                                                                                                    \
	{                                                                                                              \
		"json", 0, COMPLETE_NOTHING, NULL, "Print JSON instead of a table."                                    \
	}

static const struct command_option run_options[] = {
    {"cpus", 0, COMPLETE_NOTHING, "N", "Number of virtual CPUs, 1 to 32. Default: 1."},
    {"memory", 'm', COMPLETE_NOTHING, "SIZE",
     "Memory of the VM: a number of bytes, or a number with K, M, G or T (powers of 1024). At least 16M; default: 1G. "
     "The host gives it only as the VM touches it."},
    {"env", 'e', COMPLETE_NOTHING, "K=V",
     "Set an environment variable. With K alone its value is taken from the caller's environment. For "
     "a program of the host PATH, HOME, LANG, LC_*, TERM, TZ and USER are passed in any case; nothing else is. An "
     "image brings its own."},
    {"workdir", 'w', COMPLETE_DIRECTORY, "DIR",
     "Working directory in the VM. Default: the image's; for a program of the host the current directory, or / with "
     "--root."},
    {"volume", 'v', COMPLETE_DIRECTORY, "HOST:GUEST[:ro|rw]",
     "Show the directory or file HOST of the host as GUEST in the VM. Default: ro, that is, no write reaches the host; "
     "with rw writes go through to the host."},
    {"name", 0, COMPLETE_NOTHING, "NAME", "Name of the VM, for the other commands; no two VMs have the same."},
    {"detach", 'd', COMPLETE_NOTHING, NULL,
     "Print the VM's id and leave it running in the background. Its output goes to a log, see lampo logs."},
    {"rm", 0, COMPLETE_NOTHING, NULL,
     "With -d: forget the VM when it has ended. (VMs in the foreground are always forgotten.)"},
    {"interactive", 'i', COMPLETE_NOTHING, NULL,
     "Connect standard input. Without it the program reads end of file at once."},
    {"tty", 't', COMPLETE_NOTHING, NULL, "Give the program a terminal; use it with -i for shells and editors."},
    {"timing", 0, COMPLETE_NOTHING, NULL,
     "After the end print the boot timeline to standard error: each stage from the command line to the program's first "
     "instruction and to its exit."},
    {"strace", 0, COMPLETE_NOTHING, NULL, "Print every system call of the program to standard error."},
    {"counts", 0, COMPLETE_NOTHING, NULL,
     "At the end print the kernel's counters (faults, system calls) to standard error."},
    {"root", 0, COMPLETE_DIRECTORY, "DIR",
     "Use DIR as the root directory of the VM, all of it. All writes stay in the VM."},
    {"entrypoint", 0, COMPLETE_NOTHING, "CMD",
     "Run CMD instead of the image's entry point; \"\": run the arguments themselves."},
    {"user", 'u', COMPLETE_NOTHING, "USER[:GROUP]",
     "User and group in a VM of an image: numbers, or names of the image's /etc/passwd and /etc/group. Default: the "
     "image's."},
    {"pull", 0, COMPLETE_NOTHING, "WHEN",
     "Whether to fetch the image from its registry: missing (if it is not here, the default), always, never."},
    {"hostname", 0, COMPLETE_NOTHING, "NAME", "Host name in the VM. Default: its id."},
    {"kernel", 0, COMPLETE_FILE, "FILE", "Boot this kernel image instead of the one installed with Lampo."},
};

static const struct command_option ps_options[] = {
    {"all", 'a', COMPLETE_NOTHING, NULL, "Show VMs that have ended too."},
    {"quiet", 'q', COMPLETE_NOTHING, NULL, "Print ids only."},
    OPTION_JSON,
};

static const struct command_option logs_options[] = {
    {"follow", 'f', COMPLETE_NOTHING, NULL, "Go on as the log grows, until the VM ends."},
};

static const struct command_option stop_options[] = {
    {"time", 't', COMPLETE_NOTHING, "SECONDS", "How long to wait before the VM is ended by force. Default: 10."},
};

static const struct command_option kill_options[] = {
    {"signal", 's', COMPLETE_SIGNAL, "SIGNAL", "Name or number of the signal. Default: KILL."},
};

static const struct command_option rm_options[] = {
    {"force", 'f', COMPLETE_NOTHING, NULL, "End a VM that is running. A VM that does not exist is no error."},
};

static const struct command_option import_options[] = {
    {"ref", 0, COMPLETE_NOTHING, "NAME",
     "Import only the image that has this name in the archive. Default: all that are there."},
    {"rootfs", 0, COMPLETE_NOTHING, NULL,
     "ARCHIVE is no image but a root file system: a directory (of debootstrap, say), or a tar archive of one. Its "
     "files become the image's as they "
     "are, with their owners."},
    {"quiet", 'q', COMPLETE_NOTHING, NULL, "Do not show the progress."},
};

static const struct command_option export_options[] = {
    {"output", 'o', COMPLETE_FILE, "FILE",
     "Write the archive to FILE, or to standard output if it is -, which is the default."},
    {"format", 0, COMPLETE_NOTHING, "FORMAT",
     "lampo, oci or docker. lampo (the default) is the image as it is, in an OCI image layout: imported elsewhere it "
     "has the same digest. oci "
     "and docker are ordinary images of one layer, for other tools: an OCI image layout, or what docker save writes."},
    {"compress", 'z', COMPLETE_NOTHING, NULL, "Compress the image (by zstd) or the layer of an OCI image (by gzip)."},
    {"quiet", 'q', COMPLETE_NOTHING, NULL, "Do not show the progress."},
};

static const struct command_option images_options[] = {
    {"quiet", 'q', COMPLETE_NOTHING, NULL, "Print digests only."},
    {"names", 0, COMPLETE_NOTHING, NULL, "Print names only."},
    OPTION_JSON,
};

static const struct command_option image_verify_options[] = {
    {"all", 'a', COMPLETE_NOTHING, NULL, "Verify all images; the same as naming none."},
};

static const struct command_option image_history_options[] = {OPTION_JSON};

static const struct command_option rmi_options[] = {
    {"force", 'f', COMPLETE_NOTHING, NULL,
     "Remove all names of an image that is given by its digest. An image that does not exist is no error."},
};

#define OPTIONS_REGISTRY                                                                                               \
	{"ca-file", 0, COMPLETE_FILE, "FILE",                                                                          \
	 "Trust the certificate authorities in FILE (PEM), too. Default: those in $LAMPO_CA_FILE."},                   \
	    {"plain-http", 0, COMPLETE_NOTHING, NULL,                                                                  \
	     "Speak to the registry without encryption. Without this that is done only with a registry on this "       \
	     "machine, if it does not speak TLS."},                                                                    \
	{                                                                                                              \
		"quiet", 'q', COMPLETE_NOTHING, NULL, "Do not show the progress."                                      \
	}

static const struct command_option build_options[] = {
    {"tag", 't', COMPLETE_NOTHING, "NAME",
     "Give the image this name; may be given several times. An image that had it before loses it. Without a name the "
     "image can only be "
     "addressed by its digest, and lampo prune deletes it."},
    {"file", 'f', COMPLETE_FILE, "FILE",
     "Read the Lampofile from FILE, or from standard input if it is -. Default: Lampofile, or else Dockerfile, in "
     "CONTEXT."},
    {"program", 'p', COMPLETE_PROGRAM, "PROGRAM",
     "Package this program of the host, a path or a name to be found in PATH, with all it needs."},
    {"add", 'a', COMPLETE_FILE, "HOST[:GUEST]",
     "With --program: add a file or directory, and the libraries that its programs need. A relative directory's "
     "contents are put into /app, "
     "a relative file too; an absolute path stays what it is; GUEST puts it elsewhere. The first directory that was "
     "put somewhere "
     "becomes the working directory."},
    {"with", 0, COMPLETE_NOTHING, "GROUP",
     "With --program: add files that are needed only sometimes: certs, tzdata, locales, gconv, terminfo, shell, "
     "python-packages, "
     "perl-packages, node-packages."},
    {"env", 'e', COMPLETE_NOTHING, "K=V", "With --program: set an environment variable in the image."},
    {"entrypoint", 0, COMPLETE_NOTHING, "PROGRAM",
     "With --program: what the image runs, a path or a JSON array with arguments. Default: the program."},
    {"dry-run", 0, COMPLETE_NOTHING, NULL,
     "With --program: build nothing, list what would go into the image, and why."},
    {"json", 0, COMPLETE_NOTHING, NULL,
     "Print the digest, names and, with --program, the files and why they are there, as JSON."},
    OPTIONS_REGISTRY,
};

static const struct command_option pull_options[] = {
    {"convert", 0, COMPLETE_NOTHING, NULL,
     "Fetch and convert the original's layers even if an image of Lampo's own form is attached to it."},
    OPTIONS_REGISTRY,
};

static const struct command_option push_options[] = {
    {"format", 0, COMPLETE_NOTHING, "FORMAT",
     "What to push: lampo, the image as it is, compressed (default); raw, the same without compression; oci, an image "
     "with one "
     "layer that other tools can run."},
    OPTIONS_REGISTRY,
};

static const struct command_option doctor_options[] = {OPTION_JSON};
static const struct command_option version_options[] = {OPTION_JSON};

#define OPTIONS(array) .options = (array), .option_count = countof(array)

const struct command commands[COMMAND_COUNT] = {
    [COMMAND_RUN] =
	{
	    .name = "run",
	    .arguments = "IMAGE [ARG...] | [--] CMD [ARG...]",
	    .summary = "Run an image or a program in a VM of its own",
	    .text =
		"Starts a VM, runs a program in it and ends with its exit code.\n"
		"\n"
		"If the first argument is the name or digest of an image that is here, or the path of an image file, "
		"the "
		"VM has the image's files, and its entry point, environment, user and working directory; ARG... take "
		"the "
		"place of its default arguments. Otherwise, if it is a program of the host, that one is run. "
		"Otherwise, "
		"if it is a name with a registry, HOST/NAME, the image is pulled first. After -- it is always a "
		"program.\n"
		"\n"
		"A program is taken from the host's own files. The VM sees /usr, /bin, /sbin, /lib*, those files of "
		"/etc "
		"that everybody may read, and the current directory. Nothing that the program writes reaches the host "
		"or "
		"the image: writes are kept in the VM's memory and vanish with it. Only -v with :rw lets writes "
		"through.\n"
		"\n"
		"Standard output and standard error are those of the caller. SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1 "
		"and "
		"SIGUSR2 are passed on to the program.",
	    .arguments_min = 1,
	    .arguments_max = -1,
	    .stop_at_argument = true,
	    .completion = COMPLETE_PROGRAM,
	    OPTIONS(run_options),
	},
    [COMMAND_PS] =
	{
	    .name = "ps",
	    .arguments = "",
	    .summary = "List VMs",
	    .text = "Lists the VMs that run now, with what they use. STATUS is running, ending, not answering (the "
		    "monitor does "
		    "not react; lampo kill ends it), or exited with the exit code. RESIDENT is how much of the VM's "
		    "memory the "
		    "host has given so far, CPU TIME what the VM and its monitor have used.",
	    .arguments_max = 0,
	    OPTIONS(ps_options),
	},
    [COMMAND_LOGS] =
	{
	    .name = "logs",
	    .arguments = "VM",
	    .summary = "Print the output of a detached VM",
	    .text =
		"Prints what the program of a VM started with -d has written to standard output and standard error.",
	    .arguments_min = 1,
	    .arguments_max = 1,
	    .completion = COMPLETE_VM,
	    OPTIONS(logs_options),
	},
    [COMMAND_STOP] =
	{
	    .name = "stop",
	    .arguments = "VM...",
	    .summary = "Stop VMs",
	    .text = "Sends SIGTERM to the program in each VM; a VM that has not ended after a while is ended by force. "
		    "Prints the VMs as they were named.",
	    .arguments_min = 1,
	    .arguments_max = -1,
	    .completion = COMPLETE_VM,
	    OPTIONS(stop_options),
	},
    [COMMAND_KILL] =
	{
	    .name = "kill",
	    .arguments = "VM...",
	    .summary = "Send a signal to the program in VMs",
	    .text = "Sends a signal to the program in each VM. SIGKILL ends the VM at once, whatever state it is in; "
		    "its exit "
		    "code is then 137.",
	    .arguments_min = 1,
	    .arguments_max = -1,
	    .completion = COMPLETE_VM,
	    OPTIONS(kill_options),
	},
    [COMMAND_WAIT] =
	{
	    .name = "wait",
	    .arguments = "VM...",
	    .summary = "Wait for VMs to end and print their exit codes",
	    .text = "Prints one exit code per line, in the order of the arguments.",
	    .arguments_min = 1,
	    .arguments_max = -1,
	    .completion = COMPLETE_VM,
	},
    [COMMAND_RM] =
	{
	    .name = "rm",
	    .arguments = "VM...",
	    .summary = "Forget VMs that have ended",
	    .text = "Removes the log and the exit code of detached VMs that have ended.",
	    .arguments_min = 1,
	    .arguments_max = -1,
	    .completion = COMPLETE_VM,
	    OPTIONS(rm_options),
	},
    [COMMAND_BUILD] =
	{
	    .name = "build",
	    .program = PROGRAM_IMAGE,
	    .arguments = "CONTEXT | --program PROGRAM [-- ARG...]",
	    .summary = "Make an image",
	    .text = "Makes an image and prints its digest. The same input gives the same digest.\n"
		    "\n"
		    "With a directory CONTEXT it follows the Lampofile there. That is a Dockerfile in which nothing is "
		    "run: FROM, COPY, ENV, "
		    "WORKDIR, USER, EXPOSE, ENTRYPOINT, CMD and LABEL. Files that .lampoignore, or else .dockerignore, "
		    "names are left out.\n"
		    "\n"
		    "With --program it packages a program of the host with what it needs: libraries, interpreter, the "
		    "interpreter's standard "
		    "library, and files that libraries are known to read. Files keep their paths; their owner becomes "
		    "root. What "
		    "follows -- are the program's arguments when lampo run names none. What a file needs but is not "
		    "there is noted on standard error.\n"
		    "\n"
		    "If SOURCE_DATE_EPOCH is set, that is when the image was made, and no file in it is newer.",
	    .arguments_max = -1,
	    .completion = COMPLETE_DIRECTORY,
	    OPTIONS(build_options),
	},
    [COMMAND_PULL] =
	{
	    .name = "pull",
	    .program = PROGRAM_IMAGE,
	    .arguments = "HOST[:PORT]/PATH[:TAG][@DIGEST]",
	    .summary = "Fetch an image from a registry",
	    .text =
		"Fetches an image and prints its digest. If the registry has it in Lampo's own form, attached to the "
		"original "
		"or under the name itself, that is taken; otherwise the layers for linux/amd64 are fetched and "
		"converted. What is "
		"there and whole is not fetched again; what is damaged is replaced. A pull that was interrupted goes "
		"on "
		"where it was.\n"
		"\n"
		"Credentials are those of docker and podman: $DOCKER_CONFIG/config.json (default: "
		"~/.docker/config.json) with its "
		"credential helpers, then $XDG_RUNTIME_DIR/containers/auth.json. Certificates are looked for in "
		"certs.d/HOST[:PORT] "
		"below ~/.config/containers, /etc/containers and /etc/docker. LAMPO_CONNECT_TIMEOUT (default: 10) and "
		"LAMPO_STALL_TIMEOUT (default: 30) say after how many seconds without an answer or progress an attempt "
		"is given up.",
	    .arguments_min = 1,
	    .arguments_max = 1,
	    OPTIONS(pull_options),
	},
    [COMMAND_PUSH] =
	{
	    .name = "push",
	    .program = PROGRAM_IMAGE,
	    .arguments = "IMAGE [HOST[:PORT]/PATH[:TAG]]",
	    .summary = "Send an image to a registry",
	    .text =
		"Sends an image to where its name says, or to another place, and prints the digest of the manifest "
		"that the registry "
		"has of it. An image that was pulled from the same repository is attached to the original, whose tag "
		"stays as it "
		"is: whoever pulls it by Lampo gets the attached one. Credentials and certificates: see lampo pull.",
	    .arguments_min = 1,
	    .arguments_max = 2,
	    .completion = COMPLETE_IMAGE,
	    OPTIONS(push_options),
	},
    [COMMAND_IMPORT] =
	{
	    .name = "import",
	    .program = PROGRAM_IMAGE,
	    .arguments = "ARCHIVE [NAME]",
	    .summary = "Take images from an archive",
	    .text = "Takes images from what docker save, podman save or lampo export wrote, from an OCI image layout "
		    "(a directory, or an "
		    "archive of it), or, if ARCHIVE is -, from standard input; compressed by gzip or zstd or not. "
		    "Images of others are "
		    "converted for linux/amd64. Prints the digest of each.\n"
		    "\n"
		    "The images get the names that they have in the archive. NAME is for an archive with one image, or "
		    "for the one "
		    "that --ref chooses. What is in the archive is verified: an image that is not what its digests say "
		    "is not imported.",
	    .arguments_min = 1,
	    .arguments_max = 2,
	    .completion = COMPLETE_FILE,
	    OPTIONS(import_options),
	},
    [COMMAND_EXPORT] =
	{
	    .name = "export",
	    .program = PROGRAM_IMAGE,
	    .arguments = "IMAGE",
	    .summary = "Write an image to an archive",
	    .text = "Writes an image to a file, for lampo import on another machine or for other tools. The same image "
		    "gives the same "
		    "archive each time.",
	    .arguments_min = 1,
	    .arguments_max = 1,
	    .completion = COMPLETE_IMAGE,
	    OPTIONS(export_options),
	},
    [COMMAND_IMAGES] =
	{
	    .name = "images",
	    .program = PROGRAM_IMAGE,
	    .arguments = "",
	    .summary = "List images",
	    .text = "Lists the images by name, then those that have none (<none>), which stay until lampo prune.",
	    .arguments_max = 0,
	    OPTIONS(images_options),
	},
    [COMMAND_IMAGE_INSPECT] =
	{
	    .name = "image inspect",
	    .program = PROGRAM_IMAGE,
	    .arguments = "IMAGE...",
	    .summary = "Print all about images as JSON",
	    .text = "Prints an array with an object for each image: its names, digest, sizes, the root of its hash "
		    "tree, where it "
		    "came from, and its configuration.",
	    .arguments_min = 1,
	    .arguments_max = -1,
	    .completion = COMPLETE_IMAGE,
	},
    [COMMAND_IMAGE_VERIFY] =
	{
	    .name = "image verify",
	    .program = PROGRAM_IMAGE,
	    .arguments = "[IMAGE...]",
	    .summary = "Check every block of images",
	    .text = "Checks every block of the images named, or of all, against their digests. For a damaged image it "
		    "prints which "
		    "names it has and how to get it back, and puts the file aside, so that pulling or building it "
		    "again brings a "
		    "good one. The exit code is 1 if an image is damaged or missing.",
	    .arguments_max = -1,
	    .completion = COMPLETE_IMAGE,
	    OPTIONS(image_verify_options),
	},
    [COMMAND_IMAGE_HISTORY] =
	{
	    .name = "image history",
	    .program = PROGRAM_IMAGE,
	    .arguments = "IMAGE",
	    .summary = "Print the steps that made an image",
	    .text = "Prints the history in the image's configuration, the newest step first.",
	    .arguments_min = 1,
	    .arguments_max = 1,
	    .completion = COMPLETE_IMAGE,
	    OPTIONS(image_history_options),
	},
    [COMMAND_TAG] =
	{
	    .name = "tag",
	    .program = PROGRAM_IMAGE,
	    .arguments = "IMAGE NAME...",
	    .summary = "Give an image another name",
	    .text = "Gives the image each of the names, too. An image that had the name before loses it.",
	    .arguments_min = 2,
	    .arguments_max = -1,
	    .completion = COMPLETE_IMAGE,
	},
    [COMMAND_RMI] =
	{
	    .name = "rmi",
	    .program = PROGRAM_IMAGE,
	    .arguments = "IMAGE...",
	    .summary = "Remove images",
	    .text = "Removes the names; an image that has no name any more is deleted. VMs that run it go on.",
	    .arguments_min = 1,
	    .arguments_max = -1,
	    .completion = COMPLETE_IMAGE,
	    OPTIONS(rmi_options),
	},
    [COMMAND_PRUNE] =
	{
	    .name = "prune",
	    .program = PROGRAM_IMAGE,
	    .arguments = "",
	    .summary = "Delete images without a name",
	    .text = "Deletes images that have no name, damaged ones that lampo image verify has put aside, and what "
		    "interrupted "
		    "commands left behind. Prints how much was freed.",
	    .arguments_max = 0,
	},
    [COMMAND_DOCTOR] =
	{
	    .name = "doctor",
	    .arguments = "",
	    .summary = "Say what this host can do",
	    .text = "Looks at everything that Lampo can use on this host, and says what to do about what is missing. "
		    "The exit "
		    "code is 0 if VMs can run, and 1 if not.",
	    .arguments_max = 0,
	    OPTIONS(doctor_options),
	},
    [COMMAND_VERSION] =
	{
	    .name = "version",
	    .arguments = "",
	    .summary = "Print the version",
	    .text = "Prints the version of Lampo.",
	    .arguments_max = 0,
	    OPTIONS(version_options),
	},
    [COMMAND_HELP] =
	{
	    .name = "help",
	    .arguments = "[COMMAND]",
	    .summary = "Explain a command",
	    .text = "Lists the commands, or explains one. The same as lampo COMMAND --help.",
	    .arguments_max = 2,
	    .completion = COMPLETE_COMMAND,
	},
};

const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < countof(commands); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

bool command_is_group(const char *word)
{
	size_t length = strlen(word);

	for (size_t i = 0; i < countof(commands); i++)
		if (strncmp(commands[i].name, word, length) == 0 && commands[i].name[length] == ' ')
			return true;
	return false;
}

const struct command *command_match(int count, char *const *words, int *used, struct err *err)
{
	char name[64];
	const struct command *found = NULL;
	int n = snprintf(name, sizeof(name), "%s", words[0]);

	*used = 1;
	if (n >= 0 && (size_t)n < sizeof(name) && strchr(name, ' ') == NULL)
		found = command_find(name);
	if (found == NULL && command_is_group(words[0])) {
		if (count < 2) {
			err_set(err, -EINVAL, "which command of 'lampo %s'?!", words[0]);
			err_hint(err, "'lampo help %s' lists them", words[0]);
			return NULL;
		}
		n = snprintf(name, sizeof(name), "%s %s", words[0], words[1]);
		if (n >= 0 && (size_t)n < sizeof(name))
			found = command_find(name);
		*used = 2;
	}
	if (found == NULL) {
		err_set(err, -EINVAL, "there is no command '%s%s%s'!", words[0], *used == 2 ? " " : "",
			*used == 2 ? words[1] : "");
		err_hint(err, "'lampo help' lists the commands");
	}
	return found;
}
