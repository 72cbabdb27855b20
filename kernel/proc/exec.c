/* SPDX-License-Identifier: Apache-2.0 */
/*
 * execve: a new address space is built from files and strings while the old one stays as it is; only when
 * nothing can fail any more the process changes over.
 */
#include "kernel/proc/exec.h"

#include <linux/fcntl.h>

#include "kernel/fs/vfs.h"
#include "kernel/mm/vma.h"
#include "kernel/proc/clock.h"
#include "kernel/proc/elf.h"
#include "kernel/proc/exec_stack.h"
#include "kernel/proc/process.h"

#define SCRIPT_LINE_BYTES 256u
#define SCRIPT_DEPTH 4u
#define PIE_BASE 0x550000000000ull
#define PIE_RANDOM_PAGES (1u << 24)
#define MMAP_RANDOM_PAGES (1u << 20)
#define STACK_RANDOM_PAGES (1u << 11)
#define BRK_RANDOM_PAGES 64u
#define STACK_ROOM_MIN (128ull << 20) /* kept free for the first thread's stack */
#define STACK_ROOM_MAX (64ull << 30)
#define STACK_FIRST_BYTES (128ull << 10) /* mapped below the strings from the start */
#define PREFAULT_BYTES (32ull << 10)
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define PERSONALITY_NO_RANDOM 0x0040000u
#define PERSONALITY_READ_EXEC 0x0400000u

/* One ELF file: the program or its interpreter. */
struct program {
	struct file *file;
	struct elf_header header;
	struct elf_image image;
	uint64_t bias; /* of addresses in memory to those in the file */
};

struct exec {
	struct program program, interpreter;
	bool has_interpreter;
	char *prefix[3 * SCRIPT_DEPTH]; /* arguments that scripts put in front */
	unsigned prefix_count;
	bool script;
	char line[SCRIPT_LINE_BYTES];
	struct mm *mm;
	struct exec_stack stack;
};

/* ---- files ---- */

static int executable_open(const char *path, struct file **file)
{
	struct dentry *dentry;
	int r = path_lookup_kernel(path, WALK_FOLLOW, &dentry);
	if (r != 0)
		return r;
	struct inode *inode = dentry->inode;
	if (!inode_is_regular(inode))
		r = -EACCES;
	else
		r = inode_permission(inode, MAY_EXEC);
	/* Root may pass any right, but something must be executable at all. */
	if (r == 0 && (inode->mode & 0111) == 0)
		r = -EACCES;
	if (r == 0)
		r = dentry_open(dentry, O_RDONLY, file);
	dentry_put(dentry);
	return r;
}

static int64_t read_at(struct file *file, uint64_t offset, void *to, uint64_t bytes)
{
	return cache_read(inode_cache(file->inode), offset, (uint64_t)to, bytes, false);
}

static uint64_t file_bytes(struct file *file) { return inode_cache(file->inode)->size; }

/* Header and program headers. */
static int program_read(struct program *program)
{
	uint8_t head[ELF_HEADER_BYTES];
	int64_t n = read_at(program->file, 0, head, sizeof(head));
	if (n < 0)
		return (int)n;
	uint64_t size = file_bytes(program->file);
	int r = elf_parse_header(head, (uint64_t)n, size, &program->header);
	if (r != 0)
		return r;
	uint64_t bytes = (uint64_t)program->header.phdr_count * ELF_SEGMENT_BYTES;
	void *table = kmalloc(bytes);
	if (table == NULL)
		return -ENOMEM;
	n = read_at(program->file, program->header.phdr_offset, table, bytes);
	if (n != (int64_t)bytes)
		r = n < 0 ? (int)n : -ENOEXEC;
	if (r == 0)
		r = elf_parse_segments(&program->header, table, size, USER_MAX - PIE_BASE, &program->image);
	kfree(table);
	return r;
}

/* ---- mapping ---- */

static int map_load(struct mm *mm, const struct program *program, const struct elf_load *load)
{
	uint64_t address = load->address + program->bias;
	uint64_t start = align_down(address, PAGE_SIZE);
	uint64_t file_end = address + load->file_bytes, end = align_up(address + load->memory_bytes, PAGE_SIZE);
	uint64_t anonymous = load->file_bytes > 0 ? align_up(file_end, PAGE_SIZE) : start;
	int r = 0;
	if (load->file_bytes > 0)
		r = mm_map(mm, &start, file_end - start, load->prot, MAP_PRIVATE | MAP_FIXED, program->file,
			   align_down(load->offset, PAGE_SIZE));
	if (r == 0 && load->file_bytes > 0 && load->memory_bytes > load->file_bytes && file_end < anonymous)
		r = mm_zero(mm, file_end, anonymous - file_end);
	if (r == 0 && anonymous < end)
		r = mm_map(mm, &anonymous, end - anonymous, load->prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL,
			   0);
	return r;
}

/* What is certainly used at once need not wait for its fault. */
static void prefault(struct mm *mm, const struct program *program)
{
	int si_code;
	mm_fault(mm, program->header.entry + program->bias, 16, &si_code);
	if (program->image.phdr_address != 0)
		mm_fault(mm, program->image.phdr_address + program->bias, 0, &si_code);
}

/* base: where the image's first page goes. */
static int program_map(struct mm *mm, struct program *program, uint64_t base)
{
	const struct elf_image *image = &program->image;
	program->bias = base - image->start;
	for (unsigned i = 0; i < image->load_count; i++) {
		int r = map_load(mm, program, &image->loads[i]);
		if (r != 0)
			return r;
		const struct elf_load *load = &image->loads[i];
		uint64_t start = load->address + program->bias, end = start + load->memory_bytes;
		if ((load->prot & PROT_EXEC) != 0 && (mm->code_start == 0 || start < mm->code_start)) {
			mm->code_start = start;
			mm->code_end = end;
		} else if ((load->prot & PROT_WRITE) != 0 && mm->data_start == 0) {
			mm->data_start = start;
			mm->data_end = end;
		}
	}
	prefault(mm, program);
	return 0;
}

static uint64_t random_pages(uint64_t limit)
{
	uint32_t random;
	if ((current->process->personality & PERSONALITY_NO_RANDOM) != 0)
		return 0;
	arch_random(&random, sizeof(random));
	return (random % limit) << PAGE_SHIFT;
}

/* The places of stack, mmap area, program and heap. */
static int lay_out(struct exec *exec)
{
	struct mm *mm = exec->mm;
	uint64_t limit = current->process->limits[RLIMIT_STACK].rlim_cur;
	uint64_t room = limit < STACK_ROOM_MIN ? STACK_ROOM_MIN : min_u64(limit, STACK_ROOM_MAX);
	exec->stack.top = STACK_TOP - random_pages(STACK_RANDOM_PAGES);
	mm->stack_limit = min_u64(limit, room);
	mm->mmap_top = exec->stack.top - room - STACK_GUARD_BYTES - random_pages(MMAP_RANDOM_PAGES);
	struct elf_image *image = &exec->program.image;
	uint64_t base = exec->program.header.relocatable ? PIE_BASE + random_pages(PIE_RANDOM_PAGES) : image->start;
	int r = program_map(mm, &exec->program, base);
	if (r != 0)
		return r;
	mm->brk_start = mm->brk = image->end + exec->program.bias + random_pages(BRK_RANDOM_PAGES);
	if (exec->has_interpreter) {
		image = &exec->interpreter.image;
		base = exec->interpreter.header.relocatable
			   ? vma_find_room(mm, image->end - image->start, PAGE_SIZE, USER_MIN, mm->mmap_top)
			   : image->start;
		if (base == 0)
			return -ENOMEM;
		uint64_t code[4] = {mm->code_start, mm->code_end, mm->data_start, mm->data_end};
		r = program_map(mm, &exec->interpreter, base);
		mm->code_start = code[0];
		mm->code_end = code[1];
		mm->data_start = code[2];
		mm->data_end = code[3];
	}
	return r;
}

static int map_stack(struct exec *exec, uint64_t below)
{
	bool code =
	    exec->program.image.executable_stack || (current->process->personality & PERSONALITY_READ_EXEC) != 0;
	uint64_t start = align_down(below, PAGE_SIZE) - STACK_FIRST_BYTES;
	int r = mm_map(exec->mm, &start, exec->stack.top - start, PROT_READ | PROT_WRITE | (code ? PROT_EXEC : 0),
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN | MAP_STACK, NULL, 0);
	if (r == 0 && mm_populate(exec->mm, align_down(below, PAGE_SIZE) - PREFAULT_BYTES, exec->stack.top, true) != 0)
		r = -ENOMEM;
	return r;
}

static int build(struct exec *exec, const char *path, const struct exec_strings *strings)
{
	int r = mm_new(&exec->mm);
	if (r != 0)
		return r;
	r = lay_out(exec);
	if (r != 0)
		return r;
	struct exec_stack *stack = &exec->stack;
	const struct program *program = &exec->program;
	r = vdso_map(exec->mm, &stack->vdso);
	if (r != 0)
		return r;
	stack->path = path;
	stack->prefix = exec->prefix;
	stack->prefix_count = exec->prefix_count;
	stack->skip = exec->script && strings->argc > 0 ? 1 : 0;
	stack->strings = strings;
	stack->entry = program->header.entry + program->bias;
	stack->phdr = program->image.phdr_address != 0 ? program->image.phdr_address + program->bias : 0;
	stack->phdr_count = program->header.phdr_count;
	stack->base = exec->has_interpreter ? exec->interpreter.bias + exec->interpreter.image.start : 0;
	uint64_t bytes;
	r = exec_stack_measure(stack, &bytes);
	if (r == 0)
		r = map_stack(exec, stack->top - bytes);
	if (r == 0)
		r = exec_stack_write(exec->mm, stack);
	return r;
}

/* ---- scripts ---- */

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

/* Splits "#!  interpreter argument  \n" in place. -ENOEXEC. */
static int script_line(char *line, uint64_t bytes, char **interpreter, char **argument)
{
	char *end = line;
	while (end < line + bytes && *end != '\n' && *end != '\0')
		end++;
	if (end == line + bytes && bytes == SCRIPT_LINE_BYTES - 1) {
		/* Cut off: the name of the interpreter must be whole at least. */
		char *at = line + 2;
		while (at < end && is_blank(*at))
			at++;
		while (at < end && !is_blank(*at))
			at++;
		if (at == end)
			return -ENOEXEC;
	}
	while (end > line + 2 && is_blank(end[-1]))
		end--;
	*end = '\0';
	char *at = line + 2;
	while (is_blank(*at))
		at++;
	if (*at == '\0')
		return -ENOEXEC;
	*interpreter = at;
	while (*at != '\0' && !is_blank(*at))
		at++;
	*argument = NULL;
	if (*at != '\0') {
		*at++ = '\0';
		while (is_blank(*at))
			at++;
		*argument = at;
	}
	return 0;
}

static int prefix_push(struct exec *exec, const char *text)
{
	kassert(exec->prefix_count < countof(exec->prefix));
	char *copy = kstrdup(text);
	if (copy == NULL)
		return -ENOMEM;
	memmove(&exec->prefix[1], &exec->prefix[0], exec->prefix_count * sizeof(exec->prefix[0]));
	exec->prefix[0] = copy;
	exec->prefix_count++;
	return 0;
}

/* 1: exec->program.file was a script; its interpreter is prefix[0] now. 0: it is none. */
static int script_check(struct exec *exec, const char *path, unsigned depth)
{
	int64_t n = read_at(exec->program.file, 0, exec->line, sizeof(exec->line) - 1);
	if (n < 0)
		return (int)n;
	if (n < 3 || exec->line[0] != '#' || exec->line[1] != '!')
		return 0;
	if (depth >= SCRIPT_DEPTH)
		return -ELOOP;
	char *interpreter, *argument;
	exec->line[n] = '\0';
	int r = script_line(exec->line, (uint64_t)n, &interpreter, &argument);
	if (r == 0 && !exec->script)
		r = prefix_push(exec, path);
	exec->script = true;
	if (r == 0 && argument != NULL)
		r = prefix_push(exec, argument);
	if (r == 0)
		r = prefix_push(exec, interpreter);
	return r == 0 ? 1 : r;
}

/* Opens the ELF file that path leads to, through scripts. */
static int open_program(struct exec *exec, const char *path)
{
	const char *at = path;
	for (unsigned depth = 0;; depth++) {
		int r = executable_open(at, &exec->program.file);
		if (r != 0)
			return r;
		r = script_check(exec, path, depth);
		if (r != 1)
			return r;
		file_put(exec->program.file);
		exec->program.file = NULL;
		at = exec->prefix[0];
	}
}

static int open_interpreter(struct exec *exec)
{
	uint64_t bytes = exec->program.image.interpreter_bytes;
	if (bytes == 0)
		return 0;
	char *path = kmalloc(bytes);
	if (path == NULL)
		return -ENOMEM;
	int64_t n = read_at(exec->program.file, exec->program.image.interpreter_offset, path, bytes);
	int r = n < 0 ? (int)n : 0;
	if (r == 0 && (n != (int64_t)bytes || path[bytes - 1] != '\0'))
		r = -ENOEXEC;
	if (r == 0)
		r = executable_open(path, &exec->interpreter.file);
	if (r == 0) {
		exec->has_interpreter = true;
		r = program_read(&exec->interpreter);
		if (r == -ENOEXEC)
			r = -ELIBBAD;
	}
	kfree(path);
	return r;
}

/* ---- changing over ---- */

static void set_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash != NULL ? slash + 1 : path;
	size_t n = strnlen(name, sizeof(current->comm) - 1);
	memset(current->comm, 0, sizeof(current->comm));
	memcpy(current->comm, name, n);
	memcpy(current->process->comm, current->comm, sizeof(current->comm));
}

static void change_over(struct exec *exec, const char *path, struct regs *regs)
{
	struct process *process = current->process;
	struct mm *old = process->mm;
	process->mm = exec->mm;
	exec->mm = NULL;
	arch_load_page_table(process->mm->pml4_gpa);
	mm_put(old);
	struct file *executable = process->executable;
	process->executable = file_get(exec->program.file);
	if (executable != NULL)
		file_put(executable);
	process_exec_reset();
	file_table_close_on_exec(process->files);
	current->clear_child_tid = 0;
	current->robust_list = 0;
	current->rseq = 0;
	process->dumpable = true;
	set_name(path);
	arch_fpu_init(current);
	arch_set_fs_base(current, 0);
	memset(regs, 0, sizeof(*regs));
	regs->rip = exec->has_interpreter ? exec->interpreter.header.entry + exec->interpreter.bias : exec->stack.entry;
	regs->rsp = exec->stack.sp;
	regs->rflags = 0x202;
	regs->orig_rax = UINT64_MAX;
	regs->full = 1;
}

static int exec_run(struct exec *exec, const char *path, const struct exec_strings *strings, struct regs *regs)
{
	int r = open_program(exec, path);
	if (r == 0)
		r = program_read(&exec->program);
	if (r == 0)
		r = open_interpreter(exec);
	if (r == 0)
		r = build(exec, path, strings);
	if (r == 0)
		r = process_kill_other_threads();
	if (r == 0)
		change_over(exec, path, regs);
	return r;
}

int exec_load(const char *path, const struct exec_strings *strings, struct regs *regs)
{
	struct exec *exec = kzalloc(sizeof(*exec));
	if (exec == NULL)
		return -ENOMEM;
	int r = exec_run(exec, path, strings, regs);
	mm_put(exec->mm);
	for (unsigned i = 0; i < exec->prefix_count; i++)
		kfree(exec->prefix[i]);
	if (exec->program.file != NULL)
		file_put(exec->program.file);
	if (exec->interpreter.file != NULL)
		file_put(exec->interpreter.file);
	kfree(exec);
	return r;
}

/* ---- the first program ---- */

static const char *search_path(const struct exec_strings *strings)
{
	for (unsigned i = 0; i < strings->envc; i++)
		if (strncmp(strings->envp[i], "PATH=", 5) == 0)
			return strings->envp[i] + 5;
	return DEFAULT_PATH;
}

int exec_first(const struct exec_strings *strings, struct regs *regs)
{
	if (strings->argc == 0 || strings->argv[0][0] == '\0')
		return -ENOENT;
	const char *name = strings->argv[0];
	if (strchr(name, '/') != NULL)
		return exec_load(name, strings, regs);
	char *path = kmalloc(PATH_BYTES);
	if (path == NULL)
		return -ENOMEM;
	int result = -ENOENT;
	const char *at = search_path(strings);
	for (;;) {
		const char *end = strchr(at, ':');
		int length = (int)(end != NULL ? (size_t)(end - at) : strlen(at));
		int r =
		    ksnprintf(path, PATH_BYTES, "%.*s%s%s", length, at, length > 0 ? "/" : "", name) < (int)PATH_BYTES
			? exec_load(path, strings, regs)
			: -ENAMETOOLONG;
		if (r == 0 || (r != -ENOENT && r != -ENOTDIR && r != -EACCES && r != -ENAMETOOLONG)) {
			result = r;
			break;
		}
		if (r == -EACCES)
			result = r;
		if (end == NULL)
			break;
		at = end + 1;
	}
	kfree(path);
	return result;
}
