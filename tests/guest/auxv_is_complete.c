/* SPDX-License-Identifier: Apache-2.0 */
/* The auxiliary vector has all that libc, the dynamic loader and language runtimes look for. */
#include "check.h"
#include <elf.h>
#include <link.h>
#include <sys/auxv.h>

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

extern char **environ;

int main(int argc, char **argv)
{
	const ElfW(Phdr) *ph = (void *)getauxval(AT_PHDR);

	CHECK(argc >= 1 && argv[argc] == NULL);
	NEED(ph != NULL);
	CHECK_EQ(getauxval(AT_PHENT), sizeof(*ph));
	unsigned long n = getauxval(AT_PHNUM);
	CHECK(n > 0 && n < 64);
	bool load = false;
	uintptr_t base = 0;
	for (unsigned long i = 0; i < n; i++) {
		load |= ph[i].p_type == PT_LOAD;
		if (ph[i].p_type == PT_LOAD && ph[i].p_offset == 0) /* this segment holds the headers, too */
			base = ((uintptr_t)ph & ~4095ul) - ph[i].p_vaddr;
	}
	CHECK(load);
	/* The entry point lies in an executable segment of the program. */
	uintptr_t entry = getauxval(AT_ENTRY);
	bool inside = false;
	for (unsigned long i = 0; i < n; i++)
		inside |= ph[i].p_type == PT_LOAD && (ph[i].p_flags & PF_X) && entry >= base + ph[i].p_vaddr &&
			  entry < base + ph[i].p_vaddr + ph[i].p_memsz;
	CHECK(inside);
	CHECK_EQ(getauxval(AT_PAGESZ), 4096);
	CHECK_EQ(getauxval(AT_CLKTCK), 100);
	CHECK_EQ(getauxval(AT_SECURE), 0);
	CHECK_EQ(getauxval(AT_UID), getuid());
	CHECK_EQ(getauxval(AT_EUID), geteuid());
	CHECK_EQ(getauxval(AT_GID), getgid());
	CHECK_EQ(getauxval(AT_EGID), getegid());
	CHECK(getauxval(AT_HWCAP) != 0);
	CHECK(getauxval(AT_MINSIGSTKSZ) >= 1024);

	const unsigned char *random = (void *)getauxval(AT_RANDOM);
	NEED(random != NULL);
	int sum = 0;
	for (int i = 0; i < 16; i++)
		sum |= random[i];
	CHECK(sum != 0);

	const char *platform = (void *)getauxval(AT_PLATFORM);
	NEED(platform != NULL);
	CHECK(strcmp(platform, "x86_64") == 0);
	const char *execfn = (void *)getauxval(AT_EXECFN);
	NEED(execfn != NULL);
	CHECK(access(execfn, X_OK) == 0);

	const ElfW(Ehdr) *vdso = (void *)getauxval(AT_SYSINFO_EHDR);
	NEED(vdso != NULL);
	CHECK(memcmp(vdso->e_ident, ELFMAG, SELFMAG) == 0);

	/* The vector lies behind the environment, strings above it on the same stack. */
	char **e = environ;
	while (*e != NULL)
		e++;
	const ElfW(auxv_t) *av = (void *)(e + 1);
	bool ended = false;
	for (int i = 0; i < 64 && !ended; i++)
		ended = av[i].a_type == AT_NULL;
	CHECK(ended);
	return check_done();
}
