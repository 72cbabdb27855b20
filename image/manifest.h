/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Manifests and indexes: OCI image specification 1.1 (manifest.md, image-index.md, descriptor.md) and Docker's image
 * manifest version 2, schema 2. One document has one meaning: what has both layers and manifests, or another media type
 * than the one it came with, is refused (CVE-2021-41190).
 */
#ifndef LAMPO_IMAGE_MANIFEST_H
#define LAMPO_IMAGE_MANIFEST_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/host/err.h"
#include "image/image_file.h"

#define MANIFEST_BYTES_MAX (4u << 20)
#define MANIFEST_LAYERS_MAX 512u
#define MANIFEST_ENTRIES_MAX 4096u /* of an index */
#define MANIFEST_BLOB_MAX IMAGE_FILE_MAX

#define MEDIA_OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define MEDIA_OCI_INDEX "application/vnd.oci.image.index.v1+json"
#define MEDIA_OCI_CONFIG "application/vnd.oci.image.config.v1+json"
#define MEDIA_OCI_LAYER "application/vnd.oci.image.layer.v1.tar"
#define MEDIA_OCI_LAYER_GZIP MEDIA_OCI_LAYER "+gzip"
#define MEDIA_OCI_LAYER_ZSTD MEDIA_OCI_LAYER "+zstd"
#define MEDIA_OCI_EMPTY "application/vnd.oci.empty.v1+json"
#define MEDIA_DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define MEDIA_DOCKER_LIST "application/vnd.docker.distribution.manifest.list.v2+json"
#define MEDIA_DOCKER_CONFIG "application/vnd.docker.container.image.v1+json"
#define MEDIA_DOCKER_LAYER "application/vnd.docker.image.rootfs.diff.tar"
#define MEDIA_DOCKER_LAYER_GZIP MEDIA_DOCKER_LAYER ".gzip"
/* What a registry is asked for. */
#define MANIFEST_ACCEPT MEDIA_OCI_MANIFEST ", " MEDIA_OCI_INDEX ", " MEDIA_DOCKER_MANIFEST ", " MEDIA_DOCKER_LIST

/* An image of Lampo as an OCI artifact: this artifactType, the empty configuration, and one layer, the image file as it
 * is or compressed. The layer has the annotation with the image's digest (which is not the file's). */
#define MEDIA_LAMPO_IMAGE "application/vnd.lampo.image.v1"
#define MEDIA_LAMPO_LAYER "application/vnd.lampo.image.layer.v1.erofs"
#define MEDIA_LAMPO_LAYER_ZSTD MEDIA_LAMPO_LAYER "+zstd"
#define ANNOTATION_LAMPO_DIGEST "lampo.image.digest"
#define ANNOTATION_REF_NAME "org.opencontainers.image.ref.name"
/* The empty configuration (manifest.md, "Guidance for an Empty Descriptor"). */
#define MANIFEST_EMPTY "{}"
#define MANIFEST_EMPTY_DIGEST "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"

/* Strings are borrowed from the document and "" where missing, never NULL; in one filled in to be emitted NULL is as
 * good. */
struct manifest_descriptor {
	const char *media_type, *artifact_type;
	const char *digest; /* "sha256:" and 64 digits, always; other algorithms are refused */
	uint64_t bytes;
	const char *os, *architecture, *variant; /* of its platform, in an index */
	json_t *annotations;                     /* an object of strings, or NULL; borrowed */
};

struct manifest {
	json_t *root; /* owned; NULL in one that is made to be emitted */
	bool index;   /* `manifests` counts; otherwise config and layers */
	const char *media_type, *artifact_type;
	struct manifest_descriptor config, subject; /* subject.digest "": none */
	struct manifest_descriptor *layers;         /* or the index's manifests; owned */
	size_t layer_count;
	json_t *annotations; /* or NULL; borrowed */
};

/* content_type: the Content-Type, or a descriptor's media type, that the document came with ("; charset=..." is cut
 * off); NULL: unknown. what names the document in errors. -EINVAL, -EFBIG, -ENOTSUP (schema 1, other kinds), -ENOMEM.
 */
int manifest_parse(struct manifest *manifest, const char *text, size_t bytes, const char *content_type,
		   const char *what, struct err *err);
void manifest_free(struct manifest *manifest); /* also of one that failed */
/* A media type that manifest_parse knows. */
bool manifest_media_type_known(const char *media_type);
/* The entry of an index for linux/amd64: the plain one, else the lowest variant (v2, v3, v4), else, if the index has
 * only one entry that is an image or index, that one unless it names another platform. -ENOENT, with what there is. */
int manifest_select(const struct manifest *index, const struct manifest_descriptor **entry, const char *what,
		    struct err *err);
/* An annotation, or "". */
const char *manifest_annotation(const struct manifest_descriptor *descriptor, const char *name);
/* The document for these fields (root is not looked at): sorted keys, no white space. malloc'd; NULL: no memory, or a
 * string is no UTF-8. */
char *manifest_dump(const struct manifest *manifest);

enum manifest_layer {
	MANIFEST_LAYER_UNKNOWN,
	MANIFEST_LAYER_TAR,   /* plain or compressed, to be seen from its bytes: layer_apply() */
	MANIFEST_LAYER_IMAGE, /* MEDIA_LAMPO_LAYER */
	MANIFEST_LAYER_IMAGE_ZSTD,
};
enum manifest_layer manifest_layer_kind(const char *media_type);
/* An image in Lampo's own form: *layer is its one layer. False if it is something else. */
bool manifest_is_lampo(const struct manifest *manifest, const struct manifest_descriptor **layer);

#endif
