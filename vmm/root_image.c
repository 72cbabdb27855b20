/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/root_image.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/util.h"
#include "include/abi/doorbell.h"
#include "vmm/vm.h"

#define AT_ONCE 32u /* blocks, before the event loop's other sources get their turn */

static struct vm *handler_vm; /* a signal handler has no argument of ours */

/* The page lies behind the end of the file: it was cut short. All that this can interrupt is code that reads the image,
 * which holds no lock of the C library. */
static void on_bus_error(int signal, siginfo_t *info, void *context)
{
	const struct image_file *image = &handler_vm->root_image;
	uintptr_t at = (uintptr_t)info->si_addr, start = (uintptr_t)image->map;
	(void)signal;
	(void)context;
	if (at < start || at - start >= image->bytes)
		return; /* and once more, without a handler */
	struct err err;
	err_set(&err, -EIO, "cannot go on: the image file was cut short while the VM used it");
	err_hint(&err, "never change an image file in place: write a new one, and rename it");
	vm_fail(handler_vm, &err, VM_CODE_LAMPO_FAILED);
}

static void on_work(void *context, void *object, int fd, uint32_t events);

int root_image_open(struct vm *vm, struct err *err)
{
	const struct options *options = vm->options;
	if (options->image_fd < 0)
		return 0;
	int r = image_file_open(&vm->root_image, options->image_fd,
				options->image_digest_given ? &options->image_digest : NULL, err);
	if (r < 0)
		return r;
	if (vm->root_image.footer.erofs_bytes > LAMPO_IMAGE_MAX)
		return err_set(err, -EFBIG, "cannot map the image: its file system has more than %llu GiB!",
			       LAMPO_IMAGE_MAX >> 30);
	handler_vm = vm;
	struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO | SA_RESETHAND};
	sigaction(SIGBUS, &action, NULL);
	vm->image_work = (struct root_image_work){.event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
						  .lock = PTHREAD_MUTEX_INITIALIZER};
	r = vm->image_work.event_fd < 0
		? -errno
		: event_loop_watch(&vm->loop, vm->image_work.event_fd, EPOLLIN, vm, NULL, on_work);
	return r < 0 ? err_set(err, r, "cannot watch for work on the image") : 0;
}

/* Bits of blocks `first` and on, into the guest's bitmap. Release: whoever sees one may look at the block. */
static void note(struct vm *vm, uint64_t first, uint64_t good)
{
	uint64_t *word = vm->image_verified + first / 64;
	unsigned shift = first % 64;
	if (good << shift != 0)
		__atomic_fetch_or(word, good << shift, __ATOMIC_RELEASE);
	if (shift != 0 && good >> (64 - shift) != 0)
		__atomic_fetch_or(word + 1, good >> (64 - shift), __ATOMIC_RELEASE);
}

/* Clips to the blocks that the guest can see; false: none are left. */
static bool clip(const struct vm *vm, uint64_t first, uint64_t *count)
{
	const struct image_file *image = &vm->root_image;
	uint64_t blocks = image->map != NULL ? image->footer.erofs_bytes / VERITY_BLOCK : 0;
	if (first >= blocks)
		return false;
	*count = min_u64(*count, blocks - first);
	return *count > 0;
}

void root_image_verify(struct vm *vm, uint64_t first, uint64_t count)
{
	count = min_u64(count, LAMPO_VERIFY_MAX);
	if (clip(vm, first, &count))
		note(vm, first, verity_check_some(&vm->root_image.verity, first, (unsigned)count));
}

void root_image_copy(struct vm *vm, uint64_t first, const uint64_t *gpas, unsigned count)
{
	const struct image_file *image = &vm->root_image;
	uint64_t blocks = min_u64(count, LAMPO_VERIFY_MAX);
	if (!clip(vm, first, &blocks))
		return;
	uint64_t good = verity_check_some(&vm->root_image.verity, first, (unsigned)blocks);
	for (unsigned i = 0; i < blocks; i++)
		if ((good >> i & 1) != 0)
			guest_memory_write(&vm->memory.map, (struct guest_addr){gpas[i]},
					   image->map + (first + i) * VERITY_BLOCK, VERITY_BLOCK);
	note(vm, first, good);
}

void root_image_ahead(struct vm *vm, uint64_t first, uint64_t count)
{
	struct root_image_work *work = &vm->image_work;
	if (count == 0 || !clip(vm, first, &count))
		return;
	pthread_mutex_lock(&work->lock);
	bool idle = work->count == 0;
	if (work->count == ROOT_IMAGE_RANGES_MAX)
		memmove(&work->ranges[0], &work->ranges[1], --work->count * sizeof(work->ranges[0]));
	work->ranges[work->count].first = first;
	work->ranges[work->count++].count = count;
	pthread_mutex_unlock(&work->lock);
	uint64_t one = 1;
	if (idle && write(work->event_fd, &one, sizeof(one)) < 0)
		return; /* a counter that is full wakes as well */
}

void root_image_use(struct vm *vm, uint64_t *verified)
{
	const struct erofs *fs = &vm->root_image.erofs;
	vm->image_verified = verified;
	if (vm->root_image.map == NULL)
		return;
	/* The superblock and the root's inode, with a few neighbours. */
	root_image_ahead(vm, (fs->meta_offset + fs->root_nid * EROFS_NID_BYTES) / VERITY_BLOCK & ~7ull, 8);
	root_image_ahead(vm, 0, 1);
}

/* In the device thread. The event stays until there is nothing more to do. */
static void on_work(void *context, void *object, int fd, uint32_t events)
{
	struct vm *vm = context;
	struct root_image_work *work = &vm->image_work;
	uint64_t first = 0, count = 0;
	(void)object;
	(void)events;
	pthread_mutex_lock(&work->lock);
	if (work->count > 0) {
		first = work->ranges[work->count - 1].first;
		count = min_u64(work->ranges[work->count - 1].count, AT_ONCE);
		work->ranges[work->count - 1].first += count;
		work->ranges[work->count - 1].count -= count;
		work->count -= work->ranges[work->count - 1].count == 0;
	} else if (read(fd, &first, sizeof(first)) < 0) {
		first = 0; /* spurious */
	}
	pthread_mutex_unlock(&work->lock);
	if (count > 0)
		root_image_verify(vm, first, count);
}

void root_image_probe(const struct vm *vm)
{
	const struct image_file *image = &vm->root_image;
	if (image->map != NULL)
		(void)*(const volatile uint8_t *)(image->map + image->bytes - 1);
}
