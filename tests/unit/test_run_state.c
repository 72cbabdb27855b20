/* SPDX-License-Identifier: Apache-2.0 */
/* State directories: what is listed, what is removed by whom, and the codes that waiters get. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/util.h"
#include "run/argv.h"
#include "run/fd.h"
#include "run/monitor.h"
#include "run/vmstate.h"

static struct err err;
static char directory[64];

static int setup(void **state)
{
	(void)state;
	strcpy(directory, "/tmp/lampo-unit-XXXXXX");
	assert_non_null(mkdtemp(directory));
	return setenv("LAMPO_RUN_DIR", directory, 1);
}

static int teardown(void **state)
{
	char vm[96];

	(void)state;
	snprintf(vm, sizeof(vm), "%s/vm", directory);
	/* Fails if a test left something. */
	return (rmdir(vm) < 0 && errno != ENOENT) || rmdir(directory) < 0 ? -1 : 0;
}

static struct vm_info info_of(const struct vmstate *s, const char *name, bool detached)
{
	struct vm_info info = {.detached = detached,
			       .cpus = 2,
			       .memory_bytes = 1 << 30,
			       .pid = 77,
			       .created_ns = 1,
			       .stop_signal = 15,
			       .command = (char *)"[\"true\"]"};

	memcpy(info.id, s->id, sizeof(info.id));
	snprintf(info.name, sizeof(info.name), "%s", name);
	return info;
}

/* A VM that lives as long as *lock_fd is open. */
static struct vm_info vm_new(const char *name, bool detached, int *lock_fd)
{
	struct vmstate s;

	assert_int_equal(vmstate_create(&s, name, &err), 0);
	struct vm_info info = info_of(&s, name, detached);
	assert_int_equal(vmstate_publish(&s, &info, &err), 0);
	*lock_fd = fd_take(&s.lock_fd);
	vmstate_close(&s);
	return info;
}

static void write_exit(const char *id, const char *text)
{
	struct vm_entry entry;
	int dir_fd;

	assert_int_equal(vmstate_find(id, &entry, &dir_fd, &err), 0);
	assert_int_equal(fd_write_file(dir_fd, "exit", text, strlen(text)), 0);
	vm_info_fini(&entry.info);
	close(dir_fd);
}

static size_t listed(void)
{
	struct vm_list list;

	assert_int_equal(vmstate_list(&list, &err), 0);
	size_t count = list.count;
	vmstate_list_fini(&list);
	return count;
}

static void remove_vm(const char *id)
{
	struct vm_entry entry;
	int dir_fd;

	assert_int_equal(vmstate_find(id, &entry, &dir_fd, &err), 0);
	assert_int_equal(vmstate_remove(dir_fd, &entry.info, &err), 0);
	vm_info_fini(&entry.info);
	close(dir_fd);
}

static void names(void **state)
{
	char longest[VM_NAME_MAX + 2];

	(void)state;
	memset(longest, 'x', sizeof(longest));
	longest[VM_NAME_MAX + 1] = '\0';
	assert_false(vmstate_name_valid(longest));
	longest[VM_NAME_MAX] = '\0';
	assert_true(vmstate_name_valid(longest));
	assert_true(vmstate_name_valid("a") && vmstate_name_valid("0.b_c-D"));
	assert_false(vmstate_name_valid("") || vmstate_name_valid(".a") || vmstate_name_valid("-a") ||
		     vmstate_name_valid("a/b") || vmstate_name_valid("a b") || vmstate_name_valid("\xc3\xa9"));
}

static void info_survives_the_file(void **state)
{
	struct vm_info in = {.id = "0123456789ab",
			     .name = "n",
			     .detached = true,
			     .remove = true,
			     .cpus = 32,
			     .memory_bytes = 192ull << 30,
			     .pid = 4194304,
			     .created_ns = 1790000000123456789u,
			     .stop_signal = 3,
			     .image = (char *)"registry.example/app:1",
			     .command = (char *)"[\"a\",\"\\u0001\\\"\"]"};
	struct vm_info out;

	(void)state;
	char *text = vmstate_format(&in);
	assert_non_null(text);
	assert_int_equal(vmstate_parse(text, &out), 0);
	assert_string_equal(out.id, in.id);
	assert_string_equal(out.name, in.name);
	assert_true(out.detached && out.remove);
	assert_int_equal(out.cpus, in.cpus);
	assert_int_equal(out.memory_bytes, in.memory_bytes);
	assert_int_equal(out.pid, in.pid);
	assert_int_equal(out.created_ns, in.created_ns);
	assert_string_equal(out.command, "[\"a\",\"\\u0001\\\"\"]");
	assert_int_equal(out.stop_signal, 3);
	assert_string_equal(out.image, in.image);
	vm_info_fini(&out);
	/* Cut off anywhere it is not an info file. */
	for (size_t n = strlen(text); n-- > 0;) {
		text[n] = '\0';
		assert_int_equal(vmstate_parse(text, &out), -EINVAL);
	}
	free(text);
	assert_int_equal(
	    vmstate_parse(
		"{\"id\":\"short\",\"name\":\"\",\"detached\":true,\"remove\":true,\"cpus\":1,\"memory_bytes\":1,"
		"\"pid\":1,\"created_ns\":1,\"command\":[]}",
		&out),
	    -EINVAL);
}

static void foreground_vm_is_listed_while_it_lives(void **state)
{
	int lock;
	struct vm_info info = vm_new("", false, &lock);
	struct vm_entry entry;
	int dir_fd;

	(void)state;
	assert_int_equal(listed(), 1);
	assert_int_equal(vmstate_find(info.id, &entry, &dir_fd, &err), 0);
	assert_true(entry.alive);
	assert_int_equal(entry.info.cpus, 2);
	assert_int_equal(vmstate_remove(dir_fd, &entry.info, &err), -EBUSY);
	vm_info_fini(&entry.info);
	close(dir_fd);
	close(lock);
	assert_int_equal(listed(), 0); /* and teardown sees that it is removed */
}

static void detached_vm_stays_until_removed(void **state)
{
	int lock;
	struct vm_info info = vm_new("name", true, &lock);
	struct vm_list list;

	(void)state;
	write_exit(info.id, "42\n");
	close(lock);
	assert_int_equal(vmstate_list(&list, &err), 0);
	assert_int_equal(list.count, 1);
	assert_false(list.entries[0].alive);
	assert_int_equal(list.entries[0].code, 42);
	vmstate_list_fini(&list);
	remove_vm("name");
	assert_int_equal(listed(), 0);
}

static void exit_file_of_nonsense_counts_as_none(void **state)
{
	static const char *const texts[] = {"", "x", "-1", "256", "99999999999", "\n"};
	int lock;
	struct vm_info info = vm_new("", true, &lock);

	(void)state;
	close(lock);
	for (size_t i = 0; i < countof(texts); i++) {
		struct vm_list list;
		write_exit(info.id, texts[i]);
		assert_int_equal(vmstate_list(&list, &err), 0);
		assert_int_equal(list.entries[0].code, VM_CODE_KILLED);
		vmstate_list_fini(&list);
	}
	remove_vm(info.id);
}

static void a_name_is_given_once(void **state)
{
	struct vmstate s;
	int lock, other;

	(void)state;
	vm_new("one", false, &lock);
	assert_int_equal(vmstate_create(&s, "one", &err), -EEXIST);
	assert_non_null(strstr(err.text, "one"));
	vm_new("two", false, &other);
	close(other);
	close(lock);
	/* The dead one was ephemeral: its name is free again. */
	vm_new("one", false, &lock);
	close(lock);
	assert_int_equal(listed(), 0);
}

static void a_start_in_the_making_is_left_alone(void **state)
{
	struct vmstate s;

	(void)state;
	assert_int_equal(vmstate_create(&s, "", &err), 0);
	assert_int_equal(listed(), 0);
	assert_int_equal(faccessat(s.dir_fd, "lock", F_OK, 0), 0);
	struct vm_info info = info_of(&s, "", false);
	assert_int_equal(vmstate_publish(&s, &info, &err), 0);
	assert_int_equal(listed(), 1);
	vmstate_discard(&s, 0);
	assert_int_equal(listed(), 0);
}

static void a_start_cut_off_is_removed(void **state)
{
	struct vmstate s;

	(void)state;
	assert_int_equal(vmstate_create(&s, "", &err), 0);
	vmstate_close(&s); /* as kill -9 does */
	assert_int_equal(listed(), 0);
}

static void discard_leaves_the_code_to_a_waiter(void **state)
{
	struct vmstate s;
	int ready[2], status;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	assert_int_equal(vmstate_create(&s, "", &err), 0);
	struct vm_info info = info_of(&s, "", false);
	assert_int_equal(vmstate_publish(&s, &info, &err), 0);
	pid_t waiter = fork();
	if (waiter == 0) {
		struct vm_entry entry;
		int dir_fd, code = 0;
		vmstate_close(&s);
		if (vmstate_find(info.id, &entry, &dir_fd, &err) < 0 || flock(dir_fd, LOCK_SH) < 0 ||
		    write(ready[1], "x", 1) != 1)
			_exit(99);
		_exit(vmstate_wait(dir_fd, &entry.info, -1, &code, &err) < 0 ? 98 : code);
	}
	char byte;
	assert_int_equal(read(ready[0], &byte, 1), 1);
	/* The starter has the last report; the monitor still takes the VM down. */
	int lock = fd_take(&s.lock_fd);
	vmstate_discard(&s, 17);
	usleep(30000);
	close(lock);
	assert_int_equal(waitpid(waiter, &status, 0), waiter);
	assert_int_equal(WEXITSTATUS(status), 17);
	close(ready[0]);
	close(ready[1]);
}

static void waiting_has_a_time_out(void **state)
{
	int lock, dir_fd, code;
	struct vm_info info = vm_new("", true, &lock);
	struct vm_entry entry;

	(void)state;
	assert_int_equal(vmstate_find(info.id, &entry, &dir_fd, &err), 0);
	assert_int_equal(vmstate_wait(dir_fd, &entry.info, 20, &code, &err), -ETIMEDOUT);
	close(lock);
	assert_int_equal(vmstate_wait(dir_fd, &entry.info, 20, &code, &err), 0);
	assert_int_equal(code, VM_CODE_KILLED);
	assert_int_equal(vmstate_remove(dir_fd, &entry.info, &err), 0);
	vm_info_fini(&entry.info);
	close(dir_fd);
}

static void references_are_names_or_prefixes(void **state)
{
	struct vm_entry entry;
	int a, b, dir_fd;
	struct vm_info first = vm_new("", false, &a), second = vm_new("other", false, &b);
	char prefix[VM_ID_CHARS + 1] = "";

	(void)state;
	assert_int_equal(vmstate_find("", &entry, &dir_fd, &err), -ENOENT);
	assert_int_equal(vmstate_find("..", &entry, &dir_fd, &err), -ENOENT);
	assert_int_equal(vmstate_find("nosuch", &entry, &dir_fd, &err), -ENOENT);
	size_t same = 0;
	while (first.id[same] == second.id[same])
		same++;
	memcpy(prefix, first.id, same + 1);
	assert_int_equal(vmstate_find(prefix, &entry, &dir_fd, &err), 0);
	assert_string_equal(entry.info.id, first.id);
	vm_info_fini(&entry.info);
	close(dir_fd);
	prefix[same] = '\0';
	assert_int_equal(vmstate_find(prefix, &entry, &dir_fd, &err), same == 0 ? -ENOENT : -EEXIST);
	close(a);
	close(b);
	assert_int_equal(listed(), 0);
}

static void many_starts_and_lists_at_once(void **state)
{
	enum { PROCESSES = 6, STARTS = 40 };
	pid_t pids[PROCESSES];

	(void)state;
	for (int p = 0; p < PROCESSES; p++) {
		pids[p] = fork();
		if (pids[p] != 0)
			continue;
		for (int i = 0; i < STARTS; i++) {
			struct vmstate s;
			char name[32];
			snprintf(name, sizeof(name), "p%di%d", p, i);
			if (vmstate_create(&s, i % 3 == 0 ? name : NULL, &err) < 0)
				_exit(1);
			struct vm_info info = info_of(&s, i % 3 == 0 ? name : "", false);
			if (i % 7 == 0)
				vmstate_close(&s); /* cut off */
			else if (vmstate_publish(&s, &info, &err) < 0)
				_exit(2);
			else if (i % 5 == 0)
				vmstate_close(&s); /* both killed */
			else if (faccessat(s.dir_fd, "info", F_OK, 0) < 0)
				_exit(3); /* somebody removed a VM that lives */
			else
				vmstate_discard(&s, 0);
			if (i % 4 == 0)
				listed();
		}
		_exit(0);
	}
	for (int p = 0; p < PROCESSES; p++) {
		int status;
		assert_int_equal(waitpid(pids[p], &status, 0), pids[p]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(listed(), 0);
}

static void argument_vectors(void **state)
{
	struct argv args = {0};
	char *text, **vector;

	(void)state;
	argv_add2(&args, "", "b");
	for (int i = 0; i < 5000; i++)
		argv_addf(&args, "%d", i);
	vector = argv_finish(&args, &text);
	assert_non_null(vector);
	assert_string_equal(vector[0], "");
	assert_string_equal(vector[1], "b");
	assert_string_equal(vector[5001], "4999");
	assert_null(vector[5002]);
	free(vector);
	free(text);
}

static void expect_json(char *const *command, const char *want)
{
	char *json = monitor_command_json(command);

	assert_string_equal(json, want);
	free(json);
}

static void commands_become_valid_json(void **state)
{
	static char big[10000];
	char *plain[] = {(char *)"a", (char *)"", NULL},
	     *special[] = {(char *)"\"\\\n\x7f", (char *)"\xc3\xa9\xf0\x9f\x98\x80", NULL};
	char *bad[] = {(char *)"\xff", (char *)"\xc0\x80", (char *)"\xed\xa0\x80", (char *)"\xe2\x82", NULL};
	char *one[] = {big, NULL}, *two[] = {(char *)"x", big, (char *)"y", NULL};

	(void)state;
	expect_json(plain, "[\"a\",\"\"]");
	expect_json(special, "[\"\\u0022\\u005c\\u000a\x7f\",\"\xc3\xa9\xf0\x9f\x98\x80\"]");
#define R "\xef\xbf\xbd"
	expect_json(bad, "[\"" R "\",\"" R R "\",\"" R R R "\",\"" R R "\"]");
	memset(big, 'x', sizeof(big) - 1);
	expect_json(one, "[\"...\"]");
	expect_json(two, "[\"x\",\"...\"]");
	/* Every length around the limit gives JSON that the info file can carry. */
	for (size_t n = 4000; n < 4200; n++) {
		struct vm_info info = {.id = "0123456789ab", .stop_signal = 15}, out;
		memset(big, 'x', sizeof(big) - 1);
		big[n] = '\0';
		info.command = monitor_command_json(two);
		char *text = vmstate_format(&info);
		assert_non_null(text);
		assert_int_equal(vmstate_parse(text, &out), 0);
		vm_info_fini(&out);
		free(info.command);
		free(text);
	}
}

int main(void)
{
#define STATE_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names),
	    cmocka_unit_test(info_survives_the_file),
	    STATE_TEST(foreground_vm_is_listed_while_it_lives),
	    STATE_TEST(detached_vm_stays_until_removed),
	    STATE_TEST(exit_file_of_nonsense_counts_as_none),
	    STATE_TEST(a_name_is_given_once),
	    STATE_TEST(a_start_in_the_making_is_left_alone),
	    STATE_TEST(a_start_cut_off_is_removed),
	    STATE_TEST(discard_leaves_the_code_to_a_waiter),
	    STATE_TEST(waiting_has_a_time_out),
	    STATE_TEST(references_are_names_or_prefixes),
	    STATE_TEST(many_starts_and_lists_at_once),
	    cmocka_unit_test(argument_vectors),
	    cmocka_unit_test(commands_become_valid_json),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
