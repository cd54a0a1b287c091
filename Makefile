# Anemone. GNU make 3.81 or later; see `make help`.

BUILD    ?= build
OPT      ?= -O2 -g
WERROR   ?= -Werror
WARN      = -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes \
            -Wmissing-prototypes -Wno-missing-field-initializers -Wvla -Wundef \
            -Wcast-qual -Wwrite-strings -Wformat=2 -Wimplicit-fallthrough \
            -Wdouble-promotion $(WARN_$(findstring clang,$(CC) $(CC_$(UNAME))))
# gcc checks promotions; clang's check objects to NAN, a float, as a double, and
# a newer one to our integer constants, which are enums, beside floats.
WARN_clang = -Wmissing-variable-declarations -Wno-double-promotion \
             -Wno-enum-float-conversion
UNAME     := $(shell uname -s)
CC_Darwin  = clang

# macOS has its BLAS in Accelerate, opened at run time.
PKGS_Linux = openblas
PKGS      := jansson libpcre2-8 $(PKGS_$(UNAME))
# Asked once, when first needed: by then tools/deps has installed them.
PKG_CFLAGS = $(eval PKG_CFLAGS := $$(shell pkg-config --cflags $(PKGS)))$(PKG_CFLAGS)
PKG_LIBS   = $(eval PKG_LIBS := $$(shell pkg-config --libs $(PKGS)))$(PKG_LIBS)
PKG_TEST   = $(eval PKG_TEST := $$(shell pkg-config --libs cmocka))$(PKG_TEST)

CPPFLAGS += -Iinclude -Isrc -D_POSIX_C_SOURCE=200809L -D_DARWIN_C_SOURCE
CFLAGS   += -std=c17 $(OPT) $(WARN) $(WERROR) -ffp-contract=off \
            -fvisibility=hidden -fPIC -pthread
LDLIBS   += $(PKG_LIBS) -lm -pthread
# Short lines, or with V=1 whole commands.
SAY_      = @echo '  $(1) $@';
SAY       = $(SAY_$(V))
COMPILE   = $(CC) $(CPPFLAGS) $(PKG_CFLAGS) $(CFLAGS)
LINK      = $(CC) $(CFLAGS) $(LDFLAGS)

SRC   := $(sort $(shell find src -name '*.c' ! -path 'src/cli/*'))
CLI   := $(sort $(wildcard src/cli/*.c))
UNIT  := $(sort $(wildcard tests/unit/*.c))
FUZZ  := $(sort $(wildcard tests/fuzz/*.c))
BENCH := $(sort $(wildcard bench/*.c))
TEXT  := $(shell find $(wildcard include src tests bench replica) -name '*.[chm]')
OBJ   := $(SRC:%.c=$(BUILD)/%.o)
UNIT_PROGRAMS  := $(UNIT:%.c=$(BUILD)/%)
FUZZ_PROGRAMS  := $(FUZZ:%.c=$(BUILD)/%)
BENCH_PROGRAMS := $(BENCH:%.c=$(BUILD)/%)

all: $(BUILD)/anemone ## build build/anemone

deps: ## install the system packages that are missing, nothing else
	@sh tools/deps

# Rewritten, and so newer than every object, when the commands change.
$(BUILD)/flags: FORCE | deps
	@mkdir -p $(@D)
	@echo '$(COMPILE) $(LDFLAGS) $(LDLIBS)' >$@.new
	@if cmp -s $@ $@.new; then rm -f $@.new; else mv $@.new $@; fi

$(BUILD)/%.o: %.c $(BUILD)/flags | deps
	@mkdir -p $(@D)
	$(call SAY,cc)$(COMPILE) -MMD -MP -c -o $@ $<

# `anemone --version` tells what it was built from.
COMMIT := $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
$(BUILD)/src/cli/%.o: CPPFLAGS += -DAN_COMMIT='"$(COMMIT)"'

# Loops are vectorised at any OPT; nobody reads errno or traps.
$(BUILD)/src/kernels/%.o: CFLAGS += -O3 -fno-math-errno -fno-trapping-math

$(BUILD)/libanemone.a: $(OBJ)
	@rm -f $@
	$(call SAY,ar)$(AR) rcs $@ $^

$(BUILD)/anemone: $(CLI:%.c=$(BUILD)/%.o) $(BUILD)/libanemone.a
	$(call SAY,link)$(LINK) -o $@ $^ $(LDLIBS)

# The test allocator stands before the library, whose own is then left out.
$(BUILD)/tests/%.o: CPPFLAGS += -Itests
$(BUILD)/tests/unit/%: $(BUILD)/tests/unit/%.o $(BUILD)/tests/alloc_fail.o \
                       $(BUILD)/tests/interpret.o $(BUILD)/tests/step_model.o \
                       $(BUILD)/libanemone.a
	$(call SAY,link)$(LINK) -o $@ $^ $(PKG_TEST) $(LDLIBS)

# The functions of macOS that src/base/host_frameworks.c calls, for test_host.
$(BUILD)/tests/libhost.so: $(BUILD)/tests/host_stub.o
	$(call SAY,link)$(LINK) -shared -o $@ $^
$(BUILD)/tests/unit/test_host: | $(BUILD)/tests/libhost.so

$(BUILD)/tests/planted: $(BUILD)/tests/planted.o
	$(call SAY,link)$(LINK) -o $@ $^ $(PKG_TEST) $(LDLIBS)

# A fuzz target replays the files it is given, or, under `make fuzz`, gets
# libFuzzer's main instead.
FUZZ_MAIN = $(BUILD)/tests/replay.o
$(BUILD)/tests/fuzz/%: $(BUILD)/tests/fuzz/%.o $(FUZZ_MAIN) \
                       $(BUILD)/libanemone.a
	$(call SAY,link)$(LINK) -o $@ $^ $(LDLIBS)

$(BUILD)/bench/%: $(BUILD)/bench/%.o $(BUILD)/libanemone.a
	$(call SAY,link)$(LINK) -o $@ $^ $(LDLIBS)

TESTS = $(UNIT_PROGRAMS) $(FUZZ_PROGRAMS) $(BUILD)/tests/planted \
        $(BUILD)/tests/libhost.so \
        $(if $(CLI),$(BUILD)/anemone)

check: $(TESTS) ## the tests that take seconds
	@BUILD=$(BUILD) sh tests/run check

test: $(TESTS) ## all tests
	@BUILD=$(BUILD) sh tests/run test

unit: $(UNIT_PROGRAMS) $(FUZZ_PROGRAMS) ## build the unit tests, run nothing

demo: all ## train a small model on this project's text, DATA=file: on another
	@BUILD=$(BUILD) sh tools/demo $(DATA)

bench: all $(BENCH_PROGRAMS) ## measure text and training steps, write build/bench*.json
	@BUILD=$(BUILD) sh bench/run

bless: $(TESTS) ## rewrite the golden files; review the diff
	@ANEMONE_BLESS=1 BUILD=$(BUILD) sh tests/run check

docs: all ## rewrite the parts of docs/ that the program knows
	$(BUILD)/anemone rules --markdown >docs/rules.md

format: ## lay out the sources
	clang-format -i $(TEXT)

tidy: | deps ## clang-tidy over the sources
	@sh tools/tidy $(CPPFLAGS) $(PKG_CFLAGS)

FUZZ_SECONDS ?= 60
FUZZ_BUILD = BUILD=$(BUILD)/fuzz CC=clang LDFLAGS=-fsanitize=fuzzer FUZZ_MAIN= \
    OPT="-O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all"
fuzz: ## every fuzz target for FUZZ_SECONDS
	@$(MAKE) $(FUZZ_BUILD) $(FUZZ:%.c=$(BUILD)/fuzz/%)
	@BUILD=$(BUILD)/fuzz sh tests/run fuzz $(FUZZ_SECONDS)

include tools/macos.mk
include tools/aarch64.mk
include tools/install.mk

clean: ## remove what was built
	rm -rf $(BUILD)

include replica/replica.mk

help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):.* ## /\1	/p' Makefile tools/*.mk replica/*.mk

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
FORCE:
.PHONY: all deps check test unit demo bench bless docs format tidy fuzz clean help \
        macos macos-tests macos-check aarch64 aarch64-check FORCE
.SECONDARY:
.DELETE_ON_ERROR:
