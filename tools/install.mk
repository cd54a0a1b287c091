# make install: the program, both libraries, headers, pkg-config's file, manual
# pages and completions, under $(DESTDIR)$(PREFIX). The pages come from the
# program itself.

PREFIX  ?= /usr/local
VERSION  = $(eval VERSION := $$(shell sed -n \
           's/^.define AN_VERSION "\(.*\)"/\1/p' include/anemone/status.h))$(VERSION)
# The number of the binary interface is the first that is not 0.
ABI      = 0
SHARED_Linux  = libanemone.so.$(ABI)
SHARED_Darwin = libanemone.$(ABI).dylib
LINK_Linux    = libanemone.so
LINK_Darwin   = libanemone.dylib
NAME_Linux    = -Wl,-soname,$(SHARED_Linux)
NAME_Darwin   = -install_name $(PREFIX)/lib/$(SHARED_Darwin)
SHARED        = $(BUILD)/$(SHARED_$(UNAME))
MAN           = $(BUILD)/man

# Only what the public headers declare is exported: everything else is hidden.
$(SHARED): $(OBJ)
	$(call SAY,link)$(LINK) -shared $(NAME_$(UNAME)) -o $@ $^ $(LDLIBS)

$(BUILD)/anemone.pc: tools/anemone.pc.in include/anemone/status.h $(BUILD)/flags
	@sed 's|@PREFIX@|$(PREFIX)|;s|@VERSION@|$(VERSION)|;s|@PKGS@|$(PKGS)|' $< >$@

$(MAN)/anemone.1: $(BUILD)/anemone
	@mkdir -p $(MAN)
	@for c in $$(sed -n 's/AN_COMMAND(\(.*\))/\1/p' src/cli/commands.def); do \
	    $< --manual $$c >$(MAN)/anemone-$$c.1 || exit 1; done
	@$< --manual >$@

install: $(BUILD)/anemone $(SHARED) $(BUILD)/anemone.pc $(MAN)/anemone.1 ## install under PREFIX (and DESTDIR)
	@set -e; to='$(DESTDIR)$(PREFIX)'; \
	mkdir -p "$$to/bin" "$$to/lib/pkgconfig" "$$to/include/anemone" \
	    "$$to/share/man/man1" "$$to/share/bash-completion/completions" \
	    "$$to/share/zsh/site-functions" "$$to/share/fish/vendor_completions.d"; \
	cp $(BUILD)/anemone "$$to/bin/"; \
	cp $(BUILD)/libanemone.a $(SHARED) "$$to/lib/"; \
	ln -sf $(SHARED_$(UNAME)) "$$to/lib/$(LINK_$(UNAME))"; \
	cp $(BUILD)/anemone.pc "$$to/lib/pkgconfig/"; \
	cp include/anemone/*.h "$$to/include/anemone/"; \
	cp $(MAN)/*.1 "$$to/share/man/man1/"; \
	share="$$to/share"; \
	$(BUILD)/anemone --completion bash >"$$share/bash-completion/completions/anemone"; \
	$(BUILD)/anemone --completion zsh >"$$share/zsh/site-functions/_anemone"; \
	$(BUILD)/anemone --completion fish >"$$share/fish/vendor_completions.d/anemone.fish"; \
	echo "installed under $$to"

.PHONY: install
