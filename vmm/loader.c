/* SPDX-License-Identifier: Apache-2.0 */
/* ELF-64 Object File Format, version 1.5; System V ABI, AMD64 supplement. */
#include "vmm/loader.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"
#include "vmm/memory.h"

#define PROGRAM_HEADERS_MAX 16u

static int bad(struct err *err, const char *why) { return err_set(err, -ENOEXEC, "%s!", why); }

static int elf_header_check(const Elf64_Ehdr *elf, size_t bytes, struct err *err)
{
	if (memcmp(elf->e_ident, ELFMAG, SELFMAG) != 0)
		return bad(err, "not an ELF file");
	if (elf->e_ident[EI_CLASS] != ELFCLASS64 || elf->e_ident[EI_DATA] != ELFDATA2LSB ||
	    elf->e_machine != EM_X86_64 || elf->e_type != ET_EXEC)
		return bad(err, "not an executable for x86-64");
	if (elf->e_phentsize != sizeof(Elf64_Phdr) || elf->e_phnum == 0 || elf->e_phnum > PROGRAM_HEADERS_MAX)
		return bad(err, "strange program headers");
	uint64_t end;
	if (add_overflows(elf->e_phoff, (uint64_t)elf->e_phnum * sizeof(Elf64_Phdr), &end) || end > bytes)
		return bad(err, "program headers outside the file");
	return 0;
}

/* Inside the file, inside the image's addresses, memory not smaller than what the file gives. */
static int segment_check(const Elf64_Phdr *ph, size_t bytes, struct image_segment *segment, struct err *err)
{
	uint64_t end;
	if (add_overflows(ph->p_offset, ph->p_filesz, &end) || end > bytes)
		return bad(err, "a segment lies outside the file");
	if (ph->p_memsz == 0 || ph->p_filesz > ph->p_memsz)
		return bad(err, "a segment has more bytes in the file than in memory");
	if (ph->p_vaddr < LAMPO_VA_KERNEL || add_overflows(ph->p_vaddr, ph->p_memsz, &end) ||
	    end > LAMPO_VA_KERNEL + LOADER_IMAGE_MAX)
		return bad(err, "a segment lies outside the kernel's addresses");
	*segment = (struct image_segment){ph->p_vaddr, ph->p_offset, ph->p_filesz, ph->p_memsz};
	return 0;
}

static int segments_find(struct image *image, const uint8_t *file, size_t bytes, const Elf64_Ehdr *elf, struct err *err)
{
	for (unsigned i = 0; i < elf->e_phnum; i++) {
		Elf64_Phdr ph;
		memcpy(&ph, file + elf->e_phoff + i * sizeof(ph), sizeof(ph));
		if (ph.p_type == PT_INTERP || ph.p_type == PT_DYNAMIC)
			return bad(err, "a kernel image must be linked statically");
		if (ph.p_type != PT_LOAD)
			continue;
		struct image_segment segment;
		int r = segment_check(&ph, bytes, &segment, err);
		if (r < 0)
			return r;
		if (image->text.memory_bytes == 0 && ph.p_flags == (PF_R | PF_X))
			image->text = segment;
		else if (image->text.memory_bytes != 0 && image->data.memory_bytes == 0 && ph.p_flags == (PF_R | PF_W))
			image->data = segment;
		else
			return bad(err, "segments are not one read-execute, then one read-write");
	}
	const struct image_segment *text = &image->text, *data = &image->data;
	if (text->va != LAMPO_VA_KERNEL || text->offset % PAGE_BYTES != 0 || text->memory_bytes != text->file_bytes)
		return bad(err, "the text segment is misplaced");
	if (data->memory_bytes != 0 &&
	    align_down(data->va, PAGE_BYTES) < align_up(text->va + text->memory_bytes, PAGE_BYTES))
		return bad(err, "segments overlap");
	return 0;
}

static bool in_text(const struct image *image, uint64_t va)
{
	return va >= image->text.va && va < image->text.va + image->text.memory_bytes;
}

static int image_header_check(struct image *image, const uint8_t *file, struct err *err)
{
	struct lampo_image_header *header = &image->header;
	if (image->text.file_bytes < sizeof(*header))
		return bad(err, "no image header");
	memcpy(header, file + image->text.offset, sizeof(*header));
	if (header->magic != LAMPO_IMAGE_MAGIC)
		return bad(err, "no image header: this is not a kernel for lampo");
	if (header->abi_version != LAMPO_ABI_VERSION)
		return err_set(err, -ENOEXEC, "kernel has interface version %u, this monitor %u!", header->abi_version,
			       LAMPO_ABI_VERSION);
	if (header->gate_count > LAMPO_GATES_MAX)
		return bad(err, "too many gates");
	if (!in_text(image, header->entry) || !in_text(image, header->syscall_entry))
		return bad(err, "an entry lies outside the text");
	for (unsigned i = 0; i < header->gate_count; i++) {
		const struct lampo_gate *gate = &header->gates[i];
		if (!in_text(image, gate->va) || gate->ist > 7 || (gate->dpl != 0 && gate->dpl != 3))
			return bad(err, "a gate is malformed");
	}
	return 0;
}

int image_parse(struct image *image, const uint8_t *file, size_t bytes, struct err *err)
{
	*image = (struct image){.file = file, .file_bytes = bytes};
	Elf64_Ehdr elf;
	if (bytes < sizeof(elf))
		return bad(err, "not an ELF file");
	memcpy(&elf, file, sizeof(elf));
	int r = elf_header_check(&elf, bytes, err);
	if (r == 0)
		r = segments_find(image, file, bytes, &elf, err);
	if (r == 0)
		r = image_header_check(image, file, err);
	return r;
}

int image_open(struct image *image, const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		int r = err_set(err, -errno, "cannot open kernel image %s", path);
		err_hint(err, "build it with `make`, or name one with --kernel");
		return r;
	}
	struct stat st;
	const uint8_t *file = MAP_FAILED;
	int r = 0;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size == 0 || st.st_size > (256 << 20))
		r = err_set(err, -ENOEXEC, "not a kernel image!");
	if (r == 0 && (file = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0)) == MAP_FAILED)
		r = err_set(err, -errno, "cannot map it");
	close(fd);
	if (r == 0 && (r = image_parse(image, file, (size_t)st.st_size, err)) < 0)
		munmap((void *)(uintptr_t)file, (size_t)st.st_size);
	return r < 0 ? (err_wrap(err, "cannot load kernel image %s", path), r) : 0;
}

void image_close(struct image *image)
{
	munmap((void *)(uintptr_t)image->file, image->file_bytes);
	*image = (struct image){0};
}
