/* SPDX-License-Identifier: Apache-2.0 */
/* kvsnprintf: the part of printf that the kernel uses. */
#include "kernel/kernel.h"

struct output {
	char *to;
	size_t size, length;
};

struct spec {
	bool left, zero, plus, alternate;
	int width, precision; /* -1: none */
	unsigned longs;
};

static void put(struct output *out, char c)
{
	if (out->length + 1 < out->size)
		out->to[out->length] = c;
	out->length++;
}

static void put_padded(struct output *out, const struct spec *spec, const char *text, unsigned length, char pad)
{
	int fill = spec->width - (int)length;

	for (; !spec->left && fill > 0; fill--)
		put(out, pad);
	for (unsigned i = 0; i < length; i++)
		put(out, text[i]);
	for (; fill > 0; fill--)
		put(out, ' ');
}

static void put_number(struct output *out, struct spec *spec, uint64_t value, unsigned base, bool negative, bool upper)
{
	const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
	char text[72];
	unsigned at = sizeof(text), prefix = 0;
	char sign[3];

	do {
		text[--at] = digits[value % base];
		value /= base;
	} while (value != 0);
	while (spec->precision > 0 && sizeof(text) - at < (unsigned)spec->precision && at > 4)
		text[--at] = '0';
	if (negative)
		sign[prefix++] = '-';
	else if (spec->plus)
		sign[prefix++] = '+';
	if (spec->alternate && base == 16) {
		sign[prefix++] = '0';
		sign[prefix++] = upper ? 'X' : 'x';
	} else if (spec->alternate && base == 8 && text[at] != '0') {
		sign[prefix++] = '0';
	}
	if (spec->zero && !spec->left) {
		while ((int)(sizeof(text) - at + prefix) < spec->width && at > 4)
			text[--at] = '0';
	}
	at -= prefix;
	memcpy(text + at, sign, prefix);
	put_padded(out, spec, text + at, (unsigned)sizeof(text) - at, ' ');
}

static const char *parse_spec(struct spec *spec, const char *f, va_list *args)
{
	*spec = (struct spec){.precision = -1};
	for (;; f++) {
		if (*f == '-')
			spec->left = true;
		else if (*f == '0')
			spec->zero = true;
		else if (*f == '+')
			spec->plus = true;
		else if (*f == '#')
			spec->alternate = true;
		else if (*f != ' ')
			break;
	}
	if (*f == '*') {
		spec->width = va_arg(*args, int);
		f++;
	}
	for (; *f >= '0' && *f <= '9'; f++)
		spec->width = spec->width * 10 + (*f - '0');
	if (*f == '.') {
		spec->precision = 0;
		f++;
		if (*f == '*') {
			spec->precision = va_arg(*args, int);
			f++;
		}
		for (; *f >= '0' && *f <= '9'; f++)
			spec->precision = spec->precision * 10 + (*f - '0');
	}
	for (; *f == 'l' || *f == 'z' || *f == 'h' || *f == 'j'; f++)
		spec->longs += *f != 'h';
	return f;
}

int kvsnprintf(char *to, size_t size, const char *format, va_list given)
{
	struct output out = {to, size, 0};
	struct spec spec;
	va_list args;

	va_copy(args, given);
	for (const char *f = format; *f != '\0'; f++) {
		if (*f != '%') {
			put(&out, *f);
			continue;
		}
		f = parse_spec(&spec, f + 1, &args);
		if (*f == '\0')
			break;
		if (*f == 'd' || *f == 'i') {
			int64_t v = spec.longs > 0 ? va_arg(args, int64_t) : va_arg(args, int);
			put_number(&out, &spec, v < 0 ? -(uint64_t)v : (uint64_t)v, 10, v < 0, false);
		} else if (*f == 'u' || *f == 'x' || *f == 'X' || *f == 'o') {
			uint64_t v = spec.longs > 0 ? va_arg(args, uint64_t) : va_arg(args, unsigned);
			put_number(&out, &spec, v, *f == 'u' ? 10 : *f == 'o' ? 8 : 16, false, *f == 'X');
		} else if (*f == 'p') {
			spec.alternate = true;
			put_number(&out, &spec, (uint64_t)va_arg(args, void *), 16, false, false);
		} else if (*f == 's') {
			const char *s = va_arg(args, const char *);
			s = s != NULL ? s : "(null)";
			size_t length = spec.precision >= 0 ? strnlen(s, (size_t)spec.precision) : strlen(s);
			put_padded(&out, &spec, s, (unsigned)length, ' ');
		} else if (*f == 'c') {
			char c = (char)va_arg(args, int);
			put_padded(&out, &spec, &c, 1, ' ');
		} else {
			put(&out, *f);
		}
	}
	va_end(args);
	if (size > 0)
		to[out.length < size ? out.length : size - 1] = '\0';
	return (int)out.length;
}

int ksnprintf(char *to, size_t size, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	int n = kvsnprintf(to, size, format, args);
	va_end(args);
	return n;
}
