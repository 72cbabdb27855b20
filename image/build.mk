# SPDX-License-Identifier: Apache-2.0
# Images. IMAGE_CORE_SRC is what `lampo run` and the monitor need of it: no library but jansson (and that only in json.c, config.c and store*.c).
IMAGE_FILE_SRC := image/image_file.c
IMAGE_CORE_SRC := $(IMAGE_FILE_SRC) $(filter image/reference.c image/config.c image/config_%.c image/json.c image/store.c image/store_%.c,$(wildcard image/*.c))
# All of it, with libarchive, libcurl, OpenSSL and zstd: what lampo-image is made of.
IMAGE_SRC := $(wildcard image/*.c)
IMAGE_LIBS := -larchive -lcurl -lcrypto -lisal -lz -lzstd -ljansson

# As an archive, so that each program takes what it calls and nothing else.
$(B)/libimage.a: $(call host_objects,$(IMAGE_SRC))
	@mkdir -p $(@D)
	@rm -f $@
	$(AR) rcs $@ $^

# Unit tests: tests/unit/test_image_NAME.c. The library is an archive, so that each takes only what it uses.
$(B)/san/libimage.a: $(call san_objects,$(IMAGE_SRC) tests/unit/image_sample.c tests/unit/erofs_exercise.c run/fd.c $(BASE_HOST_SRC))
	@mkdir -p $(@D)
	@rm -f $@
	$(AR) rcs $@ $^

UNIT_IMAGE_TESTS := $(patsubst tests/unit/%.c,$(B)/tests/unit/%,$(wildcard tests/unit/test_image_*.c))
UNIT_TESTS += $(UNIT_IMAGE_TESTS)

$(UNIT_IMAGE_TESTS): $(B)/tests/unit/%: $(B)/san/tests/unit/%.o $(B)/san/libimage.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(SAN_CFLAGS) -o $@ $^ $(IMAGE_LIBS) -lcmocka

FUZZ_SRC_manifest := image/manifest.c image/config.c image/json.c $(IMAGE_FILE_SRC) $(BASE_HOST_SRC)
FUZZ_LIBS_manifest := -ljansson
FUZZ_SRC_erofs := image/tree.c $(wildcard image/writer*.c image/erofs_*.c) tests/unit/erofs_exercise.c $(BASE_HOST_SRC)
FUZZ_SRC_lampofile := $(wildcard image/build_lampofile*.c) image/build_words.c image/build_glob.c image/text.c image/json.c base/host/err.c
FUZZ_LIBS_lampofile := -ljansson
FUZZ_SRC_build_base := image/tree_image.c image/build_tree.c image/build_contents.c image/build_host.c image/build_glob.c image/text.c \
	image/tree.c $(wildcard image/writer*.c image/erofs_*.c) run/fd.c $(BASE_HOST_SRC)
FUZZ_SRC_elf_needs := image/elf_needs.c image/ld_cache.c image/text.c base/host/err.c
FUZZ_SRC_layer := $(filter image/layer%.c image/relay.c image/stream.c image/tree.c image/writer%.c image/erofs_%.c,$(IMAGE_SRC)) $(IMAGE_FILE_SRC) \
	run/fd.c $(BASE_HOST_SRC)
FUZZ_LIBS_layer := -larchive -lcrypto -lisal -lzstd
FUZZ_SRC_export := $(filter image/export_layer.c image/tree.c image/writer%.c image/erofs_%.c,$(IMAGE_SRC)) $(IMAGE_FILE_SRC) run/fd.c $(BASE_HOST_SRC)
FUZZ_LIBS_export := -larchive -lcrypto -lz
FUZZ_SRC_stream := image/stream.c $(IMAGE_FILE_SRC) $(BASE_HOST_SRC)
FUZZ_LIBS_stream := -lcrypto -lisal -lz -lzstd
