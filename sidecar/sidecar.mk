# The sidecar and its unit tests. Included by the Makefile, and good on its own:
# `make -f sidecar/sidecar.mk sidecar` needs no PostgreSQL server headers.
# SIDECAR_SANITIZE=address,undefined builds beside the usual objects, with these sanitizers.

SIDECAR_BINDIR ?= /usr/local/bin
SIDECAR_LIBS    = libpq libuv libcurl libwebsockets jansson libcrypto
SIDECAR_VERSION = $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" chat_realtime.control)
SIDECAR_PKG     = $(if $(shell command -v pkg-config),$(shell pkg-config $(1) $(SIDECAR_LIBS)))

SIDECAR_OUT     = sidecar/build$(if $(SIDECAR_SANITIZE),/sanitized)
SIDECAR_BINARY  = $(if $(SIDECAR_SANITIZE),$(SIDECAR_OUT)/,sidecar/)chat-sidecar
SIDECAR_SOURCES = $(sort $(filter-out sidecar/build/%,$(wildcard sidecar/*.c sidecar/*/*.c)))
SIDECAR_OBJECTS = $(SIDECAR_SOURCES:sidecar/%.c=$(SIDECAR_OUT)/%.o)
SIDECAR_ARCHIVE = $(SIDECAR_OUT)/sidecar.a
UNIT_TESTS      = $(patsubst regress/unit/%.c,$(SIDECAR_OUT)/unit/%,$(sort $(wildcard regress/unit/test_*.c)))

SIDECAR_OPTIMIZE ?= -O2 -g
SIDECAR_CFLAGS  = -std=gnu11 $(SIDECAR_OPTIMIZE) -Wall -Wextra -Wvla -Wmissing-prototypes -Wwrite-strings \
	$(SIDECAR_WERROR) -DSIDECAR_VERSION='"$(SIDECAR_VERSION)"' -Isidecar -I$(SIDECAR_OUT) \
	$(if $(SIDECAR_SANITIZE),-fsanitize=$(SIDECAR_SANITIZE) -fno-omit-frame-pointer, \
	-fstack-protector-strong -D_FORTIFY_SOURCE=2) $(call SIDECAR_PKG,--cflags)
SIDECAR_LDFLAGS = -Wl,--as-needed -Wl,-z,relro,-z,now \
	$(if $(SIDECAR_SANITIZE),-fsanitize=$(SIDECAR_SANITIZE))

.PHONY: sidecar install-sidecar uninstall-sidecar clean-sidecar unit
sidecar: $(SIDECAR_BINARY)

# Expanded once: pkg-config need not run for each file.
$(SIDECAR_OBJECTS) $(SIDECAR_BINARY) $(UNIT_TESTS): SIDECAR_CFLAGS := $(SIDECAR_CFLAGS)
$(SIDECAR_BINARY) $(UNIT_TESTS): SIDECAR_LIBRARIES := $(call SIDECAR_PKG,--libs)

$(SIDECAR_BINARY): $(SIDECAR_OBJECTS)
	$(CC) $(SIDECAR_OPTIMIZE) $(SIDECAR_LDFLAGS) -o $@ $^ $(SIDECAR_LIBRARIES)

$(SIDECAR_OUT)/%.o: sidecar/%.c sidecar/sidecar.mk
	@mkdir -p $(@D)
	$(CC) $(SIDECAR_CFLAGS) -MMD -MP -c -o $@ $<

# The files of the console's page, as arrays.
CONSOLE_PAGE    = $(SIDECAR_OUT)/console/page.h
$(CONSOLE_PAGE): $(sort $(wildcard sidecar/console/page/*)) sidecar/sidecar.mk
	@mkdir -p $(@D)
	@for file in $(filter sidecar/console/page/%,$^); do \
		echo "static const unsigned char $$(basename $$file | tr . _)[] = {" && \
		od -An -v -tu1 $$file | sed 's/[0-9][0-9]*/&,/g' && echo "};" || exit 1; done > $@.new && mv $@.new $@

$(SIDECAR_OUT)/console/console_files.o: $(CONSOLE_PAGE)

# Everything but main, so that a test takes what it needs.
$(SIDECAR_ARCHIVE): $(filter-out %/main.o,$(SIDECAR_OBJECTS))
	@rm -f $@
	$(AR) rcs $@ $^

$(SIDECAR_OUT)/unit/%: regress/unit/%.c $(SIDECAR_ARCHIVE)
	@mkdir -p $(@D)
	$(CC) $(SIDECAR_CFLAGS) -Iextension -MMD -MP $(SIDECAR_LDFLAGS) -o $@ $< $(SIDECAR_ARCHIVE) $(SIDECAR_LIBRARIES)

unit: $(UNIT_TESTS)
	@set -e; for test in $^; do echo "# $$(basename $$test)"; $$test; done

install-sidecar: sidecar
	mkdir -p $(DESTDIR)$(SIDECAR_BINDIR)
	packaging/replace 755 $(SIDECAR_BINARY) $(DESTDIR)$(SIDECAR_BINDIR)/chat-sidecar

uninstall-sidecar:
	rm -f $(DESTDIR)$(SIDECAR_BINDIR)/chat-sidecar

clean-sidecar:
	rm -rf sidecar/build sidecar/chat-sidecar

-include $(SIDECAR_OBJECTS:.o=.d) $(UNIT_TESTS:=.d)
