/* SPDX-License-Identifier: Apache-2.0 */
/* What the monitor says, and what its silence means. */
#include "run/monitor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* The monitor, of the same build, is trusted to be well-meaning but not to be whole. */
static bool report_valid(const struct vm_report *r, ssize_t size)
{
	if (size != (ssize_t)sizeof(*r) || r->version != VM_PROTOCOL_VERSION || r->stage_count > VM_STAGES_MAX)
		return false;
	return memchr(r->text, 0, sizeof(r->text)) != NULL && memchr(r->hint, 0, sizeof(r->hint)) != NULL;
}

static void say(struct vm_report *r, int code, const char *hint)
{
	r->kind = VM_REPORT_ERROR;
	r->code = code;
	snprintf(r->hint, sizeof(r->hint), "%s", hint);
}

/* The socket has hung up without a last report. */
static void explain_death(struct monitor *m, struct vm_report *r)
{
	int status = 0;
	pid_t pid;

	*r = (struct vm_report){.version = VM_PROTOCOL_VERSION};
	do
		pid = waitpid(m->spawn.pid, &status, 0);
	while (pid < 0 && errno == EINTR);
	if (m->spawn.exec_error != 0) {
		snprintf(r->text, sizeof(r->text), "cannot execute the monitor %s: %s", m->spawn.path,
			 strerror(-m->spawn.exec_error));
		say(r, 125, m->spawn.exec_error == -E2BIG ? "the arguments and the environment are too large" : "");
	} else if (pid == m->spawn.pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
		snprintf(r->text, sizeof(r->text), "the VM's monitor was killed (SIGKILL), and the VM with it");
		say(r, VM_CODE_KILLED, "if nobody did it on purpose, the host may be out of memory: see 'dmesg'");
	} else if (pid == m->spawn.pid && WIFSIGNALED(status)) {
		snprintf(r->text, sizeof(r->text), "the VM's monitor crashed (SIG%s)", sigabbrev_np(WTERMSIG(status)));
		say(r, 125, "this is a fault of Lampo; please report it");
	} else {
		snprintf(r->text, sizeof(r->text), "the VM's monitor ended without a report (exit code %d)",
			 WIFEXITED(status) ? WEXITSTATUS(status) : -1);
		say(r, 125, "this is a fault of Lampo; please report it");
	}
}

void monitor_receive(struct monitor *m, struct vm_report *r)
{
	ssize_t n;

	do
		n = recv(m->report_fd, r, sizeof(*r), 0);
	while (n < 0 && errno == EINTR);
	if (n <= 0) {
		explain_death(m, r);
		return;
	}
	if (report_valid(r, n)) {
		m->ready |= r->kind == VM_REPORT_READY;
		if (r->kind == VM_REPORT_ERROR && (r->code < 1 || r->code > 255))
			r->code = 125;
		return;
	}
	monitor_kill(m);
	*r = (struct vm_report){.version = VM_PROTOCOL_VERSION};
	snprintf(r->text, sizeof(r->text), "the monitor %s does not belong to this lampo", m->spawn.path);
	say(r, 125, "install lampo and lampo-vmm of the same version");
}

/* ---- the command as JSON --------------------------------------------------------------------- */

struct text {
	char *data;
	size_t used, size;
};

static bool put(struct text *t, const char *bytes, size_t n)
{
	if (t->size - t->used <= n)
		return false;
	memcpy(t->data + t->used, bytes, n);
	t->used += n;
	return true;
}

/* Bytes of the UTF-8 sequence at s, or 0 (RFC 3629, section 4). */
static size_t utf8_length(const unsigned char *s)
{
	if (s[0] < 0x80)
		return 1;
	size_t n = s[0] >= 0xc2 && s[0] <= 0xdf ? 2 : (s[0] & 0xf0) == 0xe0 ? 3 : s[0] >= 0xf0 && s[0] <= 0xf4 ? 4 : 0;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
	    (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

static bool put_string(struct text *t, const char *string)
{
	bool ok = put(t, "\"", 1);
	size_t n;

	for (const unsigned char *s = (const unsigned char *)string; ok && *s != '\0'; s += n) {
		char escape[8];
		n = utf8_length(s);
		if (n == 0) {
			n = 1;
			ok = put(t, "\xef\xbf\xbd", 3);
		} else if (*s < 0x20 || *s == '"' || *s == '\\') {
			ok = put(t, escape, (size_t)snprintf(escape, sizeof(escape), "\\u%04x", *s));
		} else {
			ok = put(t, (const char *)s, n);
		}
	}
	return ok && put(t, "\"", 1);
}

char *monitor_command_json(char *const *command)
{
	enum { LIMIT = 4096, SPARE = 16 };
	struct text t = {.data = malloc(LIMIT + SPARE), .size = LIMIT};

	if (t.data == NULL)
		return NULL;
	t.data[t.used++] = '[';
	for (size_t i = 0; command[i] != NULL; i++) {
		size_t before = t.used;
		if ((i == 0 || put(&t, ",", 1)) && put_string(&t, command[i]))
			continue;
		t.used = before;
		t.size += SPARE;
		put(&t, i == 0 ? "\"...\"" : ",\"...\"", i == 0 ? 5 : 6);
		break;
	}
	t.size = LIMIT + SPARE;
	put(&t, "]", 1);
	t.data[t.used] = '\0';
	return t.data;
}
