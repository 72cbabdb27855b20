/* SPDX-License-Identifier: Apache-2.0 */
/* The vDSO is a complete ELF image: symbols with versions, callable, and it agrees with the system calls. */
#include "check.h"
#include <link.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/time.h>

struct image {
	uintptr_t base; /* load bias */
	const ElfW(Sym) * symbols;
	const char *strings;
	const uint32_t *hash;
	const ElfW(Half) * versym;
	const ElfW(Verdef) * verdef;
};

static struct image image_open(uintptr_t at)
{
	const ElfW(Ehdr) *eh = (void *)at;
	const ElfW(Phdr) *ph = (void *)(at + eh->e_phoff);
	const ElfW(Dyn) *dyn = NULL;
	struct image im = {0};

	CHECK_EQ(eh->e_type, ET_DYN);
	CHECK_EQ(eh->e_machine, EM_X86_64);
	for (int i = 0; i < eh->e_phnum; i++) {
		if (ph[i].p_type == PT_LOAD)
			im.base = at + ph[i].p_offset - ph[i].p_vaddr;
		else if (ph[i].p_type == PT_DYNAMIC)
			dyn = (void *)(at + ph[i].p_offset);
	}
	NEED(dyn != NULL);
	for (; dyn->d_tag != DT_NULL; dyn++) {
		void *p = (void *)(im.base + dyn->d_un.d_ptr);
		if (dyn->d_tag == DT_SYMTAB)
			im.symbols = p;
		else if (dyn->d_tag == DT_STRTAB)
			im.strings = p;
		else if (dyn->d_tag == DT_HASH)
			im.hash = p;
		else if (dyn->d_tag == DT_VERSYM)
			im.versym = p;
		else if (dyn->d_tag == DT_VERDEF)
			im.verdef = p;
	}
	return im;
}

static bool version_is(const struct image *im, unsigned index, const char *want)
{
	const ElfW(Verdef) *vd = im->verdef;

	for (int i = 0; i < 16; i++) {
		if ((vd->vd_ndx & 0x7fff) == (im->versym[index] & 0x7fff)) {
			const ElfW(Verdaux) *aux = (void *)((char *)vd + vd->vd_aux);
			return strcmp(im->strings + aux->vda_name, want) == 0;
		}
		if (vd->vd_next == 0)
			break;
		vd = (void *)((char *)vd + vd->vd_next);
	}
	return false;
}

/* Linear search: DT_HASH gives the count when there is one; the vDSO of a new Linux has only the GNU table. */
static void *lookup(const struct image *im, const char *name)
{
	unsigned count = im->hash != NULL ? im->hash[1] : 32;

	for (unsigned i = 1; i < count; i++) {
		const ElfW(Sym) *s = &im->symbols[i];
		if (s->st_shndx == SHN_UNDEF || s->st_name > 4096 || strcmp(im->strings + s->st_name, name) != 0)
			continue;
		CHECK(version_is(im, i, "LINUX_2.6"));
		return (void *)(im->base + s->st_value);
	}
	return NULL;
}

int main(void)
{
	struct image im = image_open(getauxval(AT_SYSINFO_EHDR));

	NEED(im.symbols != NULL && im.strings != NULL);
	NEED(im.versym != NULL && im.verdef != NULL); /* Go's runtime crashes without */
	int (*gettime)(clockid_t, struct timespec *) = lookup(&im, "__vdso_clock_gettime");
	int (*timeofday)(struct timeval *, void *) = lookup(&im, "__vdso_gettimeofday");
	time_t (*seconds)(time_t *) = lookup(&im, "__vdso_time");
	int (*cpu)(unsigned *, unsigned *, void *) = lookup(&im, "__vdso_getcpu");
	NEED(gettime != NULL && timeofday != NULL && seconds != NULL && cpu != NULL);

	static const clockid_t ids[] = {CLOCK_REALTIME,          CLOCK_MONOTONIC,        CLOCK_MONOTONIC_RAW,
					CLOCK_REALTIME_COARSE,   CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME,
					CLOCK_PROCESS_CPUTIME_ID};
	for (size_t i = 0; i < countof(ids); i++) {
		struct timespec a, b;
		CHECK_EQ(gettime(ids[i], &a), 0);
		CHECK_OK(syscall(SYS_clock_gettime, ids[i], &b));
		long long d = (b.tv_sec - a.tv_sec) * 1000000000ll + b.tv_nsec - a.tv_nsec;
		CHECK(d >= 0 && d < 1000000000);
	}
	struct timespec ts;
	CHECK_EQ(gettime(77, &ts), -EINVAL);
	struct timeval tv;
	CHECK_EQ(timeofday(&tv, NULL), 0);
	time_t t = 0, s = seconds(&t);
	CHECK_EQ(s, t);
	CHECK(s - tv.tv_sec >= -1 && s - tv.tv_sec <= 1);
	unsigned c = 999, n = 999;
	CHECK_EQ(cpu(&c, &n, NULL), 0);
	CHECK(c < 1024 && n < 64);
	CHECK(sched_getcpu() >= 0);
	return check_done();
}
