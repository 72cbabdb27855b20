/* SPDX-License-Identifier: Apache-2.0 */
/* The info file: JSON, written by the starter, read by everybody. */
#include "run/vmstate.h"

#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* Without this jansson opens /dev/urandom at the first object; nothing hostile reaches our tables. */
static void seed_once(void)
{
	static bool done;

	if (!done)
		json_object_seed(1);
	done = true;
}

char *vmstate_format(const struct vm_info *info)
{
	seed_once();
	json_t *command = json_loads(info->command, 0, NULL);
	json_t *root =
	    json_pack("{s:s, s:s, s:b, s:b, s:i, s:I, s:i, s:I, s:i, s:s*, s:o}", "id", info->id, "name", info->name,
		      "detached", info->detached, "remove", info->remove, "cpus", (int)info->cpus, "memory_bytes",
		      (json_int_t)info->memory_bytes, "pid", (int)info->pid, "created_ns", (json_int_t)info->created_ns,
		      "stop_signal", info->stop_signal, "image", info->image, "command", command);
	if (root == NULL)
		return NULL;
	char *text = json_dumps(root, JSON_COMPACT);
	json_decref(root);
	return text;
}

int vmstate_parse(const char *text, struct vm_info *info)
{
	const char *id, *name, *image = NULL;
	int detached, removed, cpus, pid, stop_signal = SIGTERM;
	json_int_t memory, created;
	json_t *command;
	int code = -EINVAL;

	seed_once();
	*info = (struct vm_info){0};
	json_t *root = json_loads(text, 0, NULL);
	if (root == NULL)
		return -EINVAL;
	if (json_unpack(root, "{s:s, s:s, s:b, s:b, s:i, s:I, s:i, s:I, s?i, s?s, s:o}", "id", &id, "name", &name,
			"detached", &detached, "remove", &removed, "cpus", &cpus, "memory_bytes", &memory, "pid", &pid,
			"created_ns", &created, "stop_signal", &stop_signal, "image", &image, "command", &command) < 0)
		goto out;
	if (strlen(id) != VM_ID_CHARS || strlen(name) > VM_NAME_MAX || !json_is_array(command) || stop_signal < 1 ||
	    stop_signal > 64)
		goto out;
	memcpy(info->id, id, VM_ID_CHARS + 1);
	memcpy(info->name, name, strlen(name) + 1);
	info->detached = detached != 0;
	info->remove = removed != 0;
	info->cpus = (unsigned)cpus;
	info->memory_bytes = (uint64_t)memory;
	info->pid = pid;
	info->created_ns = (uint64_t)created;
	info->stop_signal = stop_signal;
	info->image = image != NULL ? strdup(image) : NULL;
	info->command = json_dumps(command, JSON_COMPACT);
	code = info->command == NULL || (image != NULL && info->image == NULL) ? -ENOMEM : 0;
	if (code < 0)
		vm_info_fini(info);
out:
	json_decref(root);
	return code;
}
