/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FUSE requests in any order on three exports of a scratch directory: read-write, read-only, and read-write
 * behind a filter. Beside them lies what must never show or change.
 */
#include <errno.h>
#include <signal.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/fuzz/input.h"
#include "tests/unit/mock_fuse.h"

#define SECRET_BYTES 24u
#define FILE_BYTES_MAX (1u << 20)

static struct mock_fuse f;
static uint64_t last_handle, last_node;

/* Random, and compared in a way that libFuzzer does not learn from: it must not write the secret itself. */
static char secret[SECRET_BYTES + 1];

__attribute__((no_sanitize("coverage"))) static bool is_secret(const char *text)
{
	unsigned same = 0;
	for (unsigned i = 0; i < SECRET_BYTES; i++)
		same += text[i] == secret[i];
	return same == SECRET_BYTES;
}

__attribute__((no_sanitize("coverage"))) static bool holds_secret(const char *text, size_t bytes)
{
	for (size_t i = 0; i + SECRET_BYTES <= bytes; i++) {
		if (text[i] == secret[0] && is_secret(text + i))
			return true;
	}
	return false;
}

static void secret_new(void)
{
	if (getrandom(secret, SECRET_BYTES, 0) != SECRET_BYTES)
		abort();
	for (unsigned i = 0; i < SECRET_BYTES; i++)
		secret[i] = (char)('a' + (unsigned char)secret[i] % 26);
}

static const uint32_t opcodes[] = {
    FUSE_LOOKUP,       FUSE_GETATTR,    FUSE_SETATTR,     FUSE_READLINK,        FUSE_SYMLINK,    FUSE_MKNOD,
    FUSE_MKDIR,        FUSE_UNLINK,     FUSE_RMDIR,       FUSE_RENAME,          FUSE_LINK,       FUSE_OPEN,
    FUSE_READ,         FUSE_WRITE,      FUSE_STATFS,      FUSE_RELEASE,         FUSE_FSYNC,      FUSE_SETXATTR,
    FUSE_GETXATTR,     FUSE_LISTXATTR,  FUSE_REMOVEXATTR, FUSE_FLUSH,           FUSE_INIT,       FUSE_OPENDIR,
    FUSE_READDIR,      FUSE_RELEASEDIR, FUSE_FSYNCDIR,    FUSE_ACCESS,          FUSE_CREATE,     FUSE_FALLOCATE,
    FUSE_READDIRPLUS,  FUSE_RENAME2,    FUSE_LSEEK,       FUSE_COPY_FILE_RANGE, LAMPO_FUSE_WALK, FUSE_FORGET,
    FUSE_BATCH_FORGET, FUSE_LOOKUP,     FUSE_OPEN,        FUSE_CREATE,          FUSE_MKDIR,
};

static void tree_new(void)
{
	mock_mkdir(&f, "rw", 0755);
	mock_mkdir(&f, "rw/dir", 0755);
	mock_file(&f, "rw/file", "content", 0644);
	mock_file(&f, "rw/dir/a", "a", 0644);
	mock_symlink(&f, "rw/out", "../secret");
	mock_mkdir(&f, "ro", 0755);
	mock_mkdir(&f, "ro/dir", 0755);
	mock_file(&f, "ro/file", "read-only", 0644);
	mock_mkdir(&f, "filter", 0755);
	mock_mkdir(&f, "filter/a", 0755);
	mock_mkdir(&f, "filter/a/b", 0755);
	mock_file(&f, "filter/a/h", secret, 0644);
	mock_mkdir(&f, "filter/p", 0755);
	mock_file(&f, "filter/p/k", secret, 0640);
	mock_file(&f, "filter/p/o", "open", 0644);
	mock_mkdir(&f, "filter/x", 0755);
	mock_file(&f, "filter/x/s", secret, 0644);
	mock_file(&f, "secret", secret, 0644);
}

static void start(void)
{
	static const char *const visible[] = {"a", "?p"};
	static const char *const hidden[] = {"a/h"};
	struct fs_config config = {.tag = "fuzz", .export_count = 3, .preset = true, .nodes_max = 48};
	tree_new();
	config.exports[0].root_fd = open(mock_path(&f, "rw"), O_PATH | O_CLOEXEC);
	config.exports[1] =
	    (struct fs_export){.root_fd = open(mock_path(&f, "ro"), O_PATH | O_CLOEXEC), .read_only = true};
	config.exports[2] = (struct fs_export){.root_fd = open(mock_path(&f, "filter"), O_PATH | O_CLOEXEC),
					       .visible = visible,
					       .visible_count = countof(visible),
					       .hidden = hidden,
					       .hidden_count = countof(hidden)};
	if (mock_fuse_new(&f, &config) < 0)
		abort();
}

static void finish(void) { nftw(f.directory, mock_remove, 32, FTW_DEPTH | FTW_PHYS); }

/* RLIMIT_FSIZE does not bound what FALLOC_FL_KEEP_SIZE allocates behind a file's end; this does. */
int fallocate(int fd, int mode, off_t offset, off_t bytes)
{
	if (offset < 0 || bytes <= 0 || offset > FILE_BYTES_MAX || bytes > FILE_BYTES_MAX) {
		errno = ENOSPC;
		return -1;
	}
	return (int)syscall(SYS_fallocate, fd, mode, offset, bytes);
}

/* After every so many inputs all is made anew, so that what they left does not pile up. */
static void renew(void)
{
	static unsigned inputs;
	if (f.g.device == NULL) {
		/* Whatever the guest asks for, the scratch directory stays small. */
		struct rlimit limit = {FILE_BYTES_MAX, FILE_BYTES_MAX};
		setrlimit(RLIMIT_FSIZE, &limit);
		signal(SIGXFSZ, SIG_IGN);
		umask(0);
		secret_new();
		mock_fuse_directory(&f);
		atexit(finish);
		start();
	} else if (++inputs % 200 == 0) {
		char directory[sizeof(f.directory)];
		memcpy(directory, f.directory, sizeof(directory));
		mock_fuse_fini(&f);
		memcpy(f.directory, directory, sizeof(directory));
		if (mkdir(f.directory, 0755) < 0)
			abort();
		start();
	}
}

/* Arguments that make sense, from a few bytes of input: the bytes before the names, and how many names. */
static const struct template
{
	uint32_t opcode;
	uint16_t head;
	uint8_t names;
}
templates[] = {
    {FUSE_LOOKUP, 0, 1},
    {FUSE_SETATTR, sizeof(struct fuse_setattr_in), 0},
    {FUSE_SYMLINK, 0, 2},
    {FUSE_MKNOD, sizeof(struct fuse_mknod_in), 1},
    {FUSE_MKDIR, sizeof(struct fuse_mkdir_in), 1},
    {FUSE_UNLINK, 0, 1},
    {FUSE_RMDIR, 0, 1},
    {FUSE_RENAME, sizeof(struct fuse_rename_in), 2},
    {FUSE_LINK, sizeof(struct fuse_link_in), 1},
    {FUSE_OPEN, sizeof(struct fuse_open_in), 0},
    {FUSE_READ, sizeof(struct fuse_read_in), 0},
    {FUSE_WRITE, sizeof(struct fuse_write_in), 1},
    {FUSE_SETXATTR, 8, 2},
    {FUSE_GETXATTR, sizeof(struct fuse_getxattr_in), 1},
    {FUSE_CREATE, sizeof(struct fuse_create_in), 1},
    {FUSE_RENAME2, sizeof(struct fuse_rename2_in), 2},
    {FUSE_COPY_FILE_RANGE, sizeof(struct fuse_copy_file_range_in), 0},
    {FUSE_FALLOCATE, sizeof(struct fuse_fallocate_in), 0},
    {FUSE_READDIRPLUS, sizeof(struct fuse_read_in), 0},
    {LAMPO_FUSE_WALK, 0, 1},
};

static uint16_t template_fill(struct input *in, const struct template *t, uint64_t node, char *args)
{
	static const char *const names[] = {"file", "dir", "a",  "b",  "h",      "p",   "k",     "x",
					    "o",    "out", "n1", "n2", "user.x", "a/b", "dir/a", ".."};
	uint16_t at = t->head;
	memset(args, 0, t->head);
	/* The first word: flags, a mode or the low half of a node. */
	uint8_t first = input_u8(in);
	uint32_t words[] = {1u << first % 12, first & 0x80 ? 0100644u : first, (uint32_t)node, (uint32_t)last_node};
	for (uint16_t i = 0; i + 4u <= t->head; i += 4) {
		uint8_t b = input_u8(in);
		uint32_t word = i == 0 ? words[b % 4] : b & 1 ? b >> 1 : 0;
		memcpy(args + i, &word, 4);
	}
	/* The guest kernel's own fields come right most of the time. */
	if (t->opcode == FUSE_WRITE) {
		struct fuse_write_in w = {.fh = last_handle, .offset = first * 16u, .size = 4};
		memcpy(args, &w, sizeof(w));
	} else if (t->opcode == FUSE_SETXATTR) {
		uint32_t set[2] = {2, 0};
		memcpy(args, set, sizeof(set));
	}
	for (unsigned i = 0; i < t->names; i++) {
		const char *name = names[input_u8(in) % countof(names)];
		strcpy(args + at, name);
		at = (uint16_t)(at + strlen(name) + 1);
	}
	return at;
}

static void request(struct input *in)
{
	static char args[8192];
	uint8_t code = input_u8(in), node = input_u8(in), shape = input_u8(in);
	uint16_t bytes = shape & 1 ? input_u16(in) % sizeof(args) : input_u8(in);
	uint32_t opcode = code < 240 ? opcodes[code % countof(opcodes)] : input_u32(in);
	uint64_t id = node < 160 ? node % 12u : node == 255 ? input_u64(in) : last_node;
	if (shape & 0x10) {
		const struct template *t = &templates[code % countof(templates)];
		opcode = t->opcode;
		bytes = template_fill(in, t, id, args);
	} else {
		input_bytes(in, args, bytes);
	}
	/* Handles and node ids are hard to guess: put known ones where they go. */
	if ((shape & 2) && bytes >= 8)
		memcpy(args, &last_handle, 8);
	if ((shape & 8) && bytes >= 8)
		memset(args, 0xff, 8); /* LAMPO_FH_NODE */
	if ((shape & 4) && bytes >= 32)
		memcpy(args + 24, &last_handle, 8);
	f.reply_room = (shape & 0x40) ? input_u16(in) : 8192;
	int r = mock_fuse_call(&f, opcode, id, args, bytes);
	if (r != 0)
		return;
	struct fuse_entry_out *entry = mock_payload(&f);
	if (opcode == FUSE_OPEN || opcode == FUSE_OPENDIR)
		last_handle = ((struct fuse_open_out *)mock_payload(&f))->fh;
	else if (opcode == FUSE_CREATE)
		last_handle = ((struct fuse_open_out *)(entry + 1))->fh;
	if (opcode == FUSE_LOOKUP || opcode == FUSE_CREATE || opcode == FUSE_MKDIR)
		last_node = entry->nodeid;
	if (holds_secret(mock_at(&f.g, f.reply), 8192))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	renew();
	memset(mock_at(&f.g, f.reply), 0, 65536);
	struct fuse_init_in init = {.major = 7, .minor = 38};
	f.reply_room = 8192;
	if (mock_fuse_call(&f, FUSE_INIT, 0, &init, sizeof(init)) != 0)
		abort();
	for (unsigned i = 0; in.left > 0 && i < 200; i++)
		request(&in);
	if (!is_secret(mock_content(&f, "secret")) || !is_secret(mock_content(&f, "filter/a/h")) ||
	    !is_secret(mock_content(&f, "filter/x/s")) || !is_secret(mock_content(&f, "filter/p/k")) ||
	    strcmp(mock_content(&f, "ro/file"), "read-only") != 0)
		abort();
	return 0;
}
