/* SPDX-License-Identifier: Apache-2.0 */
/* The visibility filter: the paths of an export's configuration as a tree of rules. A directory's place in
 * it is found once, when it is looked up; host paths are never compared. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dev/fs_internal.h"

static struct fs_rule *rule_child(const struct fs_filter *filter, uint16_t parent, const char *name, size_t bytes)
{
	for (uint16_t i = filter->rules[parent].first_child; i != FS_NO_RULE; i = filter->rules[i].next_sibling) {
		if (strncmp(filter->rules[i].name, name, bytes) == 0 && filter->rules[i].name[bytes] == '\0')
			return &filter->rules[i];
	}
	return NULL;
}

static int rule_new(struct fs_filter *filter, uint16_t parent, const char *name, size_t bytes, uint16_t *index)
{
	if (filter->count >= FS_NO_RULE)
		return -E2BIG;
	struct fs_rule *grown = realloc(filter->rules, (filter->count + 1) * sizeof(*grown));
	if (grown == NULL)
		return -ENOMEM;
	filter->rules = grown;
	char *copy = strndup(name, bytes);
	if (copy == NULL)
		return -ENOMEM;
	*index = (uint16_t)filter->count++;
	grown[*index] =
	    (struct fs_rule){.name = copy, .parent = parent, .first_child = FS_NO_RULE, .next_sibling = FS_NO_RULE};
	if (parent != FS_NO_RULE) {
		grown[*index].next_sibling = grown[parent].first_child;
		grown[parent].first_child = *index;
	}
	return 0;
}

/* The rule for a relative path, made where it is missing. "" and "." are the root. */
static int rule_at(struct fs_filter *filter, const char *path, uint16_t *index)
{
	*index = 0;
	if (strcmp(path, ".") == 0)
		return 0;
	while (*path != '\0') {
		size_t bytes = strcspn(path, "/");
		int r = fs_name_check(path, bytes);
		if (r < 0)
			return r;
		struct fs_rule *known = rule_child(filter, *index, path, bytes);
		if (known != NULL)
			*index = (uint16_t)(known - filter->rules);
		else if ((r = rule_new(filter, *index, path, bytes, index)) < 0)
			return r;
		path += bytes;
		if (*path == '/')
			path++;
	}
	return 0;
}

static int filter_fill(struct fs_filter *filter, const struct fs_export *export)
{
	uint16_t index;
	int r = rule_new(filter, FS_NO_RULE, "", 0, &index);
	if (r < 0)
		return r;
	filter->rules[0].shown = true;
	filter->rules[0].visibility = export->visible == NULL ? FS_VISIBLE_ALL : FS_VISIBLE_WAY;
	for (unsigned i = 0; export->visible != NULL && i < export->visible_count; i++) {
		const char *path = export->visible[i];
		bool public = path[0] == '?';
		r = rule_at(filter, path + public, &index);
		if (r < 0)
			return r;
		filter->rules[index].shown = true;
		filter->rules[index].visibility = public ? FS_VISIBLE_PUBLIC : FS_VISIBLE_ALL;
		for (uint16_t up = filter->rules[index].parent; up != FS_NO_RULE; up = filter->rules[up].parent)
			filter->rules[up].leads = true;
	}
	for (unsigned i = 0; export->hidden != NULL && i < export->hidden_count; i++) {
		r = rule_at(filter, export->hidden[i], &index);
		if (r < 0)
			return r;
		filter->rules[index].hidden = true;
	}
	return 0;
}

int fs_filter_init(struct fs_filter *filter, const struct fs_export *export)
{
	*filter = (struct fs_filter){0};
	int r = filter_fill(filter, export);
	if (r < 0)
		fs_filter_fini(filter);
	return r;
}

void fs_filter_fini(struct fs_filter *filter)
{
	for (unsigned i = 0; i < filter->count; i++)
		free(filter->rules[i].name);
	free(filter->rules);
	*filter = (struct fs_filter){0};
}

struct fs_place fs_filter_root(const struct fs_filter *filter)
{
	const struct fs_rule *root = &filter->rules[0];
	return (struct fs_place){
	    .rule = root->first_child == FS_NO_RULE ? FS_NO_RULE : 0,
	    .visibility = root->visibility,
	};
}

bool fs_filter_step(const struct fs_filter *filter, struct fs_place directory, const char *name, struct fs_place *place)
{
	const struct fs_rule *rule = NULL;
	if (directory.rule != FS_NO_RULE)
		rule = rule_child(filter, directory.rule, name, strlen(name));
	*place = (struct fs_place){.rule = FS_NO_RULE, .visibility = directory.visibility};
	if (rule == NULL)
		return directory.visibility != FS_VISIBLE_WAY;
	if (rule->hidden)
		return false;
	place->rule = (uint16_t)(rule - filter->rules);
	if (rule->shown) {
		place->visibility = rule->visibility;
		return true;
	}
	/* The directory shows it, or it is on the way to something that is shown. */
	return directory.visibility != FS_VISIBLE_WAY || rule->leads;
}

bool fs_mode_is_public(uint32_t mode)
{
	if (S_ISLNK(mode))
		return true;
	if (S_ISDIR(mode))
		return (mode & (S_IROTH | S_IXOTH)) == (S_IROTH | S_IXOTH);
	return (mode & S_IROTH) != 0;
}
