/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAMPO_IMAGE_TREE_IMAGE_H
#define LAMPO_IMAGE_TREE_IMAGE_H

#include "image/build_tree.h"

/* Everything in an image becomes the tree (a new one): names, owners, modes, times, links, attributes, devices.
 * Contents stay in the image, which must stay open until they were written. The image is hostile: -EUCLEAN. */
int tree_image_load(struct tree *tree, struct build_contents *contents, struct image_file *image, struct err *err);

#endif
