/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "cli/cli.h"
#include "cli/doctor.h"
#include "cli/table.h"

static const char *const state_names[] = {[CHECK_OK] = "ok", [CHECK_LIMITED] = "limited", [CHECK_MISSING] = "missing"};

static int print_table(const struct check *checks, size_t count, bool can_run, struct err *err)
{
	static const char *const titles[] = {"CHECK", "STATE", "DETAIL"};
	struct table table = {.titles = titles, .columns = countof(titles)};
	int code = 0;

	for (size_t i = 0; i < count && code == 0; i++) {
		const char *const cells[] = {checks[i].name, state_names[checks[i].state], checks[i].detail};
		code = table_add(&table, cells, err);
	}
	if (code == 0) {
		table_print(&table);
		putchar('\n');
		for (size_t i = 0; i < count; i++)
			if (checks[i].state != CHECK_OK && checks[i].advice[0] != '\0')
				printf("%s: %s\n", checks[i].name, checks[i].advice);
		printf("%s\n", can_run ? "VMs can run on this host." : "VMs cannot run on this host.");
	}
	table_fini(&table);
	return code;
}

static int print_json(const struct check *checks, size_t count, bool can_run, struct err *err)
{
	json_t *array = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(array, json_pack("{s:s, s:s, s:b, s:s, s:s}", "check", checks[i].name, "state",
						       state_names[checks[i].state], "required", checks[i].required,
						       "detail", checks[i].detail, "advice",
						       checks[i].state == CHECK_OK ? "" : checks[i].advice));
	return table_print_json(json_pack("{s:b, s:o}", "can_run", can_run, "checks", array), err);
}

int cmd_doctor(const struct arguments *arguments, uint64_t start_ns, struct err *err)
{
	struct check *checks = calloc(CHECKS_MAX, sizeof(*checks));
	bool can_run = true;

	(void)start_ns;
	if (checks == NULL)
		return err_set(err, -ENOMEM, "cannot examine the host");
	size_t count = doctor_examine(checks);
	for (size_t i = 0; i < count; i++)
		can_run &= !checks[i].required || checks[i].state != CHECK_MISSING;
	int code = arguments_have(arguments, "json") ? print_json(checks, count, can_run, err)
						     : print_table(checks, count, can_run, err);
	free(checks);
	return code < 0 ? code : !can_run;
}
