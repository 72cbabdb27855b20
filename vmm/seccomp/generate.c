/* SPDX-License-Identifier: Apache-2.0 */
/* Build tool: writes the monitor's seccomp programs as C arrays. At build time, because making them takes
 * libseccomp longer than a VM takes to start. With an argument: for a test build. */
#include <errno.h>
#include <linux/filter.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "vmm/seccomp/rules.h"

static const struct {
	const char *name;
	unsigned needs;
} programs[] = {
    {"vcpu", SECCOMP_ALL | SECCOMP_VCPU},
    {"vcpu_read", SECCOMP_ALL | SECCOMP_VCPU | SECCOMP_FS},
    {"vcpu_write", SECCOMP_ALL | SECCOMP_VCPU | SECCOMP_FS | SECCOMP_FS_WRITE},
    {"device", SECCOMP_ALL | SECCOMP_DEVICE},
};

static void check(int r, const char *what)
{
	if (r >= 0)
		return;
	fprintf(stderr, "seccomp_generate: %s: %s\n", what, strerror(-r));
	exit(1);
}

static scmp_filter_ctx program_make(unsigned needs)
{
	scmp_filter_ctx context = seccomp_init(SCMP_ACT_KILL_PROCESS);
	if (context == NULL)
		check(-ENOMEM, "init");
	check(seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2), "binary tree");
	for (size_t i = 0; i < seccomp_rule_count; i++) {
		const struct seccomp_rule *rule = &seccomp_rules[i];
		if (!(rule->needs & needs))
			continue;
		struct scmp_arg_cmp compare = {
		    .arg = rule->argument,
		    .op = SCMP_CMP_MASKED_EQ,
		    .datum_a = rule->mask,
		    .datum_b = rule->value,
		};
		check(seccomp_rule_add_array(context, SCMP_ACT_ALLOW, rule->number, rule->mask != 0 ? 1 : 0, &compare),
		      rule->reason);
	}
	return context;
}

int main(int argc, char **argv)
{
	(void)argv;
	printf("/* Made by vmm/seccomp/generate.c. */\n");
	for (size_t i = 0; i < countof(programs); i++) {
		FILE *file = tmpfile();
		if (file == NULL)
			check(-errno, "temporary file");
		scmp_filter_ctx context = program_make(programs[i].needs | (argc > 1 ? SECCOMP_TEST : 0));
		check(seccomp_export_bpf(context, fileno(file)), "export");
		seccomp_release(context);
		rewind(file);
		printf("static const struct sock_filter seccomp_%s[] = {\n", programs[i].name);
		struct sock_filter line;
		while (fread(&line, sizeof(line), 1, file) == 1)
			printf("\t{0x%04x, %u, %u, 0x%08x},\n", line.code, line.jt, line.jf, line.k);
		printf("};\n");
		fclose(file);
	}
	return 0;
}
