# The tasks of this repository. `make` alone lists them.
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
# What Debian calls libpq.so.5 carries the server's major version behind it.
PQ_VERSION := 5.18
PQ_SERVER := 18.6
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
# Examples in somebody's event loop have the name of its library in theirs.
LOOP = $(strip $(foreach library,libuv libevent glib,$(if $(findstring $(library),$(@F)),$(library:glib=glib-2.0))))
LOOP_FLAGS = $(if $(LOOP),$$(pkg-config --cflags --libs $(LOOP)))

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

.PHONY: lib
lib: $(LIB)/libpgpoll.a $(LIB)/libpq.a $(LIB)/pgpoll.pc $(LIB)/libpq.pc $(LIB)/pg_config ## all libraries with their links, into target/lib

.PHONY: demo
demo: ## start a server, run a C example against it, stop the server
	@build/setup demo
	@$(MAKE) --no-print-directory lib $(DEMO)
	@$(CARGO) build --quiet -p testkit
	@echo 'A throw-away server with a password, and $(notdir $(DEMO)) compiled as README.md says:'
	@$(TARGET)/debug/pgpoll-cluster --tcp --password 'correct horse' -- $(DEMO)
	@echo 'Next: $(firstword $(DEMO:$(TARGET)/%=%)).c is what ran; README.md explains the poll loop.' | sed 's|examples/|c_examples/|'

.PHONY: demo-psql
demo-psql: ## start a server, run this machine's psql on our libpq.so.5, stop the server
	@build/setup demo
	@$(MAKE) --no-print-directory lib
	@$(CARGO) build --quiet -p testkit
	@build/demo-psql $(LIB) $(TARGET)/debug/pgpoll-cluster

.PHONY: test
test: ## every test, against throw-away servers
	@build/setup test
	@# The libraries are optimised as a whole, on one processor: the tests are compiled meanwhile.
	@$(CARGO) test --quiet --workspace --no-run & tests=$$!; \
	$(MAKE) --no-print-directory lib && wait $$tests
	$(CARGO) test --workspace --no-fail-fast
	@$(MAKE) --no-print-directory test-ruby test-python

.PHONY: check
check: ## format, clippy, documentation, header: what must hold before a commit
	$(CARGO) fmt --all --check
	$(CARGO) fmt --manifest-path fuzz/Cargo.toml --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	RUSTFLAGS='--cfg fuzzing' $(CARGO) check --quiet --target-dir $(TARGET)/fuzz --manifest-path fuzz/Cargo.toml
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

# Words: libpq libpq_pipeline test_escape authentication ssl kerberos psql pgbench scripts recovery isolation regress
SUITES ?=
.PHONY: dropin
dropin: lib ## other people's programs on our libpq.so.5, Diesel's too, which has to be built first
	@build/setup dropin
	PQ_LIB_DIR=$(abspath $(LIB)) $(CARGO) build --quiet --locked --manifest-path tests/dropin/diesel/Cargo.toml --target-dir $(TARGET)/dropin/diesel
	$(CARGO) test -p pgpoll --test dropin

.PHONY: conformance
conformance: ## PostgreSQL's own client test suites, or SUITES="psql regress", on our libpq.so.5
	@build/setup conformance
	@$(MAKE) --no-print-directory lib
	@build/conformance $(LIB) $(SUITES)

.PHONY: bulk
bulk: lib ## COPY of BYTES (10 GB) out and in, and the memory that it takes
	@$(CARGO) build --quiet -p testkit
	$(CC) $(STRICT) -O2 -o $(TARGET)/bulk bench/bulk.c $(FLAGS) -Wl,-rpath,$(abspath $(LIB))
	@for way in out in; do $(TARGET)/debug/pgpoll-cluster -- $(TARGET)/bulk $$way $(BYTES) || exit 1; done

.PHONY: endurance
endurance: ## 1,000 connections through a proxy that breaks them, for a minute
	@build/setup test
	PGPOLL_ENDURANCE=1000,60 $(CARGO) test --release -p pgpoll --test endurance -- --nocapture

.PHONY: test-ruby
test-ruby: lib ## the tests of bindings/ruby, against a throw-away server
	@build/setup test-ruby
	@$(CARGO) build --quiet -p testkit
	@if ruby -e 'exit(RUBY_VERSION >= "3.1")'; then \
		PGPOLL_LIBRARY=$(abspath $(LIB))/libpgpoll.so.0 $(TARGET)/debug/pgpoll-cluster -- ruby -w -I bindings/ruby/lib bindings/ruby/test/all.rb; \
	else echo 'SKIPPED: this machine has no Ruby from 3.1 on'; fi

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
	$(call fill,$(PREFIX),$(LIBDIR),$(INCLUDEDIR),$(VERSION)) build/pgpoll.pc.in >'$(DESTDIR)$(LIBDIR)/pkgconfig/pgpoll.pc'
	chmod 644 '$(DESTDIR)$(LIBDIR)/pkgconfig/pgpoll.pc'
	@[ -n '$(DESTDIR)' ] || ldconfig || echo 'Run ldconfig as root, so that programs find the library.'

# Never where the system's libpq is: programs use this one because they are told to, by LD_LIBRARY_PATH, an rpath, or ld.so.conf.
# Build scripts find it by PKG_CONFIG_PATH=LIBDIR/pgpoll/pkgconfig (pkg-config libpq) or by LIBDIR/pgpoll/bin/pg_config
# (psycopg2: PATH, ruby-pg: --with-pg-config). Without installing, target/lib has both: PKG_CONFIG_PATH, or PATH, is target/lib.
PQ_LIBDIR = $(LIBDIR)/pgpoll
PQ_INCLUDEDIR = $(INCLUDEDIR)/pgpoll
PQ_HEADERS := libpq-fe.h libpq-events.h pqexpbuffer.h postgres_ext.h
.PHONY: install-libpq
install-libpq: lib ## libpq, headers, libpq.pc, pg_config into LIBDIR/pgpoll, INCLUDEDIR/pgpoll
	install -d '$(DESTDIR)$(PQ_INCLUDEDIR)/libpq' '$(DESTDIR)$(PQ_LIBDIR)/pkgconfig' '$(DESTDIR)$(PQ_LIBDIR)/bin'
	install -m 644 $(addprefix include/,$(PQ_HEADERS)) '$(DESTDIR)$(PQ_INCLUDEDIR)/'
	install -m 644 include/libpq/libpq-fs.h '$(DESTDIR)$(PQ_INCLUDEDIR)/libpq/'
	install -m 644 $(LIB)/libpq.a '$(DESTDIR)$(PQ_LIBDIR)/'
	install -m 755 $(LIB)/libpq.so.$(PQ_VERSION) '$(DESTDIR)$(PQ_LIBDIR)/'
	cp -P $(LIB)/libpq.so $(LIB)/libpq.so.5 '$(DESTDIR)$(PQ_LIBDIR)/'
	$(call pq,$(PREFIX),$(PQ_LIBDIR),$(PQ_INCLUDEDIR)) build/libpq.pc.in >'$(DESTDIR)$(PQ_LIBDIR)/pkgconfig/libpq.pc'
	$(call pq,$(PREFIX),$(PQ_LIBDIR),$(PQ_INCLUDEDIR)) build/pg_config.in >'$(DESTDIR)$(PQ_LIBDIR)/bin/pg_config'
	chmod 644 '$(DESTDIR)$(PQ_LIBDIR)/pkgconfig/libpq.pc'
	chmod 755 '$(DESTDIR)$(PQ_LIBDIR)/bin/pg_config'

# bindings/python is installed anew where one of its files, or the library, is newer.
PYTHON := $(TARGET)/python-binding/bin/python
$(TARGET)/python-binding/installed: $(LIB)/libpgpoll.a include/pgpoll.h $(wildcard bindings/python/*.py bindings/python/*.toml bindings/python/native/* bindings/python/pgpoll/*.py bindings/python/pgpoll/*/*.py)
	PGPOLL_LIB=$(abspath $<) $(PYTHON) -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --force-reinstall ./bindings/python
	@touch $@

.PHONY: test-python
test-python: ## the tests of bindings/python, against a throw-away server
	@build/setup test-python
	@$(MAKE) --no-print-directory $(TARGET)/python-binding/installed
	@$(CARGO) build --quiet -p testkit
	$(TARGET)/debug/pgpoll-cluster --tcp --set max_prepared_transactions=10 -- $(PYTHON) -X dev -m pytest -q bindings/python/tests
	@if $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then $(call compliance,default); \
	else echo 'SKIPPED: SQLAlchemy 2.1 wants Python 3.11'; fi

# The extension under AddressSanitizer, built and installed in a folder of its own. Python is not, so its objects have to come from
# malloc to be watched, and what it keeps until it ends is no leak. TESTS: some of them.
ASAN := $(TARGET)/python-asan
SANITIZED = env LD_PRELOAD="$$($(CC) -print-file-name=libasan.so) $$($(CC) -print-file-name=libstdc++.so)" PYTHONMALLOC=malloc \
	ASAN_OPTIONS=detect_leaks=0:detect_stack_use_after_return=1 PYTHONPATH=$(abspath $(ASAN))
.PHONY: test-python-asan
test-python-asan: lib ## the same with the extension under AddressSanitizer
	@build/setup test-python
	@$(CARGO) build --quiet -p testkit
	@rm -rf $(ASAN) && mkdir -p $(ASAN) && printf '[build]\nbuild_base = %s\n' $(abspath $(ASAN))/build >$(ASAN)/build.cfg
	DIST_EXTRA_CONFIG=$(abspath $(ASAN))/build.cfg PGPOLL_LIB=$(abspath $(LIB))/libpgpoll.a \
		CFLAGS='-fsanitize=address -fno-omit-frame-pointer -g' LDFLAGS=-fsanitize=address \
		$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --target $(ASAN) ./bindings/python
	$(TARGET)/debug/pgpoll-cluster --tcp --set max_prepared_transactions=10 -- \
		$(SANITIZED) $(PYTHON) -m pytest -q $(or $(TESTS),bindings/python/tests)

# compliance(database): SQLAlchemy's dialect compliance suite, by a database of its setup.cfg
COMPLIANCE := bindings/python/tests/compliance
compliance = $(TARGET)/debug/pgpoll-cluster --set max_prepared_transactions=10 -- $(PYTHON) -m pytest -q -c $(COMPLIANCE)/setup.cfg --db $(1) $(COMPLIANCE)
.PHONY: test-sqlalchemy
test-sqlalchemy: ## SQLAlchemy's dialect compliance suite on bindings/python: on an event loop, and without one
	@build/setup test-python
	@$(MAKE) --no-print-directory $(TARGET)/python-binding/installed
	@$(CARGO) build --quiet -p testkit
	$(call compliance,default)
	$(call compliance,sync)

# Words: cpython pypy ruby
TRIXIE ?=
.PHONY: test-trixie
test-trixie: lib ## the bindings' tests in Debian 13: CPython 3.13, PyPy 3.11, Ruby 3.3; as root, in a folder
	@build/setup test-trixie
	@$(CARGO) build --quiet -p testkit
	@build/trixie $(LIB) $(TARGET)/debug/pgpoll-cluster $(TRIXIE)

# Its tag says from which glibc on it runs.
WHEEL_PYTHON ?= python3
WHEEL := $(TARGET)/wheel
.PHONY: wheel
wheel: lib ## a wheel of bindings/python with the library inside, in target/wheel
	@build/setup wheel
	@rm -rf $(WHEEL)
	@PGPOLL_LIB=$(abspath $(LIB))/libpgpoll.a $(WHEEL_PYTHON) -m pip wheel --quiet --disable-pip-version-check --no-deps -w $(WHEEL)/plain ./bindings/python
	@PATH=$(abspath $(TARGET))/wheel-tools/bin:$$PATH auditwheel repair -w $(WHEEL) $(WHEEL)/plain/*.whl >$(WHEEL)/log 2>&1 || { cat $(WHEEL)/log; exit 1; }
	@echo $(WHEEL)/*.whl

.PHONY: bench-python
bench-python: ## bindings/python beside asyncpg, psycopg and psqlpy in one table
	@build/setup bench-python
	@$(MAKE) --no-print-directory $(TARGET)/python-binding/installed
	@$(CARGO) build --quiet -p testkit
	@$(TARGET)/debug/pgpoll-cluster --set fsync=off -- $(PYTHON) bindings/python/bench/run.py

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

# fill(prefix, libdir, includedir, version): what files that end in .in leave open
fill = sed -e 's|@PREFIX@|$(1)|' -e 's|@LIBDIR@|$(2)|' -e 's|@INCLUDEDIR@|$(3)|' -e 's|@VERSION@|$(4)|'
pq = $(call fill,$(1),$(2),$(3),$(PQ_SERVER))
$(LIB)/pgpoll.pc: build/pgpoll.pc.in Cargo.toml
	@mkdir -p $(LIB)
	@$(call fill,$(CURDIR),$(abspath $(LIB)),$(CURDIR)/include,$(VERSION)) $< >$@
$(LIB)/libpq.pc: build/libpq.pc.in Makefile
	@mkdir -p $(LIB)
	@$(call pq,$(CURDIR),$(abspath $(LIB)),$(CURDIR)/include) $< >$@
$(LIB)/pg_config: build/pg_config.in Makefile
	@mkdir -p $(LIB)
	@$(call pq,$(CURDIR),$(abspath $(LIB)),$(CURDIR)/include) $< >$@
	@chmod +x $@

$(TARGET)/examples/%: c_examples/%.c include/pgpoll.h $(LIB)/pgpoll.pc
	@mkdir -p $(@D)
	$(CC) $(STRICT) -g -O1 -o $@ $< $(FLAGS) $(LOOP_FLAGS) -Wl,-rpath,$(abspath $(LIB))
