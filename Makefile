# What a C user types. Rust and a C compiler are enough for all, demo, examples and install; the tests want Python 3 too.

CARGO  = cargo
CC     = cc
CFLAGS = -O2 -g -Wall -Wextra
PYTHON = python3

# Where `make install` puts things; DESTDIR is for packagers.
PREFIX     = /usr/local
LIBDIR     = $(PREFIX)/lib
INCLUDEDIR = $(PREFIX)/include
DOCDIR     = $(PREFIX)/share/doc/lariat
DESTDIR    =

# Which examples `make examples` builds.
EXAMPLES = examples/*.c

# All cargo output goes below target/, whatever the environment says. A crate's C is compiled anew whenever CC or CFLAGS change in the
# environment: the first is always there, the second is the examples' alone.
BUILD   = $(CARGO) build --release --lib --target-dir target
export CC
unexport CFLAGS
INSTALL = PREFIX='$(PREFIX)' LIBDIR='$(LIBDIR)' INCLUDEDIR='$(INCLUDEDIR)' DOCDIR='$(DOCDIR)' DESTDIR='$(DESTDIR)' \
          sh include/install.sh

.PHONY: all lib demo examples test test-full conformance bench bench-python header lint install uninstall clean

all: lib

# The library under the names that the linker (liblariat.so) and the loader (liblariat.so.0) look for.
lib:
	$(BUILD)
	@cd target/release && if [ -f liblariat.dylib ]; then ln -sf liblariat.dylib liblariat.0.dylib; \
	else ln -sf liblariat.so liblariat.so.0; fi

demo:
	@$(MAKE) examples EXAMPLES='examples/first_program.c examples/echo.c examples/chat_server.c examples/netcode_test.c examples/file_server.c'
	@echo; echo 'A Deferred that fires with 3 * 4:'
	@target/examples/first_program
	@echo; echo 'An echo server and its client, in one program:'
	@target/examples/echo --demo
	@echo; echo 'A chat server, two people who talk, and one who does not listen:'
	@target/examples/chat_server --demo
	@echo; echo 'A game over datagrams on a bad network that is only simulated:'
	@target/examples/netcode_test
	@echo; echo 'A web server, and what its own client asks it:'
	@target/examples/file_server --demo examples/www
	@echo; echo 'To see the page in a browser: target/examples/file_server examples/www tcp://127.0.0.1:8080'

examples: lib
	@mkdir -p target/examples
	@for source in $(EXAMPLES); do \
	    program=target/examples/$$(basename $$source .c); \
	    echo "$(CC) $$source"; \
	    $(CC) $(CFLAGS) -Iinclude $$source -o $$program -Ltarget/release -llariat \
	        -Wl,-rpath,"$$PWD/target/release" -pthread -lm || exit 1; \
	done

# Everything that must hold before a commit: at most ten minutes on two cores.
test:
	@CARGO='$(CARGO)' $(PYTHON) tests/run.py test

# The same, and after it valgrind, the sanitizers, loom, the model for longer, and the other targets.
# With AFTER_TEST=1, only what `make test` does not do.
test-full:
	@CARGO='$(CARGO)' $(PYTHON) tests/run.py full

# Twisted's own tests on lariat's reactor, beside its epoll reactor, and Autobahn's of WebSockets; pip brings both.
conformance:
	@CARGO='$(CARGO)' $(PYTHON) tests/run.py conformance autobahn

lint:
	@CARGO='$(CARGO)' $(PYTHON) tests/run.py lint

bench: lib
	$(PYTHON) benches/run.py

# The Python package beside Twisted's epoll reactor, in a virtual environment of their own; pip brings Twisted.
bench-python:
	@CARGO='$(CARGO)' $(PYTHON) tests/run.py bench-python

# Writes include/lariat.h anew from the Rust source.
header:
	LARIAT_WRITE_HEADER=1 $(CARGO) test --target-dir target --test header

# Where cargo is not to be found, as under sudo, installs what was built before.
install:
	@if command -v $(CARGO) >/dev/null; then $(MAKE) lib; fi
	@$(INSTALL) install

uninstall:
	@$(INSTALL) uninstall

clean:
	$(CARGO) clean --target-dir target
