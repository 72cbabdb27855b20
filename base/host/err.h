/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Error reports of host programs (lampo, lampo-vmm). A function that can fail takes a last parameter
 * `struct err *err`, returns 0 or a negative errno, and on failure leaves in *err one sentence: what
 * was tried, on what, why it failed; err_hint() adds what to do about it. Callers may wrap it with
 * more context. Only main() prints.
 *
 * base/, dev/ and kernel/ do not use it: they return 0 or -errno and nothing else.
 */
#ifndef LAMPO_BASE_HOST_ERR_H
#define LAMPO_BASE_HOST_ERR_H

struct err {
	int code; /* negative errno; 0: no error */
	char text[768];
	char hint[512];
};

/* Sets the report and returns `code` (negative errno). The text has no final period or newline; the
 * reason (strerror of code) is appended as ": reason" if code has one and the text does not end in '!'
 * ('!' itself is removed). */
int err_set(struct err *err, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Puts "context: " before the text; returns err->code. */
int err_wrap(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Sets what to do about it, one sentence; returns err->code. */
int err_hint(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Prints "program: text" and, if there is one, the hint on a second line, to stderr. Control
 * characters become '?': names of files and what a guest says are in it. */
void err_print(const struct err *err, const char *program);

#ifdef LAMPO_ANALYZE /* make analyze: no analyzer looks into err.c, so this says what comes back */
#define err_known(code)                                                                                                \
	({                                                                                                             \
		int err_known_ = (code);                                                                               \
		if (err_known_ >= 0)                                                                                   \
			__builtin_unreachable();                                                                       \
		err_known_;                                                                                            \
	})
#define err_set(err, code, ...)                                                                                        \
	({                                                                                                             \
		int err_code_ = err_known(code);                                                                       \
		(err_set)((err), err_code_, __VA_ARGS__);                                                              \
		err_code_;                                                                                             \
	})
#define err_wrap(err, ...) ((err_wrap)((err), __VA_ARGS__), err_known((err)->code))
#define err_hint(err, ...) ((err_hint)((err), __VA_ARGS__), err_known((err)->code))
#endif

#endif
