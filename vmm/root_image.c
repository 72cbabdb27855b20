/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/root_image.h"

#include <errno.h>
#include <signal.h>

#include "base/util.h"
#include "include/abi/doorbell.h"
#include "vmm/vm.h"

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
	return 0;
}

uint64_t root_image_verify(struct vm *vm, uint64_t first, uint64_t count)
{
	struct image_file *image = &vm->root_image;
	uint64_t blocks = image->map != NULL ? image->footer.erofs_bytes / VERITY_BLOCK : 0;
	if (first >= blocks)
		return 0;
	count = min_u64(min_u64(count, LAMPO_VERIFY_MAX), blocks - first);
	return verity_check_some(&image->verity, first, (unsigned)count);
}

void root_image_probe(const struct vm *vm)
{
	const struct image_file *image = &vm->root_image;
	if (image->map != NULL)
		(void)*(const volatile uint8_t *)(image->map + image->bytes - 1);
}
