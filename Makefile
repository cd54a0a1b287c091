# Anemone: builds build/anemone, build/libanemone.a and the tests.
# make [all] | check | test | deps | demo | bench | bless | format | clean

BUILD    ?= build
CC       ?= cc
OPT      ?= -O2 -g
WARN      = -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes \
            -Wmissing-prototypes -Wno-missing-field-initializers -Wvla -Wundef -Wcast-qual -Wwrite-strings \
            -Wformat=2 -Wimplicit-fallthrough -Wdouble-promotion
WERROR   ?= -Werror
PKGS      = jansson openblas
CPPFLAGS += -Iinclude -Isrc -D_POSIX_C_SOURCE=200809L -D_DARWIN_C_SOURCE
CFLAGS   += -std=c17 $(OPT) $(WARN) $(WERROR) -ffp-contract=off -fvisibility=hidden -pthread
LDLIBS   += $(shell pkg-config --libs $(PKGS)) -lm -pthread

SRC  := $(sort $(shell find src -name '*.c' ! -path 'src/cli/*'))
CLI  := $(sort $(wildcard src/cli/*.c))
UNIT := $(sort $(wildcard tests/unit/*.c))
OBJ  := $(SRC:%.c=$(BUILD)/%.o)

all: $(BUILD)/anemone

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/libanemone.a: $(OBJ)
	@rm -f $@
	ar rcs $@ $^

$(BUILD)/anemone: $(CLI:%.c=$(BUILD)/%.o) $(BUILD)/libanemone.a
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# The test allocator stands before the library, whose own is then left out.
$(BUILD)/tests/%.o: CPPFLAGS += -Itests
$(BUILD)/tests/unit/%: $(BUILD)/tests/unit/%.o $(BUILD)/tests/alloc_fail.o \
                       $(BUILD)/libanemone.a
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ -lcmocka $(LDLIBS)

check: $(UNIT:%.c=$(BUILD)/%)
	@for t in $^; do $$t || exit 1; done

clean:
	rm -rf $(BUILD)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
.PHONY: all check clean
.SECONDARY:
