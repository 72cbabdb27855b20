/* SPDX-License-Identifier: Apache-2.0 */
/* Who runs the program of an image: OCI image specification 1.1, config.md, "User". */
#ifndef LAMPO_CLI_IMAGE_USER_H
#define LAMPO_CLI_IMAGE_USER_H

#include <sys/types.h>

#include "image/image_file.h"

struct image_user {
	uid_t uid;
	gid_t gid;
	char home[256]; /* of /etc/passwd; "/" if it is not there */
};

/* text: "user", "uid", "user:group", "uid:gid", "" for root. Names and homes are those of the image's /etc/passwd and
 * /etc/group; numbers need not be there. -ENOENT: there is no such name. */
int image_user_find(struct image_file *image, const char *text, struct image_user *user, struct err *err);

#endif
