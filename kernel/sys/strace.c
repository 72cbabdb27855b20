/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --strace: lines of system calls. A call's line is put together in a buffer of its own and printed
 * when the call ends. If another thread wants to print meanwhile, because the call sleeps, the line goes out
 * as "<unfinished ...>" first and its end as "<... resumed>", as strace has it.
 */
#include "kernel/sys/strace.h"
#include "kernel/mm/mm.h"
#include "kernel/proc/process.h"
#include "kernel/sys/table.h"

#define LINE_BYTES 1024u

struct strace_line {
	struct list node;
	struct thread *thread;
	uint32_t number;
	bool unfinished; /* the beginning has been printed */
	unsigned next;   /* first argument that is written after the call */
	struct strace_text text;
	char data[LINE_BYTES];
};

/* Names and argument kinds in one string, "read:FRz": one pointer for each call. */
static const char *const calls[SYSCALL_COUNT] = {
#define ENTRY(number, name, spec) [number] = #name ":" spec,
    SYSCALL_TABLE(ENTRY)};

static struct list open_lines = LIST_INIT(open_lines);
static bool several_threads; /* once true, every line has its prefix */

static bool strace_on(void) { return (boot_info->flags & LAMPO_BOOT_STRACE) != 0; }

static const char *call_spec(uint32_t number)
{
	const char *colon = number < SYSCALL_COUNT && calls[number] != NULL ? strchr(calls[number], ':') : NULL;
	return colon != NULL ? colon + 1 : "xxxxxx";
}

const char *syscall_name(uint32_t number)
{
	static char name[32];

	if (number >= SYSCALL_COUNT || calls[number] == NULL) {
		ksnprintf(name, sizeof(name), "syscall_0x%x", number);
		return name;
	}
	size_t length = min_u64((uint64_t)(strchr(calls[number], ':') - calls[number]), sizeof(name) - 1);
	memcpy(name, calls[number], length);
	name[length] = '\0';
	return name;
}

static void line_print(const struct thread *thread, const char *text)
{
	if (!several_threads && thread->process != NULL &&
	    (thread->process->thread_count > 1 || processes.next->next != &processes))
		several_threads = true;
	if (several_threads)
		klog("[pid %5d] %s", thread->tid, text);
	else
		klog("%s", text);
}

/* Prints the beginnings of all calls that are under way, but `own`. */
static void lines_interrupt(const struct strace_line *own)
{
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): a list's links are never NULL */
	list_for_each(node, &open_lines)
	{
		struct strace_line *line = list_entry(node, struct strace_line, node);
		if (line == own || line->unfinished)
			continue;
		line->unfinished = true;
		strace_add(&line->text, " <unfinished ...>");
		line_print(line->thread, line->data);
		line->text.used = 0;
		line->data[0] = '\0';
	}
}

static struct strace_line *line_find(const struct thread *thread)
{
	list_for_each(node, &open_lines)
	{
		struct strace_line *line = list_entry(node, struct strace_line, node);
		if (line->thread == thread)
			return line;
	}
	return NULL;
}

static void line_free(struct strace_line *line)
{
	line->thread->strace_open = false;
	list_remove(&line->node);
	kfree(line);
}

void strace_enter(uint32_t number, const struct syscall_args *args)
{
	struct strace_line *line = line_find(current);
	if (line != NULL) /* the last call never came back here: a signal's sigreturn, an exec */
		line_free(line);
	line = kmalloc(sizeof(*line));
	if (line == NULL)
		return;
	memset(line, 0, offsetof(struct strace_line, data));
	line->thread = current;
	line->number = number;
	line->text = (struct strace_text){.data = line->data, .size = LINE_BYTES};
	line->data[0] = '\0';

	const char *spec = call_spec(number);
	strace_add(&line->text, "%s(", syscall_name(number));
	for (; spec[line->next] != '\0' && !strace_is_output(spec[line->next]); line->next++) {
		/* open's mode only counts with O_CREAT; nothing is printed without it. */
		if (spec[line->next] == 'O' && (args->arg[line->next - 1] & 0100) == 0)
			continue;
		if (line->next > 0)
			strace_add(&line->text, ", ");
		strace_add_argument(&line->text, spec[line->next], args->arg, line->next, 0);
	}
	if (line->next > 0 && spec[line->next] != '\0')
		strace_add(&line->text, ", ");
	/* Only now: decoding may have slept while other threads printed. */
	list_add_tail(&open_lines, &line->node);
	current->strace_open = true;
}

void strace_leave(uint32_t number, const struct syscall_args *args, int64_t result)
{
	struct strace_line *line = line_find(current);
	if (line == NULL)
		return;
	const char *spec = call_spec(number);
	bool resumed = line->unfinished;

	list_remove(&line->node);
	if (resumed)
		strace_add(&line->text, "<... %s resumed>", syscall_name(number));
	for (unsigned i = line->next; spec[i] != '\0'; i++) {
		if (i > line->next)
			strace_add(&line->text, ", ");
		strace_add_argument(&line->text, spec[i], args->arg, i, result);
	}
	strace_add(&line->text, ")");
	/* strace's column for results */
	while (line->text.used < 39 && !resumed)
		strace_add(&line->text, " ");
	strace_add(&line->text, " = ");
	strace_add_result(&line->text, number, result);
	lines_interrupt(line);
	line_print(current, line->data);
	line_free(line);
}

void strace_thread_exit(int code)
{
	(void)code;
	struct strace_line *line = strace_on() ? line_find(current) : NULL;
	if (line == NULL)
		return;
	if (line->unfinished)
		strace_add(&line->text, "<... %s resumed>", syscall_name(line->number));
	strace_add(&line->text, ")");
	while (line->text.used < 39 && !line->unfinished)
		strace_add(&line->text, " ");
	strace_add(&line->text, " = ?");
	lines_interrupt(line);
	line_print(current, line->data);
	line_free(line);
}

void strace_signal(int signal, const siginfo_t *info)
{
	if (!strace_on())
		return;
	char data[256];
	struct strace_text text = {.data = data, .size = sizeof(data)};
	strace_add(&text, "--- %s ", strace_signal_name(signal));
	strace_add_siginfo(&text, info);
	strace_add(&text, " ---");
	lines_interrupt(NULL);
	line_print(current, data);
}

void strace_exit(int status)
{
	if (!strace_on())
		return;
	char line[64];
	strace_thread_exit(status >> 8);
	lines_interrupt(NULL);
	if ((status & 0x7f) == 0)
		ksnprintf(line, sizeof(line), "+++ exited with %d +++", (status >> 8) & 0xff);
	else
		ksnprintf(line, sizeof(line), "+++ killed by %s%s +++", strace_signal_name(status & 0x7f),
			  (status & 0x80) != 0 ? " (core dumped)" : "");
	line_print(current, line);
}

void strace_first_program(const char *path, unsigned argc, char *const *argv, unsigned envc)
{
	if (!strace_on())
		return;
	char *line = kmalloc(LINE_BYTES);
	if (line == NULL)
		return;
	struct strace_text text = {.data = line, .size = LINE_BYTES};
	strace_add(&text, "execve(\"%s\", [", path);
	for (unsigned i = 0; i < argc && i < 32; i++)
		strace_add(&text, "%s\"%.32s\"%s", i == 0 ? "" : ", ", argv[i], strlen(argv[i]) > 32 ? "..." : "");
	strace_add(&text, "%s], /* %u vars */) = 0", argc > 32 ? ", ..." : "", envc);
	line_print(current, line);
	kfree(line);
}
