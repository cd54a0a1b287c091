# The macOS binary, cross-built on Linux: zig compiles and links (its linker
# signs ad hoc); jansson and PCRE2 are linked in, built from the upstream
# tarballs of Debian's source packages. Nothing touches the file after linking.
MACOS        = $(BUILD)/macos-arm64
MACOS_PYTHON = $(abspath $(MACOS))/venv/bin/python
MACOS_CC     = $(MACOS_PYTHON) -m ziglang cc -target aarch64-macos.13.0 \
               -mcpu=apple_m1
MACOS_AR     = $(MACOS_PYTHON) -m ziglang ar
export ZIG_GLOBAL_CACHE_DIR ?= $(abspath $(MACOS))/cache

# Linked in; "-" joins the name and version of a tarball.
MACOS_LIBS = jansson-2.14 pcre2-10.42
# The Debian package with the tarball, and the tarball's SHA-256.
MACOS_PACKAGE_jansson-2.14 = jansson=2.14-2
MACOS_SHA256_jansson-2.14  = c739578bf6b764aa0752db9a2fdadcfe921c78f1228c7ec0bb47fa804c55d17b
MACOS_PACKAGE_pcre2-10.42  = pcre2=10.42-1
MACOS_SHA256_pcre2-10.42   = c33b418e3b936ee3153de2c61cc638e7e4fe3156022a5c77d0711bcbb9d64f1f

MACOS_MAKE = $(MAKE) --no-print-directory BUILD=$(MACOS) UNAME=Darwin CC='$(MACOS_CC)' \
    AR='$(MACOS_AR)' OPT='-O2 -g0 -UNDEBUG' \
    PKG_CFLAGS='$(MACOS_LIBS:%=-isystem $(MACOS)/%/src) -isystem $(MACOS)/include' \
    PKG_LIBS='$(MACOS_LIBS:%=$(MACOS)/%.a)'

macos: $(MACOS_LIBS:%=$(MACOS)/%.a) $(MACOS)/zig ## cross-build build/macos-arm64/anemone
	@$(MACOS_MAKE) $(MACOS)/anemone

# What the tests need of macOS is declared there; nothing is linked.
macos-tests: macos ## compile the tests for macOS as well
	@mkdir -p $(MACOS)/include && cp /usr/include/cmocka.h $(MACOS)/include
	@$(MACOS_MAKE) $(patsubst %.c,$(MACOS)/%.o,$(UNIT) $(FUZZ) $(BENCH) \
	    $(wildcard tests/*.c))

macos-check: macos $(BUILD)/tests/macho ## check its load commands, imports and signature
	@tmp=$$(mktemp -d) && BUILD=$(BUILD) TMP=$$tmp \
	    sh tests/macos/check.sh $(MACOS)/anemone; s=$$?; rm -rf $$tmp; exit $$s

$(BUILD)/tests/macho: $(BUILD)/tests/macho.o $(BUILD)/libanemone.a
	$(call SAY,link)$(LINK) -o $@ $^ $(LDLIBS)

$(MACOS)/zig:
	@mkdir -p $(@D)
	$(call SAY,zig)python3 -m venv $(MACOS)/venv && \
	    $(MACOS_PYTHON) -m pip -q install ziglang==0.17.1 && touch $@

# Unpacks the tarball when its checksum is right; one fetch at a time, as apt
# locks its lists.
$(MACOS)/pcre2-10.42/unpacked: | $(MACOS)/jansson-2.14/unpacked
$(MACOS)/%/unpacked:
	$(call SAY,get)tools/packages source $(MACOS)/packages $(MACOS_PACKAGE_$*)
	@cd $(MACOS)/packages && \
	    echo '$(MACOS_SHA256_$*)  $(subst -,_,$*).orig.tar.gz' | \
	    sha256sum --quiet -c - && \
	    tar xzf $(subst -,_,$*).orig.tar.gz -C ..
	@touch $@

# Both know a build without their configure scripts: headers filled in by hand.
MACOS_JANSSON_HAS = $(patsubst %,HAVE_%,STDINT_H UNISTD_H FCNTL_H SCHED_H \
    SYS_STAT_H SYS_TIME_H SYS_TYPES_H GETTIMEOFDAY SCHED_YIELD OPEN READ CLOSE \
    ATOMIC_BUILTINS) USE_URANDOM
$(MACOS)/jansson-2.14/configured: $(MACOS)/jansson-2.14/unpacked
	@sed 's/@json_inline@/inline/; s/@json_[a-z_]*@/1/' \
	    $(@D)/src/jansson_config.h.in >$(@D)/src/jansson_config.h
	@printf '#define %s 1\n' $(MACOS_JANSSON_HAS) \
	    >$(@D)/src/jansson_private_config.h
	@touch $@

$(MACOS)/pcre2-10.42/configured: $(MACOS)/pcre2-10.42/unpacked
	@cd $(@D)/src && cp pcre2.h.generic pcre2.h && \
	    cp config.h.generic config.h && \
	    cp pcre2_chartables.c.dist pcre2_chartables.c
	@touch $@
MACOS_FLAGS_pcre2-10.42 = -DPCRE2_CODE_UNIT_WIDTH=8 -DSUPPORT_PCRE2_8 \
    -DSUPPORT_UNICODE -DPCRE2_STATIC -DHAVE_MEMMOVE

# Left out: programs, and files that others include.
MACOS_WITHOUT = pcre2(demo|grep|posix|test|_dftables|_fuzzsupport|_printint|_ucptables|_jit_(match|misc|test))\.c
$(MACOS)/%.a: $(MACOS)/%/configured $(MACOS)/zig
	@mkdir -p $(MACOS)/$*/objects
	$(call SAY,cc)cd $(MACOS)/$*/objects && ls ../src/*.c | \
	    grep -vE '$(MACOS_WITHOUT)' | xargs -P 2 -n 1 $(MACOS_CC) -O2 -g0 \
	    -w -fvisibility=hidden -I../src -DHAVE_CONFIG_H $(MACOS_FLAGS_$*) -c
	@rm -f $@ && $(MACOS_AR) rcs $@ $(MACOS)/$*/objects/*.o
