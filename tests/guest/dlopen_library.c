/* SPDX-License-Identifier: Apache-2.0 */
/* A library loaded later (its mappings, relocations, constructors) works; a missing one is refused by name. */
/* Libs: -ldl */
#include "check.h"
#include <dlfcn.h>

int main(void)
{
	void *m = dlopen("libm.so.6", RTLD_NOW);

	NEED(m != NULL);
	double (*cosine)(double) = (double (*)(double))dlsym(m, "cos");
	NEED(cosine != NULL);
	CHECK(cosine(0.0) == 1.0);
	CHECK(dlsym(m, "no_such_function_here") == NULL);
	Dl_info info;
	CHECK(dladdr((void *)cosine, &info) != 0 && strstr(info.dli_fname, "libm") != NULL);
	CHECK(dlclose(m) == 0);
	CHECK(dlopen("libdoes-not-exist.so.9", RTLD_NOW) == NULL);
	CHECK(strstr(dlerror(), "libdoes-not-exist.so.9") != NULL);
	/* Open and close again and again: address space is given back. */
	for (int i = 0; i < 50; i++) {
		void *z = dlopen("libz.so.1", RTLD_LAZY);
		if (z == NULL)
			break;
		CHECK(dlclose(z) == 0);
	}
	return check_done();
}
