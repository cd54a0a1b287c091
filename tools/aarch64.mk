# The program and its tests for arm64 Linux, cross-built and run under
# qemu-user: the kernels that a Mac runs, on any machine. The libraries are
# Debian's for arm64, unpacked beside; nothing is installed.
AARCH64          = $(BUILD)/aarch64
AARCH64_ROOT     = $(abspath $(AARCH64))/packages/root
AARCH64_LIB      = $(AARCH64_ROOT)/usr/lib/aarch64-linux-gnu
AARCH64_PACKAGES = libjansson4 libjansson-dev libpcre2-8-0 libpcre2-dev \
                   libcmocka0 libcmocka-dev libopenblas0-pthread \
                   libopenblas-pthread-dev libgfortran5
comma            = ,
AARCH64_TESTS    = engine_run base kernels mac hw ops ops_num pool train_kernels \
                   engine_hw capture model_hw train_step

aarch64: $(AARCH64)/packages/root ## build the program and tests for arm64 Linux
	@$(MAKE) --no-print-directory BUILD=$(AARCH64) UNAME=Linux CC=aarch64-linux-gnu-gcc \
	    AR=aarch64-linux-gnu-ar PKG_TEST=-lcmocka \
	    PKG_CFLAGS='-isystem $(AARCH64_ROOT)/usr/include' \
	    PKG_LIBS='-L$(AARCH64_LIB) -L$(AARCH64_LIB)/openblas-pthread \
	        -Wl$(comma)-rpath-link$(comma)$(AARCH64_LIB) \
	        -lopenblas -ljansson -lpcre2-8' \
	    $(AARCH64)/anemone $(AARCH64_TESTS:%=$(AARCH64)/tests/unit/test_%)


$(AARCH64)/packages/root:
	$(call SAY,get)tools/packages arm64 $(@D) $(AARCH64_PACKAGES)

aarch64-check: aarch64 $(BUILD)/anemone ## run them under qemu-user, and compare with this machine's
	@BUILD=$(BUILD) AARCH64_LIB=$(AARCH64_LIB) sh tests/aarch64/check.sh \
	    $(AARCH64) $(AARCH64_TESTS:%=test_%)
