# SPDX-License-Identifier: Apache-2.0
# Unit tests: tests/unit/test_AREA_NAME.c becomes $(B)/tests/unit/test_AREA_NAME, built with the sanitizers.
# UNIT_TESTS lists the programs; "make unit" runs them all.

UNIT_DEV_TESTS := $(patsubst tests/unit/%.c,$(B)/tests/unit/%,$(wildcard tests/unit/test_dev_*.c))
UNIT_TESTS += $(UNIT_DEV_TESTS)

$(UNIT_DEV_TESTS): $(B)/tests/unit/%: $(B)/san/tests/unit/%.o $(call san_objects,$(DEV_SRC) $(BASE_HOST_SRC))
	@mkdir -p $(@D)
	$(Q)$(CC) $(SAN_CFLAGS) -o $@ $^ -lcmocka

UNIT_BASE_TESTS := $(patsubst tests/unit/%.c,$(B)/tests/unit/%,$(wildcard tests/unit/test_base_*.c))
UNIT_TESTS += $(UNIT_BASE_TESTS)

$(UNIT_BASE_TESTS): $(B)/tests/unit/%: $(B)/san/tests/unit/%.o $(call san_objects,$(BASE_HOST_SRC))
	@mkdir -p $(@D)
	$(Q)$(CC) $(SAN_CFLAGS) -o $@ $^ -lcmocka

# Prints a test's output only if it fails.
.PHONY: unit
.SECONDEXPANSION:
unit: $$(UNIT_TESTS)
	@failed=0; for test in $^; do \
		if out=$$($$test 2>&1); then echo "ok      $${test##*/}"; \
		else printf '%s\n' "$$out"; echo "FAILED  $${test##*/}"; failed=1; fi; \
	done; exit $$failed
