#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A static program of musl's: threads, files, formatted output, the environment.
. "$(dirname "$0")/lib.sh"
need musl-gcc
cat >task.c <<'END'
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long total;
static void *body(void *arg)
{
	for (long i = 0; i < 10000; i++) {
		pthread_mutex_lock(&lock);
		total += (long)arg;
		pthread_mutex_unlock(&lock);
	}
	return NULL;
}
static int compare(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }
int main(int argc, char **argv)
{
	pthread_t t[4];
	for (long i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, body, (void *)i);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	printf("%ld %d %s %s\n", total, argc, argv[argc - 1], getenv("USER") ? "user" : "none");
	int *a = malloc(100000 * sizeof(int));
	for (int i = 0; i < 100000; i++)
		a[i] = (int)(i * 2654435761u % 1000003);
	qsort(a, 100000, sizeof(int), compare);
	printf("%d %d %d\n", a[0], a[50000], a[99999]);
	FILE *f = fopen("/tmp/musl-test", "w+");
	for (int i = 0; i < 1000; i++)
		fprintf(f, "%d %.3f\n", i, i / 3.0);
	rewind(f);
	double sum = 0, v;
	int n;
	while (fscanf(f, "%d %lf", &n, &v) == 2)
		sum += v;
	unlink("/tmp/musl-test");
	printf("%.3f\n", sum);
	return 13;
}
END
for kind in -static '-static-pie -fPIE' ''; do
	# shellcheck disable=SC2086
	compiled task task.c -- musl-gcc -O2 $kind -o task task.c || { fail "cannot compile $kind"; continue; }
	[ -n "$kind" ] || [ -e /lib/ld-musl-x86_64.so.1 ] || continue
	same -- ./task a 'b c'
done
finish
