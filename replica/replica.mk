# A stand-in for Apple's framework on Linux, for tests; see docs/replica.md.
# Not part of `make`: GNUstep and an Objective-C compiler are needed here only.
# gcc it is, and its runtime; the soft engine is compiled again, position
# independent, and none of its symbols leaves the library.

REPLICA     = $(BUILD)/replica
REPLICA_CC ?= gcc
REPLICA_PIC = $(REPLICA)/pic
REPLICA_M  := $(sort $(wildcard replica/*.m))
REPLICA_OBJ = $(REPLICA_M:replica/%.m=$(REPLICA)/%.o) $(REPLICA)/device.o \
              $(REPLICA)/settings.o $(REPLICA)/start.o
REPLICA_FLAGS = -fPIC $(OPT) $(WERROR) -Wall -Wextra -Wno-cast-function-type \
    -pthread \
    -Iinclude -Isrc -D_POSIX_C_SOURCE=200809L -D_GNU_SOURCE
# GNUstep's headers are not ours to warn about.
REPLICA_OBJC = -std=gnu17 -DGNUSTEP -DGNUSTEP_BASE_LIBRARY=1 -fexceptions \
    -fno-strict-aliasing -isystem /usr/include/GNUstep
REPLICA_GNU = -DGNU_RUNTIME=1 -fobjc-exceptions -D_NATIVE_OBJC_EXCEPTIONS \
    -fconstant-string-class=NSConstantString $(REPLICA_OBJC)
REPLICA_FILE    = libAppleNeuralEngine.so
REPLICA_LIBRARY = $(REPLICA)/$(REPLICA_FILE)

replica: replica-deps ## build the replica of Apple's framework (Linux)
	@$(MAKE) --no-print-directory BUILD=$(BUILD) $(REPLICA_LIBRARY) $(REPLICA)/libpreload.so \
	    $(REPLICA)/run

replica-deps:
	@sh tools/deps replica-gobjc replica-gnustep

# The library's objects, with -fPIC, in a folder of their own.
$(REPLICA_PIC)/libanemone.a: FORCE
	@$(MAKE) --no-print-directory BUILD=$(REPLICA_PIC) OPT="$(OPT) -fPIC" $@ \
	    $(REPLICA_PIC)/src/cli/blobs.o

$(REPLICA)/%.o: replica/%.m replica/replica.mk
	@mkdir -p $(@D)
	$(call SAY,objc)$(REPLICA_CC) $(REPLICA_FLAGS) $(REPLICA_GNU) -MMD -MP -c -o $@ $<

$(REPLICA)/%.o: replica/%.c replica/replica.mk
	@mkdir -p $(@D)
	$(call SAY,cc)$(REPLICA_CC) -std=c17 -fvisibility=hidden $(REPLICA_FLAGS) -MMD -MP -c -o $@ $<

# start.o is the last object; see there.
$(REPLICA_LIBRARY): $(REPLICA_OBJ) $(REPLICA_PIC)/libanemone.a replica/exports.map
	$(call SAY,link)$(REPLICA_CC) -shared -pthread $(LDFLAGS) -o $@ \
	    -Wl,-soname,libAppleNeuralEngine.so -Wl,-Bsymbolic \
	    -Wl,--version-script=replica/exports.map $(REPLICA_OBJ) \
	    $(REPLICA_PIC)/src/cli/blobs.o $(REPLICA_PIC)/libanemone.a \
	    $(PKG_LIBS) -lgnustep-base -lobjc -lm

$(REPLICA)/libpreload.so: replica/preload.c replica/replica.mk
	@mkdir -p $(@D)
	$(call SAY,link)$(REPLICA_CC) -std=c17 $(REPLICA_FLAGS) -shared -o $@ $< -ldl

$(REPLICA)/run: replica/run.sh
	@mkdir -p $(@D)
	@cp $< $@ && chmod +x $@

# Programs that use the framework as public projects do.
REPLICA_CLIENTS = $(REPLICA)/tests/client $(REPLICA)/tests/linked \
                  $(REPLICA)/tests/plain $(REPLICA)/tests/behaviour \
                  $(REPLICA)/tests/engine $(REPLICA)/tests/odd/$(REPLICA_FILE) \
                  $(REPLICA)/tests/mute/$(REPLICA_FILE)
$(REPLICA)/tests/%.o: tests/replica/%.m replica/replica.mk
	@mkdir -p $(@D)
	$(call SAY,objc)$(REPLICA_CC) $(REPLICA_FLAGS) $(REPLICA_GNU) -Ireplica -MMD -MP -c -o $@ $<

# Knows nothing of the replica: finds everything by name at run time.
$(REPLICA)/tests/client: $(REPLICA)/tests/client.o
	$(call SAY,link)$(REPLICA_CC) -pthread -o $@ $< -lgnustep-base -lobjc -lm -ldl

$(REPLICA)/tests/linked: $(REPLICA)/tests/client.o $(REPLICA_LIBRARY)
	$(call SAY,link)$(REPLICA_CC) -pthread -o $@ $< -Wl,--no-as-needed \
	    -L$(REPLICA) -lAppleNeuralEngine -Wl,-rpath,'$$ORIGIN/..' \
	    -lgnustep-base -lobjc -lm -ldl

$(REPLICA)/tests/behaviour: $(REPLICA)/tests/behaviour.o $(REPLICA_LIBRARY)
	$(call SAY,link)$(REPLICA_CC) -pthread -o $@ $< -Wl,--no-as-needed \
	    -L$(REPLICA) -lAppleNeuralEngine -Wl,-rpath,'$$ORIGIN/..' \
	    -lgnustep-base -lobjc -lm

# Plain C, with neither Objective-C nor GNUstep at compile time.
$(REPLICA)/tests/plain: tests/replica/plain.c replica/replica.mk
	@mkdir -p $(@D)
	$(call SAY,link)$(REPLICA_CC) -std=c17 $(REPLICA_FLAGS) -o $@ $< -ldl

# The apple engine itself, with the allocator that can fail.
$(REPLICA)/tests/engine: $(BUILD)/tests/replica/engine.o \
                         $(BUILD)/tests/alloc_fail.o $(BUILD)/libanemone.a
	@mkdir -p $(@D)
	$(call SAY,link)$(LINK) -o $@ $^ $(PKG_TEST) $(LDLIBS) -ldl

# Frameworks that the engine refuses.
$(REPLICA)/tests/odd/$(REPLICA_FILE) $(REPLICA)/tests/mute/$(REPLICA_FILE): \
        tests/replica/odd.c src/engine/apple/names.def replica/replica.mk
	@mkdir -p $(@D)
	$(call SAY,link)$(REPLICA_CC) -std=c17 $(REPLICA_FLAGS) -shared -o $@ $< \
	    $(if $(findstring mute,$@),-DODD_NO_SEND)

replica-check: replica all ## test the replica
	@$(MAKE) --no-print-directory BUILD=$(BUILD) $(REPLICA_CLIENTS)
	@BUILD=$(BUILD) sh tests/run replica

# Users of libobjc2 compile with clang; where that runtime is not installed
# the headers are gcc's.
replica-syntax: replica-deps
	@for source in $(REPLICA_M) $(wildcard tests/replica/*.m); do \
	    clang -fsyntax-only -fobjc-runtime=gnustep-2.0 -Wall -Wextra -Wno-cast-function-type -Werror \
	        -Ireplica -Iinclude -Isrc -D_POSIX_C_SOURCE=200809L -D_GNU_SOURCE \
	        $(REPLICA_OBJC) -idirafter `$(REPLICA_CC) -print-file-name=include` \
	        $$source || exit 1; \
	done

.PHONY: replica replica-deps replica-check replica-syntax
