/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/util.h"
#include "cli/cli.h"
#include "cli/table.h"
#include "run/control.h"
#include "run/fd.h"
#include "run/vmstate.h"

/* What the monitor said, for a VM that is alive. */
struct usage {
	int code; /* 0, or why there is no reply */
	struct vm_reply reply;
};

static struct usage ask(const struct vm_entry *entry)
{
	enum { TIMEOUT_MS = 500 };
	struct usage usage = {.code = -ESRCH};
	FD_AUTO int dir_fd = entry->alive ? vmstate_open(entry->info.id) : -1;

	if (dir_fd >= 0)
		usage.code = control_request(dir_fd, VM_OP_STATUS, 0, TIMEOUT_MS, &usage.reply);
	return usage;
}

static const char *state_of(const struct vm_entry *entry, const struct usage *usage)
{
	if (!entry->alive)
		return "exited";
	if (usage->code == 0)
		return "running";
	/* A monitor that hangs still has its socket; one that ends closes it first. */
	return usage->code == -ETIMEDOUT || usage->code == -EAGAIN || usage->code == -EPROTO ? "not answering"
											     : "ending";
}

/* The arguments, separated by blanks. */
static void format_command(char *text, size_t size, const char *json)
{
	json_t *array = json_loads(json, 0, NULL);
	size_t used = 0, i;
	json_t *value;

	text[0] = '\0';
	json_array_foreach(array, i, value)
	{
		int n = snprintf(text + used, size - used, "%s%s", i > 0 ? " " : "", json_string_value(value));
		if (n < 0 || (size_t)n >= size - used)
			break;
		used += (size_t)n;
	}
	json_decref(array);
}

static uint64_t age_ns(const struct vm_entry *entry)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	uint64_t ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	return ns > entry->info.created_ns ? ns - entry->info.created_ns : 0;
}

static int add_row(struct table *table, const struct vm_entry *entry, struct err *err)
{
	char status[32], cpus[16], memory[16], resident[16] = "-", cpu[24] = "-", age[24], image[512], command[61];
	struct usage usage = ask(entry);

	if (entry->alive)
		snprintf(status, sizeof(status), "%s", state_of(entry, &usage));
	else
		snprintf(status, sizeof(status), "exited (%d)", entry->code);
	snprintf(cpus, sizeof(cpus), "%u", entry->info.cpus);
	table_format_bytes(memory, sizeof(memory), entry->info.memory_bytes);
	if (usage.code == 0) {
		table_format_bytes(resident, sizeof(resident), usage.reply.resident_bytes);
		table_format_duration(cpu, sizeof(cpu), usage.reply.cpu_ns);
	}
	table_format_duration(age, sizeof(age), age_ns(entry));
	format_command(command, sizeof(command), entry->info.command);
	snprintf(image, sizeof(image), "%s", entry->info.image != NULL ? entry->info.image : "");
	if (strncmp(image, "sha256:", strlen("sha256:")) == 0) /* without a name: as `lampo images` shows it */
		snprintf(image, sizeof(image), "%.12s", entry->info.image + strlen("sha256:"));
	const char *const cells[] = {entry->info.id, entry->info.name, image,    status, age,
				     cpus,           memory,           resident, cpu,    command};
	return table_add(table, cells, err);
}

static int print_table(const struct vm_list *list, bool all, struct err *err)
{
	static const char *const titles[] = {"ID",   "NAME",   "IMAGE",    "STATUS",   "AGE",
					     "CPUS", "MEMORY", "RESIDENT", "CPU TIME", "COMMAND"};
	struct table table = {.titles = titles, .columns = countof(titles)};
	int code = 0;

	for (size_t i = 0; i < list->count && code == 0; i++)
		if (all || list->entries[i].alive)
			code = add_row(&table, &list->entries[i], err);
	if (code == 0)
		table_print(&table);
	table_fini(&table);
	return code;
}

static json_t *entry_json(const struct vm_entry *entry)
{
	const struct vm_info *info = &entry->info;
	struct usage usage = ask(entry);
	json_t *object =
	    json_pack("{s:s, s:s, s:s, s:b, s:i, s:I, s:i, s:I, s:o}", "id", info->id, "name", info->name, "state",
		      state_of(entry, &usage), "detached", info->detached, "cpus", (int)info->cpus, "memory_bytes",
		      (json_int_t)info->memory_bytes, "pid", entry->alive ? (int)info->pid : 0, "created_ns",
		      (json_int_t)info->created_ns, "command", json_loads(info->command, 0, NULL));

	if (info->image != NULL)
		json_object_set_new(object, "image", json_string(info->image));
	if (!entry->alive)
		json_object_set_new(object, "exit_code", json_integer(entry->code));
	if (usage.code == 0) {
		json_object_set_new(object, "resident_bytes", json_integer((json_int_t)usage.reply.resident_bytes));
		json_object_set_new(object, "cpu_ns", json_integer((json_int_t)usage.reply.cpu_ns));
		json_object_set_new(object, "exits", json_integer((json_int_t)usage.reply.exits));
	}
	return object;
}

static int print_json(const struct vm_list *list, bool all, struct err *err)
{
	json_t *array = json_array();

	for (size_t i = 0; i < list->count; i++)
		if (all || list->entries[i].alive)
			json_array_append_new(array, entry_json(&list->entries[i]));
	return table_print_json(array, err);
}

int cmd_ps(const struct arguments *arguments, uint64_t start_ns, struct err *err)
{
	bool all = arguments_have(arguments, "all");
	struct vm_list list;
	int code = vmstate_list(&list, err);

	(void)start_ns;
	if (code < 0)
		return code;
	if (arguments_have(arguments, "json"))
		code = print_json(&list, all, err);
	else if (!arguments_have(arguments, "quiet"))
		code = print_table(&list, all, err);
	else
		for (size_t i = 0; i < list.count; i++)
			if (all || list.entries[i].alive)
				printf("%s\n", list.entries[i].info.id);
	vmstate_list_fini(&list);
	return code;
}
