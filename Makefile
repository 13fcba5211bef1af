# The tasks of this repository. `make` alone lists them.
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
# What Debian calls libpq.so.5 carries the server's major version behind it.
PQ_VERSION := 5.18
PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
CARGO ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)
LIB := $(TARGET)/lib
FUZZ_SECONDS ?= 60
BYTES ?= 10000000000

EXAMPLES := $(patsubst c_examples/%.c,$(TARGET)/examples/%,$(wildcard c_examples/*.c))
DEMO := $(firstword $(EXAMPLES))
STRICT := -std=c99 -D_POSIX_C_SOURCE=200809L -Wall -Wextra -Wpedantic -Werror
FLAGS = $$(PKG_CONFIG_PATH=$(LIB) pkg-config --cflags --libs pgpoll)
# Examples that say so in their name use libuv.
UV = $(if $(findstring uv,$(notdir $@)),$$(pkg-config --cflags --libs libuv))

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

.PHONY: lib
lib: $(LIB)/libpgpoll.a $(LIB)/libpq.a $(LIB)/pgpoll.pc ## all libraries with their links, into target/lib

.PHONY: demo
demo: ## start a server, run a C example against it, stop the server
	@build/setup demo
	@$(MAKE) --no-print-directory lib $(DEMO)
	@$(CARGO) build --quiet -p testkit
	@echo 'A throw-away server with a password, and $(notdir $(DEMO)) compiled as README.md says:'
	@$(TARGET)/debug/pgpoll-cluster --tcp --password 'correct horse' -- $(DEMO)
	@echo 'Next: $(firstword $(DEMO:$(TARGET)/%=%)).c is what ran; README.md explains the poll loop.' | sed 's|examples/|c_examples/|'

.PHONY: test
test: ## every test, against throw-away servers
	@build/setup test
	@$(MAKE) --no-print-directory lib
	$(CARGO) test --workspace --no-fail-fast

.PHONY: check
check: ## format, clippy, documentation, header: what must hold before a commit
	$(CARGO) fmt --all --check
	$(CARGO) fmt --manifest-path fuzz/Cargo.toml --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --quiet --workspace --no-deps
	$(CARGO) run --quiet -p border -- check

.PHONY: header
header: ## write include/pgpoll.h and build/pgpoll.exports from capi's source
	$(CARGO) run --quiet -p border -- write

.PHONY: examples
examples: lib ## compile the C examples into target/examples
	@$(MAKE) --no-print-directory $(EXAMPLES)

.PHONY: bench
bench: ## instructions and memory, ours beside libpq's in one table (cargo bench: times)
	@build/setup bench
	@$(MAKE) --no-print-directory lib
	@$(CARGO) build --quiet --release --example engine
	@$(CARGO) build --quiet -p testkit
	@bench/server $(TARGET)/debug/pgpoll-cluster bench/run $(TARGET)

.PHONY: bulk
bulk: lib ## COPY of BYTES (10 GB) out and in, and the memory that it takes
	@$(CARGO) build --quiet -p testkit
	$(CC) $(STRICT) -O2 -o $(TARGET)/bulk bench/bulk.c $(FLAGS) -Wl,-rpath,$(abspath $(LIB))
	@for way in out in; do $(TARGET)/debug/pgpoll-cluster -- $(TARGET)/bulk $$way $(BYTES) || exit 1; done

.PHONY: endurance
endurance: ## 1,000 connections through a proxy that breaks them, for a minute
	@build/setup test
	PGPOLL_ENDURANCE=1000,60 $(CARGO) test --release -p pgpoll --test endurance -- --nocapture

.PHONY: fuzz
fuzz: ## every fuzz target, FUZZ_SECONDS (60) each
	@build/setup fuzz
	@for target in $$($(CARGO) +nightly fuzz list); do \
		$(CARGO) +nightly fuzz run "$$target" -- -max_total_time=$(FUZZ_SECONDS) || exit 1; \
	done

.PHONY: install
install: lib ## header, libraries and pgpoll.pc into DESTDIR/PREFIX
	install -d '$(DESTDIR)$(INCLUDEDIR)' '$(DESTDIR)$(LIBDIR)/pkgconfig'
	install -m 644 include/pgpoll.h '$(DESTDIR)$(INCLUDEDIR)/'
	install -m 644 $(LIB)/libpgpoll.a '$(DESTDIR)$(LIBDIR)/'
	install -m 755 $(LIB)/libpgpoll.so.$(VERSION) '$(DESTDIR)$(LIBDIR)/'
	cp -P $(LIB)/libpgpoll.so $(LIB)/libpgpoll.so.0 '$(DESTDIR)$(LIBDIR)/'
	$(call pc,$(PREFIX),$(LIBDIR),$(INCLUDEDIR)) >'$(DESTDIR)$(LIBDIR)/pkgconfig/pgpoll.pc'
	chmod 644 '$(DESTDIR)$(LIBDIR)/pkgconfig/pgpoll.pc'
	@[ -n '$(DESTDIR)' ] || ldconfig || echo 'Run ldconfig as root, so that programs find the library.'

.PHONY: setup
setup: ## install what building and testing need
	@build/setup test

.PHONY: clean
clean: ## remove what was built
	$(CARGO) clean

# Each face is a Rust staticlib of its own: only so does the whole-program optimiser run. The rlib that the tests use beside it
# would switch that off, so the crate type is named here. Cargo decides what is out of date, and touches the archive only then.
.PHONY: FORCE
FORCE:
$(TARGET)/release/libpgpoll_capi.a: FORCE
	@$(CARGO) rustc --release -p pgpoll-capi --lib --crate-type staticlib
$(TARGET)/release/libpq.a: FORCE
	@$(CARGO) rustc --release -p libpq --lib --crate-type staticlib

$(LIB)/libpgpoll.a: $(TARGET)/release/libpgpoll_capi.a build/pgpoll.exports build/face
	build/face $< build/pgpoll.exports pgpoll $(VERSION) $(LIB)
$(LIB)/libpq.a: $(TARGET)/release/libpq.a build/libpq.exports build/face
	build/face $< build/libpq.exports pq $(PQ_VERSION) $(LIB)

# pc(prefix, libdir, includedir)
pc = sed -e 's|@PREFIX@|$(1)|' -e 's|@LIBDIR@|$(2)|' -e 's|@INCLUDEDIR@|$(3)|' -e 's|@VERSION@|$(VERSION)|' build/pgpoll.pc.in
$(LIB)/pgpoll.pc: build/pgpoll.pc.in Cargo.toml
	@mkdir -p $(LIB)
	@$(call pc,$(CURDIR),$(abspath $(LIB)),$(CURDIR)/include) >$@

$(TARGET)/examples/%: c_examples/%.c include/pgpoll.h $(LIB)/pgpoll.pc
	@mkdir -p $(@D)
	$(CC) $(STRICT) -g -O1 -o $@ $< $(FLAGS) $(UV) -Wl,-rpath,$(abspath $(LIB))
