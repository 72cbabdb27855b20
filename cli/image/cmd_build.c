/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/image/image_cli.h"
#include "cli/image/registry_arguments.h"
#include "cli/parse.h"
#include "cli/table.h"
#include "image/build.h"
#include "image/build_program.h"

/* Values of an option that may be given several times: NULL-terminated, malloc'd; the strings are the command line's.
 */
static char **values_of(const struct arguments *arguments, const char *name)
{
	char **list = calloc(arguments->value_count + 1, sizeof(list[0]));
	size_t count = 0;

	for (size_t i = 0; list != NULL && i < arguments->value_count; i++)
		if (strcmp(arguments->values[i].option->name, name) == 0)
			list[count++] = (char *)arguments->values[i].value;
	return list;
}

/* What was asked for, as the library wants it. */
struct request {
	struct build_program_options program; /* .program NULL: a Lampofile */
	char **tags, **add, **with, **env;
	char (*names)[REFERENCE_MAX]; /* of tags */
	size_t name_count;
	int64_t epoch;
	bool json, dry_run;
};

static void request_fini(struct request *r)
{
	free(r->tags);
	free(r->add);
	free(r->with);
	free(r->env);
	free(r->names);
}

static int read_names(struct request *r, struct err *err)
{
	struct reference reference;

	for (char **tag = r->tags; *tag != NULL; tag++)
		r->name_count++;
	r->names = calloc(r->name_count + 1, sizeof(r->names[0]));
	if (r->names == NULL)
		return err_set(err, -ENOMEM, "cannot read the command line");
	for (size_t i = 0; i < r->name_count; i++) {
		int code = reference_parse(&reference, r->tags[i], err);
		if (code < 0)
			return code;
		if (reference.digest[0] != '\0')
			return err_set(err, -EINVAL, "an image cannot be given the name '%s': it has a digest in it!",
				       r->tags[i]);
		reference_format(&reference, r->names[i]);
	}
	return 0;
}

/* Options that only the other form has are refused, rather than to do nothing. */
static int check_form(const struct arguments *arguments, const struct request *r, struct err *err)
{
	static const char *const programs_only[] = {"add", "with", "env", "entrypoint", "dry-run"};

	if (r->program.program != NULL) {
		if (arguments_have(arguments, "file")) {
			err_set(err, -EINVAL, "--file and --program exclude each other!");
			return err_hint(err, "'lampo help build' explains the two forms");
		}
		return 0;
	}
	for (size_t i = 0; i < sizeof(programs_only) / sizeof(programs_only[0]); i++)
		if (arguments_have(arguments, programs_only[i])) {
			err_set(err, -EINVAL, "--%s works with --program only!", programs_only[i]);
			return err_hint(err, "'lampo help build' explains the two forms");
		}
	if (arguments->rest_count == 1)
		return 0;
	err_set(err, -EINVAL,
		arguments->rest_count == 0 ? "there is no context directory!"
					   : "there is more than one context directory!");
	return err_hint(err, "'lampo build -t NAME .' builds from the Lampofile of this directory, 'lampo build "
			     "--program PROGRAM' without one");
}

static int request_read(struct request *r, const struct arguments *arguments, struct err *err)
{
	const char *epoch = getenv("SOURCE_DATE_EPOCH");
	uint64_t seconds;

	*r = (struct request){
	    .epoch = -1, .json = arguments_have(arguments, "json"), .dry_run = arguments_have(arguments, "dry-run")};
	r->tags = values_of(arguments, "tag");
	r->add = values_of(arguments, "add");
	r->with = values_of(arguments, "with");
	r->env = values_of(arguments, "env");
	if (r->tags == NULL || r->add == NULL || r->with == NULL || r->env == NULL)
		return err_set(err, -ENOMEM, "cannot read the command line");
	r->program = (struct build_program_options){.program = arguments_value(arguments, "program"),
						    .add = r->add,
						    .with = r->with,
						    .env = r->env,
						    .entrypoint = arguments_value(arguments, "entrypoint"),
						    .arguments = arguments->rest};
	if (epoch != NULL && *epoch != '\0') {
		/* 253402300799 is the last second of the year 9999. */
		int code = parse_number("SOURCE_DATE_EPOCH", epoch, 0, 253402300799ull, &seconds, err);
		if (code < 0)
			return code;
		r->epoch = (int64_t)seconds;
	}
	int code = check_form(arguments, r, err);
	return code < 0 ? code : read_names(r, err);
}

/* ---- output ---- */

static json_t *files_json(const struct build_report *report)
{
	json_t *files = json_array();

	for (size_t i = 0; i < report->file_count; i++) {
		const struct build_report_file *f = &report->files[i];
		const char *type = f->type == 'l' ? "link" : f->type == 'm' ? "made" : "file";
		json_array_append_new(files,
				      json_pack("{s:s%,s:s,s:I,s:s%}", "path", f->path, strlen(f->path), "type", type,
						"bytes", (json_int_t)f->bytes, "reason", f->reason, strlen(f->reason)));
	}
	return files;
}

static int print_json(const struct request *r, const struct build_report *report, const struct build_result *result,
		      struct err *err)
{
	json_t *root = json_object(), *names = json_array(), *notes = json_array();
	char digest[IMAGE_DIGEST_TEXT];

	for (size_t i = 0; i < r->name_count; i++)
		json_array_append_new(names, json_string(r->names[i]));
	for (size_t i = 0; i < report->notes.count; i++)
		json_array_append_new(notes, json_string(report->notes.items[i]));
	if (!r->dry_run) {
		image_digest_format(&result->digest, digest);
		json_object_set_new(root, "digest", json_string(digest));
		json_object_set_new(root, "bytes", json_integer((json_int_t)result->bytes));
	}
	json_object_set_new(root, "names", names);
	if (r->program.program != NULL) {
		json_object_set_new(root, "files", files_json(report));
		json_object_set_new(root, "notes", notes);
	} else {
		json_decref(notes);
	}
	return table_print_json(root, err);
}

static int print_files(const struct build_report *report, struct err *err)
{
	static const char *const titles[] = {"SIZE", "PATH", "REASON"};
	struct table table = {.titles = titles, .columns = 3};
	uint64_t sum = 0;
	char size[32];
	int code = 0;

	for (size_t i = 0; i < report->file_count && code == 0; i++) {
		const struct build_report_file *f = &report->files[i];
		table_format_bytes(size, sizeof(size), f->bytes);
		const char *cells[] = {f->type == 'l' ? "link" : size, f->path, f->reason};
		code = table_add(&table, cells, err);
		sum += f->bytes;
	}
	if (code == 0) {
		table_print(&table);
		table_format_bytes(size, sizeof(size), sum);
		fprintf(stderr, "%zu files, %s\n", report->file_count, size);
	}
	table_fini(&table);
	return code;
}

static void print_notes(const struct build_report *report)
{
	for (size_t i = 0; i < report->notes.count; i++) {
		/* Names of files are in them. */
		for (char *c = report->notes.items[i]; *c != '\0'; c++)
			if ((unsigned char)*c < ' ' || *c == 127)
				*c = '?';
		fprintf(stderr, "lampo: note: %s\n", report->notes.items[i]);
	}
}

static int print_result(const struct request *r, const struct build_report *report, const struct build_result *result,
			struct err *err)
{
	char digest[IMAGE_DIGEST_TEXT];

	if (r->json)
		return print_json(r, report, result, err);
	print_notes(report);
	if (r->dry_run)
		return print_files(report, err);
	image_digest_format(&result->digest, digest);
	printf("%s\n", digest);
	return 0;
}

/* ---- building ---- */

/* All names at once, so that it is never half of them. */
static int tag(const struct request *r, struct store *store, const struct image_digest *digest, struct err *err)
{
	const char **names = calloc(r->name_count + 1, sizeof(*names));

	if (names == NULL)
		return err_set(err, -ENOMEM, "cannot name the image");
	for (size_t i = 0; i < r->name_count; i++)
		names[i] = r->names[i];
	int code = r->name_count > 0 ? store_tag_all(store, digest, names, NULL, err) : 0;
	free(names);
	return code;
}

static int build(const struct request *r, const struct arguments *arguments, struct store *store,
		 struct build_report *report, struct build_result *result, struct err *err)
{
	struct progress_display display;
	struct registry_options registry = registry_arguments(arguments, false);
	struct build_output output = {
	    .store = store, .epoch = r->epoch, .registry = &registry, .progress = &display.progress};
	int code;

	progress_display_init(&display, arguments_have(arguments, "quiet") || r->json);
	if (r->program.program != NULL)
		code = build_program(&output, &r->program, report, result, err);
	else
		code = build_lampofile(&output, arguments->rest[0], arguments_value(arguments, "file"), result, err);
	progress_display_fini(&display);
	return code == 0 ? tag(r, store, &result->digest, err) : code;
}

int cmd_build(const struct arguments *arguments, uint64_t start_ns, struct err *err)
{
	struct request r;
	struct build_report report = {0};
	struct build_result result = {0};
	struct store store;
	int code = request_read(&r, arguments, err);

	(void)start_ns;
	if (code == 0 && r.dry_run) {
		code = build_program(NULL, &r.program, &report, &result, err);
	} else if (code == 0) {
		code = store_open(&store, true, err);
		if (code == 0) {
			code = build(&r, arguments, &store, &report, &result, err);
			store_close(&store);
		}
	}
	if (code == 0)
		code = print_result(&r, &report, &result, err);
	build_report_free(&report);
	request_fini(&r);
	return code;
}
