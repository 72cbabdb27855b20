/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What programs and libraries read at run time without saying so in their files. Data, with the reason for each;
 * whatever is not on the host is passed over.
 *
 * In paths {dir} is the directory of the file that has the name, {prefix} the one above it, {name} its name; * and ?
 * match names of files. A path that ends in "/" is a directory with all that is in it.
 */
#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "image/build_glob.h"
#include "image/package.h"

struct rule {
	const char *name;  /* pattern for the name of a file that was added */
	const char *paths; /* separated by spaces */
	const char *leave_out;
	const char *why;
	bool scripts; /* scripts in the directories bring their interpreters */
};

#define PYTHON_UNUSED                                                                                                  \
	"test tests idlelib turtledemo ensurepip lib2to3 config-3.* dist-packages site-packages EXTERNALLY-MANAGED"

/* Programs with Python inside. */
#define PYTHON_LIBRARY(version)                                                                                        \
	{                                                                                                              \
		"libpython" version ".so.*", "/usr/lib/python" version "/ /usr/local/lib/python" version "/",          \
		    PYTHON_UNUSED, "Python's standard library", false                                                  \
	}

static const struct rule rules[] = {
    /* Interpreters: their standard library, without tests, headers and what only developers use. */
    {"python3.*", "{prefix}/lib/{name}/", PYTHON_UNUSED, "Python's standard library", false},
    {"python3.*", "/etc/{name}/sitecustomize.py", NULL, "imported by Python's site module", false},
    PYTHON_LIBRARY("3.9"),
    PYTHON_LIBRARY("3.10"),
    PYTHON_LIBRARY("3.11"),
    PYTHON_LIBRARY("3.12"),
    PYTHON_LIBRARY("3.13"),
    PYTHON_LIBRARY("3.14"),
    {"perl",
     "/usr/lib/*-linux-gnu/perl-base/ /usr/lib/*-linux-gnu/perl/5.*/ /usr/share/perl/5.*/ {prefix}/lib/perl5/5.*/",
     "CORE *.pod perldoc.* debian-config-data* auto_install", "Perl's standard library", false},
    {"perl5.*", "/usr/lib/*-linux-gnu/perl-base/ /usr/lib/*-linux-gnu/perl/5.*/ /usr/share/perl/5.*/", "CORE *.pod",
     "Perl's standard library", false},
    {"node",
     "{prefix}/share/nodejs/acorn/ {prefix}/share/nodejs/acorn-walk/ {prefix}/share/nodejs/cjs-module-lexer/ "
     "{prefix}/share/nodejs/undici/ {prefix}/share/nodejs/undici-types/",
     NULL, "a part of Node that distributions keep outside of it", false},
    /* Without what needs a screen or loudspeakers, and with them the libraries of X11. */
    {"java", "{prefix}/bin/java {prefix}/conf/ {prefix}/lib/ {prefix}/release",
     "src.zip *.debuginfo *.diz ct.sym libawt_xawt.so libjawt.so libsplashscreen.so libjsound.so", "the Java runtime",
     false},
    {"ruby[0-9]*", "/usr/lib/ruby/ /usr/lib/*-linux-gnu/ruby/", "*.h gems", "Ruby's standard library", false},
    {"php[0-9]*", "/etc/php/*/cli/ /etc/php/*/mods-available/ /usr/lib/php/2*/", NULL, "PHP's settings and extensions",
     false},
    {"tclsh[0-9]*", "/usr/share/tcltk/tcl8.*/", NULL, "Tcl's library", false},
    /* Without Git's servers and what needs Perl. */
    {"git", "{prefix}/lib/git-core/ {prefix}/share/git-core/templates/",
     "git-add--interactive git-instaweb git-cvs* git-svn git-archimport git-p4 git-send-email gitweb git-daemon "
     "git-http-backend "
     "git-imap-send git-shell scalar *.sample",
     "Git's own commands", true},
    {"git",
     "/usr/bin/basename /usr/bin/cat /usr/bin/expr /usr/bin/grep /usr/bin/mkdir /usr/bin/mv /usr/bin/rm /usr/bin/sed "
     "/usr/bin/tr "
     "/usr/bin/uname",
     NULL, "programs that Git's shell scripts run", false},
    {"cmake", "{prefix}/share/cmake-[0-9]*/", "Help", "CMake's modules", false},
    {"vim*", "/etc/vim/ {prefix}/share/vim/", "doc tutor lang spell", "Vim's settings and scripts", false},
    {"gdb", "/etc/gdb/ {prefix}/share/gdb/", NULL, "GDB's settings and scripts", false},
    {"file", "/etc/magic /usr/share/misc/magic.mgc", NULL, "what file knows of types of files", false},
    /* Libraries. */
    {"libc.so.6", "{dir}/libnss_files.so.2 {dir}/libnss_dns.so.2", NULL, "names of users and hosts: opened by glibc",
     false},
    {"libc.so.6", "{dir}/libgcc_s.so.1", NULL, "ending of threads: opened by glibc", false},
    {"libc.so.6", "/usr/lib/locale/C.utf8/ /usr/lib/locale/C.UTF-8/", NULL, "the locale C.UTF-8", false},
    {"libc.so", "/etc/ld-musl-x86_64.path", NULL, "where musl's loader finds libraries", false},
    {"libperl.so.5.*", "/usr/lib/*-linux-gnu/perl-base/ /usr/lib/*-linux-gnu/perl/5.*/ /usr/share/perl/5.*/",
     "CORE *.pod", "Perl's standard library", false},
    {"libcrypto.so.*", "/etc/ssl/openssl.cnf /usr/lib/ssl/openssl.cnf {dir}/ossl-modules/", NULL,
     "OpenSSL's settings and algorithms", false},
    {"libssl.so.*", "/etc/ssl/certs/ca-certificates.crt /usr/lib/ssl/cert.pem /usr/lib/ssl/certs", NULL,
     "certificates of authorities", false},
    {"libgnutls.so.*", "/etc/ssl/certs/ca-certificates.crt", NULL, "certificates of authorities", false},
    {"libtinfo.so.*",
     "/usr/share/terminfo/x/xterm* /lib/terminfo/x/xterm /lib/terminfo/x/xterm-256color /lib/terminfo/l/linux "
     "/lib/terminfo/v/vt100 /lib/terminfo/d/dumb /lib/terminfo/s/screen /lib/terminfo/s/screen-256color "
     "/lib/terminfo/t/tmux-256color",
     NULL, "descriptions of terminals", false},
    {"libmagic.so.*", "/etc/magic /usr/share/misc/magic.mgc", NULL, "what libmagic knows of types of files", false},
};

/* What --with names. */
static const struct rule groups[] = {
    {"certs", "/etc/ssl/certs/ca-certificates.crt /usr/lib/ssl/cert.pem /usr/lib/ssl/certs", NULL, "--with certs",
     false},
    {"tzdata", "/etc/localtime /etc/timezone /usr/share/zoneinfo/", "right posix", "--with tzdata", false},
    {"locales", "/usr/lib/locale/ /usr/share/i18n/locales/ /etc/default/locale", NULL, "--with locales", false},
    {"gconv", "/usr/lib/*-linux-gnu/gconv/ /usr/lib64/gconv/", NULL, "--with gconv", false},
    {"terminfo", "/lib/terminfo/ /usr/share/terminfo/", NULL, "--with terminfo", false},
    {"python-packages",
     "/usr/lib/python3/dist-packages/ /usr/local/lib/python3.*/dist-packages/ /usr/lib/python3.*/site-packages/", NULL,
     "--with python-packages", false},
    {"perl-packages", "/usr/share/perl5/ /usr/lib/*-linux-gnu/perl5/ /etc/perl/", "*.pod", "--with perl-packages",
     false},
    {"node-packages", "/usr/share/nodejs/ /usr/lib/node_modules/ /usr/local/lib/node_modules/", NULL,
     "--with node-packages", false},
    {"shell", "/bin/sh /usr/bin/env", NULL, "--with shell", false},
};

static int no_memory(struct package *p) { return err_set(p->err, -ENOMEM, "cannot pack the program"); }

static int add_one(struct package *p, const char *path, const struct rule *rule, const char *reason)
{
	size_t length = strlen(path);
	struct package_how how = {
	    .reason = reason, .leave_out = rule->leave_out, .tree = path[length - 1] == '/', .scripts = rule->scripts};

	/* Everything in a directory is added only once; several rules may name it. */
	for (size_t i = 0; i < p->rules_done.count; i++)
		if (strcmp(p->rules_done.items[i], path) == 0)
			return 0;
	if (string_list_add_string(&p->rules_done, path) < 0)
		return no_memory(p);
	int code = package_add(p, path, &how);
	if (code == -ENOENT && p->err->code == 0)
		return 0;
	if (code == 0 && strstr(path, ".so.") != NULL && string_list_add_string(&p->libraries, path) < 0)
		return no_memory(p);
	return code;
}

static int add_pattern(struct package *p, const char *path, const struct rule *rule, const char *reason)
{
	glob_t found = {0};
	char slash[PATH_MAX + 1];
	int code = 0;

	if (strpbrk(path, "*?[") == NULL)
		return add_one(p, path, rule, reason);
	if (glob(path, 0, NULL, &found) == 0) {
		/* glob() keeps the final slash of a pattern for a directory. */
		for (size_t i = 0; i < found.gl_pathc && code == 0; i++)
			if (snprintf(slash, sizeof(slash), "%s", found.gl_pathv[i]) < (int)sizeof(slash))
				code = add_one(p, slash, rule, reason);
	}
	globfree(&found);
	return code;
}

/* Replaces {dir}, {prefix} and {name}. */
static int expand(struct package *p, const char *path, size_t length, const char *host, char **expanded)
{
	const char *slash = strrchr(host, '/');
	size_t dir = (size_t)(slash - host), prefix = dir;
	struct text out = {0};
	int code = 0;

	while (prefix > 0 && host[--prefix] != '/')
		;
	for (const char *at = path; at < path + length && code == 0;) {
		if (strncmp(at, "{dir}", 5) == 0) {
			code = text_add(&out, host, dir);
			at += 5;
		} else if (strncmp(at, "{prefix}", 8) == 0) {
			code = text_add(&out, host, prefix);
			at += 8;
		} else if (strncmp(at, "{name}", 6) == 0) {
			code = text_add_string(&out, slash + 1);
			at += 6;
		} else {
			code = text_add_char(&out, *at++);
		}
	}
	*expanded = code == 0 ? text_take(&out) : NULL;
	text_free(&out);
	return *expanded == NULL ? no_memory(p) : 0;
}

/* host: the file that the rule is about; NULL: none. */
static int apply(struct package *p, const struct rule *rule, const char *host, const char *reason)
{
	int code = 0;

	for (const char *at = rule->paths; *at != '\0' && code == 0;) {
		size_t length = strcspn(at, " ");
		char *path;
		code = expand(p, at, length, host != NULL ? host : "/", &path);
		if (path != NULL)
			code = add_pattern(p, path, rule, reason);
		free(path);
		at += length;
		at += strspn(at, " ");
	}
	return code;
}

int package_apply_rules(struct package *p, const struct package_object *object)
{
	char host[PATH_MAX], reason[PATH_MAX + 128];
	int code = 0;

	/* Files that were moved are not where their own files expect them. */
	if (strcmp(object->host, object->guest) != 0 ||
	    snprintf(host, sizeof(host), "%s", object->host) >= (int)sizeof(host))
		return 0;
	const char *name = strrchr(host, '/') + 1;
	for (size_t i = 0; i < countof(rules) && code == 0; i++) {
		if (build_glob_match(rules[i].name, name, false) <= 0)
			continue;
		snprintf(reason, sizeof(reason), "%s (for %s)", rules[i].why, host);
		code = apply(p, &rules[i], host, reason);
	}
	return code;
}

int package_add_group(struct package *p, const char *name)
{
	char names[256] = "";

	for (size_t i = 0; i < countof(groups); i++) {
		if (strcmp(groups[i].name, name) == 0)
			return apply(p, &groups[i], NULL, groups[i].why);
		snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s", i > 0 ? ", " : "",
			 groups[i].name);
	}
	err_set(p->err, -EINVAL, "there is no group '%.60s'!", name);
	return err_hint(p->err, "groups are %s", names);
}
