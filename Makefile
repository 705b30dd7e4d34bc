# stele: build, test, install. GNU make; everything it makes goes under $(O).
# `make help` lists the targets.

MAKEFLAGS += --no-print-directory --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:
.SECONDARY:
.DEFAULT_GOAL := all

O ?= build

.PHONY: all check sanitize tsan fuzz lint format bench demo deps deps-dev install uninstall \
        amalgamation objects clean help after-deps programs tests demo-programs bench-programs FORCE

deps:
	@scripts/deps.sh build

deps-dev:
	@scripts/deps.sh develop

DEPS_GOALS := $(filter deps deps-dev,$(MAKECMDGOALS))
LATER_GOALS := $(filter-out deps deps-dev,$(MAKECMDGOALS))

ifneq ($(DEPS_GOALS),)

# `make deps check`: nothing may ask the compiler or pkg-config before deps has run, so a second
# make, which starts when deps is done, makes the other goals.
ifneq ($(LATER_GOALS),)
$(LATER_GOALS): after-deps
	@:
after-deps: $(DEPS_GOALS)
	@$(MAKE) $(LATER_GOALS)
endif

else

# --- what to build with --------------------------------------------------------------------------

ifeq ($(origin CC),default)
CC := $(CROSS_COMPILE)cc
endif
ifeq ($(origin AR),default)
AR := $(CROSS_COMPILE)ar
endif
PKG_CONFIG ?= pkg-config
INSTALL ?= install

PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
MANDIR ?= $(PREFIX)/share/man
PKGCONFIGDIR ?= $(LIBDIR)/pkgconfig

# The user's. What the build itself needs is kept apart, so that `make CFLAGS=-O3` loses nothing.
CFLAGS ?= -O2 -g

ifeq ($(V),1)
Q :=
say = @:
else
Q := @
say = @printf '  %-7s %s\n'
endif

# --- sources -------------------------------------------------------------------------------------

version_part = $(shell sed -n 's/^.define  *STELE_VERSION_$(1)  *\([0-9][0-9]*\).*/\1/p' \
                       include/stele/version.h)
VERSION_MAJOR := $(call version_part,MAJOR)
VERSION := $(VERSION_MAJOR).$(call version_part,MINOR).$(call version_part,PATCH)

PUBLIC_HEADERS := $(sort $(wildcard include/stele/*.h))
INTERNAL_HEADERS := $(sort $(wildcard src/*/*.h))
LIB_SOURCES := $(sort $(wildcard src/*/*.c))
TOOL_SOURCES := $(sort $(wildcard tools/stele/*.c))
# Examples and tests of what --lib loads.
EXAMPLE_PLUGIN_SOURCES := $(sort $(wildcard examples/*_plugin.c))
TEST_PLUGIN_SOURCES := $(sort $(wildcard tests/plugin_*.c))
EXAMPLE_SOURCES := $(filter-out $(EXAMPLE_PLUGIN_SOURCES),$(sort $(wildcard examples/*.c)))
SAMPLE_SOURCES := $(sort $(wildcard docs/samples/*.c))
BENCH_SOURCES := $(sort $(wildcard bench/*.c))
TEST_SOURCES := $(sort $(wildcard tests/test_*.c))
# What the tests of power cuts share.
CRASH_SOURCES := $(sort $(wildcard tests/crash/*.c))
FUZZ_SOURCES := $(sort $(wildcard tests/fuzz/*.c))
HELPER_SOURCES := $(sort $(filter-out $(TEST_SOURCES) $(TEST_PLUGIN_SOURCES) tests/support.c, \
    $(wildcard tests/*.c)))
MAN_PAGES := $(sort $(wildcard docs/man/*.[1-8]))

# The events of an example may be a file of their own.
EXAMPLE_SOURCES := $(filter-out %_events.c,$(EXAMPLE_SOURCES))

files_with = $(if $(2),$(shell grep -lE '$(1)' $(2)))
includes = $(call files_with,^ *. *include *[<"]($(1)),$(2))

# A test that keeps to the public headers also runs against the amalgamation.
# Those of the tool, and of the fuzzing targets, run the same programs either way.
OUTSIDER_TESTS := $(filter-out $(call includes,[a-z]+/[a-z_]+[.][ch]",$(TEST_SOURCES)) tests/test_cli% \
    tests/test_fuzz%,$(TEST_SOURCES))
THREADED_TESTS := $(call files_with,pthread,$(TEST_SOURCES))

comma := ,

# --- flags ---------------------------------------------------------------------------------------

# Worked out when first used, then remembered: `make help` asks nobody anything.
once = $(eval $(1) := $(2))$($(1))
pkg = $(if $(strip $(2)),$(shell $(PKG_CONFIG) $(1) $(2)))
SQLITE_CFLAGS = $(call once,SQLITE_CFLAGS,$(call pkg,--cflags,sqlite3))
SQLITE_LIBS = $(call once,SQLITE_LIBS,$(call pkg,--libs,sqlite3))
XXHASH_CFLAGS = $(call once,XXHASH_CFLAGS,$(call pkg,--cflags,libxxhash))
CHECK_CFLAGS = $(call once,CHECK_CFLAGS,$(call pkg,--cflags,check))
CHECK_LIBS = $(call once,CHECK_LIBS,$(call pkg,--libs,check))
CODEC_CFLAGS = $(call once,CODEC_CFLAGS,$(call pkg,--cflags,$(call codecs_of,$(NAMING_CODECS))))
CODEC_LIBS = $(call once,CODEC_LIBS,$(call pkg,--libs,$(call codecs_of,$(NAMING_CODECS))))

# cJSON and libcbor are linked, and named in stele.pc, only when a source includes their header.
codecs_of = $(if $(call includes,(cjson/)?cJSON[.]h>,$(1)),libcjson) \
            $(if $(call includes,cbor([.]h|/.*)>,$(1)),libcbor)
NAMING_CODECS = $(LIB_SOURCES) $(TOOL_SOURCES) $(EXAMPLE_SOURCES) $(SAMPLE_SOURCES) \
                $(BENCH_SOURCES) $(TEST_SOURCES) $(CRASH_SOURCES) $(HELPER_SOURCES) $(FUZZ_SOURCES)
REQUIRES_PRIVATE = $(strip sqlite3 $(call codecs_of,$(LIB_SOURCES)))

WARNINGS := -Wall -Wextra -Wpedantic -Wformat=2 -Wconversion -Wsign-conversion -Wshadow \
            -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef $(if $(WERROR),-Werror)

# Those of the given options that this compiler takes, tried one at a time.
probe = $(shell for option in $(1); do \
    echo 'int main(void) { return 0; }' | \
    $(CC) -Werror $$option -x c -o /dev/null - 2>/dev/null && echo "$$option"; done)
HARDEN_CFLAGS := -fstack-protector-strong -fstack-clash-protection -fcf-protection=full \
                 -ftrivial-auto-var-init=zero -fzero-call-used-regs=used-gpr
HARDEN_LDFLAGS := -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack
OPTIMIZED := $(filter -O1 -O2 -O3 -Os,$(CFLAGS))

# SANITIZE=address,undefined builds for that instead of for use.
ifeq ($(SANITIZE),)
MODE_CPPFLAGS := $(if $(OPTIMIZED),-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
MODE_CFLAGS = $(call once,MODE_CFLAGS,$(call probe,$(HARDEN_CFLAGS) -fno-semantic-interposition))
MODE_LDFLAGS = $(call once,MODE_LDFLAGS,$(call probe,$(HARDEN_LDFLAGS)))
else
MODE_CPPFLAGS :=
MODE_CFLAGS := -fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer
MODE_LDFLAGS := -fsanitize=$(SANITIZE)
endif

STELE_CPPFLAGS = -Iinclude -D_POSIX_C_SOURCE=200809L $(MODE_CPPFLAGS)
STELE_CFLAGS = -std=c11 -pthread -fPIC -fvisibility=hidden -ffile-prefix-map=$(CURDIR)=. \
               $(WARNINGS) $(MODE_CFLAGS)
STELE_LDFLAGS = -pthread -Wl,--as-needed $(MODE_LDFLAGS)
LIBS = $(CODEC_LIBS) $(SQLITE_LIBS)

COMPILE = $(CC) $(STELE_CPPFLAGS) $(AREA_CPPFLAGS) $(CPPFLAGS) $(STELE_CFLAGS) $(CFLAGS) $(AREA_CFLAGS) \
          -MMD -MP
LINK = $(CC) $(STELE_CFLAGS) $(CFLAGS) $(STELE_LDFLAGS) $(LDFLAGS)

# --- the library ---------------------------------------------------------------------------------

STATIC_LIB := $(O)/libstele.a
SONAME := libstele.so.$(VERSION_MAJOR)
SHARED_FILE := libstele.so.$(VERSION)
SHARED_LIB := $(O)/libstele.so
TOOL := $(if $(TOOL_SOURCES),$(O)/stele)
AMALGAMATION := $(O)/stele.c $(O)/stele.h

object = $(patsubst %.c,$(O)/obj/%.o,$(1))
programs_in = $(patsubst $(1)/%.c,$(O)/$(2)/%,$(3))
EXAMPLES := $(call programs_in,examples,examples,$(EXAMPLE_SOURCES)) \
            $(patsubst examples/%_plugin.c,$(O)/examples/%.so,$(EXAMPLE_PLUGIN_SOURCES))
SAMPLES := $(call programs_in,docs/samples,samples,$(SAMPLE_SOURCES))
BENCH := $(if $(BENCH_SOURCES),$(O)/bench/bench)
TESTS := $(call programs_in,tests,tests,$(TEST_SOURCES))
HELPERS := $(call programs_in,tests,tests,$(HELPER_SOURCES))
# Those by themselves, and linked with the library, which the tool then has twice.
ALONE_PLUGINS := $(patsubst tests/%.c,$(O)/tests/%.so,$(TEST_PLUGIN_SOURCES))
LINKED_PLUGINS := $(patsubst tests/%.c,$(O)/tests/%_linked.so,$(TEST_PLUGIN_SOURCES))
AMALGAMATION_TESTS := $(call programs_in,tests,tests/amalgamation,$(OUTSIDER_TESTS))
TSAN_TESTS := $(call programs_in,tests,tests,$(THREADED_TESTS))

# A target of fuzzing is a program twice: for libFuzzer, and with a main() that replays files. The
# control is the first target again, with planted bugs.
FUZZ_TARGETS := $(patsubst tests/fuzz/fuzz_%.c,%,$(filter tests/fuzz/fuzz_%,$(FUZZ_SOURCES)))
FUZZ_SHARED := $(filter-out tests/fuzz/fuzz_% tests/fuzz/standalone.c,$(FUZZ_SOURCES))
FUZZERS := $(patsubst %,$(O)/fuzz_%,$(FUZZ_TARGETS) control)
REPLAYS := $(patsubst %,$(O)/tests/fuzz/%,$(FUZZ_TARGETS) control)
CORPUS := $(O)/tests/fuzz/corpus/made

all: $(STATIC_LIB) $(SHARED_LIB) $(TOOL) $(AMALGAMATION) $(O)/stele.pc

programs: all $(EXAMPLES) $(SAMPLES) $(BENCH)
tests: $(TESTS) $(HELPERS) $(ALONE_PLUGINS) $(LINKED_PLUGINS) $(REPLAYS) $(CORPUS) \
       $(O)/tests/loan_figures

$(O)/obj/src/%.o: private AREA_CPPFLAGS = -Isrc $(SQLITE_CFLAGS) $(CODEC_CFLAGS) $(XXHASH_CFLAGS)
$(O)/obj/tools/%.o: private AREA_CPPFLAGS = $(CODEC_CFLAGS)
$(O)/obj/examples/%.o: private AREA_CPPFLAGS = $(SQLITE_CFLAGS) $(CODEC_CFLAGS)
$(O)/obj/docs/%.o: private AREA_CPPFLAGS = $(SQLITE_CFLAGS) $(CODEC_CFLAGS) $(XXHASH_CFLAGS)
$(O)/obj/bench/case_frames.o: private AREA_CPPFLAGS = -Isrc $(SQLITE_CFLAGS)
$(O)/obj/bench/%.o: private AREA_CPPFLAGS = $(SQLITE_CFLAGS) $(CODEC_CFLAGS) $(XXHASH_CFLAGS)
$(O)/obj/tests/%.o: private AREA_CPPFLAGS = -Isrc -Itests $(CHECK_CFLAGS) $(SQLITE_CFLAGS) $(CODEC_CFLAGS) \
                                            $(XXHASH_CFLAGS)
# What tests is compiled four times and runs for moments: it is the library that is optimized.
$(O)/obj/tests/%.o: private AREA_CFLAGS = -U_FORTIFY_SOURCE -O0
$(O)/obj/tests/fuzz/%.o: private AREA_CPPFLAGS = $(CODEC_CFLAGS)
$(O)/obj/tests/fuzz/%.o: private AREA_CFLAGS =
$(O)/obj/tests/crash/%.o: private AREA_CFLAGS =
$(O)/obj/tests/fuzz/control.o: private AREA_CPPFLAGS = -DSTELE_FUZZ_CONTROL

$(O)/obj/%.o: %.c $(O)/flags
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(COMPILE) -c -o $@ $<

# Other flags make other objects: this file changes when they do.
$(O)/flags: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(subst ','\'',$(COMPILE) | $(LINK) | $(CODEC_LIBS))' >$@.new; \
	if cmp -s $@.new $@; then rm -f $@.new; else mv $@.new $@; fi

$(STATIC_LIB): $(call object,$(LIB_SOURCES))
	$(say) AR $@
	$(Q)rm -f $@
	$(Q)$(AR) rcsD $@ $^

$(O)/$(SHARED_FILE): $(call object,$(LIB_SOURCES)) stele.map
	$(say) LINK $@
	$(Q)$(LINK) -shared -Wl,-soname,$(SONAME) -Wl,--version-script=stele.map -Wl,-z,defs \
	    -o $@ $(filter %.o,$^) $(LIBS)

$(SHARED_LIB): $(O)/$(SHARED_FILE)
	$(Q)ln -sf $(SHARED_FILE) $(O)/$(SONAME)
	$(Q)ln -sf $(SONAME) $@

$(O)/stele.pc: stele.pc.in include/stele/version.h FORCE
	@mkdir -p $(@D)
	@sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|' \
	    -e 's|@LIBDIR@|$(patsubst $(PREFIX)/%,$${prefix}/%,$(LIBDIR))|' \
	    -e 's|@INCLUDEDIR@|$(patsubst $(PREFIX)/%,$${prefix}/%,$(INCLUDEDIR))|' \
	    -e 's|@REQUIRES_PRIVATE@|$(REQUIRES_PRIVATE)|' $< >$@

# All that is compiled, and what is exported; no program.
objects: $(SHARED_LIB) $(O)/obj/amalgamation.o $(call object,$(TOOL_SOURCES) $(wildcard examples/*.c) \
         $(SAMPLE_SOURCES) $(BENCH_SOURCES) $(wildcard tests/*.c) $(CRASH_SOURCES) $(FUZZ_SOURCES))

amalgamation: $(AMALGAMATION)

$(O)/stele.c: scripts/amalgamate.sh include/stele.h $(PUBLIC_HEADERS) $(INTERNAL_HEADERS) $(LIB_SOURCES)
	@mkdir -p $(@D)
	$(say) JOIN $@
	$(Q)scripts/amalgamate.sh $(O)

$(O)/stele.h: $(O)/stele.c ;

# On its own: no include path, no macro from here.
$(O)/obj/amalgamation.o: $(AMALGAMATION) $(O)/flags
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(CC) $(MODE_CPPFLAGS) $(SQLITE_CFLAGS) $(CODEC_CFLAGS) $(XXHASH_CFLAGS) $(CPPFLAGS) \
	    $(STELE_CFLAGS) $(CFLAGS) -c -o $@ $<

# --- programs ------------------------------------------------------------------------------------

define link_program
	@mkdir -p $(@D)
	$(say) LINK $@
	$(Q)$(LINK) -pie -o $@ $(filter %.o,$^) $(filter %.a,$^) $(EXTRA_LIBS) $(LIBS)
endef

# The whole library, with its functions in view: what --lib loads calls them.
$(O)/stele: $(call object,$(TOOL_SOURCES)) $(STATIC_LIB)
	@mkdir -p $(@D)
	$(say) LINK $@
	$(Q)$(LINK) -pie -rdynamic -o $@ $(filter %.o,$^) -Wl,--whole-archive $(filter %.a,$^) \
	    -Wl,--no-whole-archive $(LIBS) -ldl

$(O)/examples/%: $(O)/obj/examples/%.o $(STATIC_LIB)
	$(link_program)

$(O)/examples/loan_desk $(O)/examples/projection_worker: $(O)/obj/examples/loan_events.o
$(O)/examples/bank_account: $(O)/obj/examples/bank_account_events.o

$(O)/samples/%: $(O)/obj/docs/samples/%.o $(STATIC_LIB)
	$(link_program)

$(O)/bench/bench: $(call object,$(BENCH_SOURCES)) $(STATIC_LIB)
	$(link_program)

$(TESTS) $(AMALGAMATION_TESTS): EXTRA_LIBS = $(CHECK_LIBS)

$(TESTS): $(O)/tests/%: $(O)/obj/tests/%.o $(O)/obj/tests/support.o $(STATIC_LIB)
	$(link_program)

# What the recorder of power cuts is told of.
CRASH_CALLS := open __open_2 open64 close fsync fdatasync write pwrite ftruncate unlink rename link mkdir rmdir \
               getrandom clock_gettime
CRASH_TESTS := $(filter $(O)/tests/test_crash%,$(TESTS))
$(CRASH_TESTS): $(call object,$(CRASH_SOURCES))
$(CRASH_TESTS): EXTRA_LIBS = $(CHECK_LIBS) $(addprefix -Wl$(comma)--wrap=,$(CRASH_CALLS))

# They test what the example is made of.
$(O)/tests/test_bank_decider $(O)/tests/amalgamation/test_bank_decider: \
    $(O)/obj/examples/bank_account_events.o

# Figures that are counted by other means than ours.
$(O)/tests/loan_figures: tests/loan_figures.sh
	@mkdir -p $(@D)
	$(say) COPY $@
	$(Q)cp $< $@

$(HELPERS): $(O)/tests/%: $(O)/obj/tests/%.o $(STATIC_LIB)
	$(link_program)

define link_plugin
	@mkdir -p $(@D)
	$(say) LINK $@
	$(Q)$(LINK) -shared -o $@ $(filter %.o,$^) $(PLUGIN_LIBS)
endef

$(O)/examples/%.so: $(O)/obj/examples/%_plugin.o
	$(link_plugin)

$(ALONE_PLUGINS): $(O)/tests/%.so: $(O)/obj/tests/%.o
	$(link_plugin)

$(LINKED_PLUGINS): PLUGIN_LIBS = -L$(O) -lstele -Wl,-rpath,'$$ORIGIN/..'
$(LINKED_PLUGINS): $(O)/tests/%_linked.so: $(O)/obj/tests/%.o $(SHARED_LIB)
	$(link_plugin)

$(O)/obj/tests/fuzz/control.o: tests/fuzz/fuzz_json_gate.c $(O)/flags
	@mkdir -p $(@D)
	$(say) CC '$< with planted bugs'
	$(Q)$(COMPILE) -c -o $@ $<

$(REPLAYS) $(FUZZERS): $(call object,$(FUZZ_SHARED)) $(STATIC_LIB)

$(patsubst %,$(O)/tests/fuzz/%,$(FUZZ_TARGETS)): $(O)/tests/fuzz/%: $(O)/obj/tests/fuzz/fuzz_%.o
$(O)/tests/fuzz/control: $(O)/obj/tests/fuzz/control.o
$(REPLAYS): $(O)/obj/tests/fuzz/standalone.o
	$(link_program)

$(patsubst %,$(O)/fuzz_%,$(FUZZ_TARGETS)): $(O)/fuzz_%: $(O)/obj/tests/fuzz/fuzz_%.o
$(O)/fuzz_control: $(O)/obj/tests/fuzz/control.o
$(FUZZERS): EXTRA_LIBS = -fsanitize=fuzzer
$(FUZZERS):
	$(link_program)

$(CORPUS): $(sort $(wildcard tests/fuzz/corpus*.sh))
	@mkdir -p $(@D)
	$(say) SEED $(@D)
	$(Q)tests/fuzz/corpus.sh $(@D)
	$(Q)touch $@

$(AMALGAMATION_TESTS): $(O)/tests/amalgamation/%: $(O)/obj/tests/%.o $(O)/obj/tests/support.o \
                       $(O)/obj/amalgamation.o
	$(link_program)

# --- testing -------------------------------------------------------------------------------------

check: programs tests $(AMALGAMATION_TESTS)
	@scripts/check.sh --also 'scripts/layers.sh' --also 'scripts/layers.sh --self-test' \
	    --also 'scripts/samples.sh' --also 'scripts/samples.sh --self-test' \
	    --also 'scripts/refusals.sh $(CC)' \
	    $(O) $(TESTS) $(AMALGAMATION_TESTS)

ifeq ($(SANITIZE),)
sanitize:
	@$(MAKE) O=$(O)/asan SANITIZE=address,undefined,float-cast-overflow CFLAGS='-O1 -g' sanitize
tsan:
	@$(MAKE) O=$(O)/tsan SANITIZE=thread CFLAGS='-O1 -g' tsan
# libFuzzer is clang's.
FUZZ_CC ?= clang
fuzz:
	@scripts/fuzz.sh --needs $(FUZZ_CC)
	@$(MAKE) O=$(O)/fuzz CC=$(FUZZ_CC) SANITIZE=fuzzer-no-link$(comma)address$(comma)undefined \
	    CFLAGS='-O1 -g' fuzz
else
fuzz: $(FUZZERS) $(CORPUS)
	@scripts/fuzz.sh --control $(O)
	@scripts/fuzz.sh $(O) $(FUZZ_TARGETS)
sanitize: $(STATIC_LIB) $(TOOL) $(EXAMPLES) tests
	@CK_FORK=no ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1 \
	    UBSAN_OPTIONS=print_stacktrace=1 STELE_CUTS=$${STELE_CUTS:-40} scripts/check.sh $(O) $(TESTS)
tsan: $(STATIC_LIB) $(TOOL) $(EXAMPLES) $(HELPERS) $(TSAN_TESTS)
	@CK_FORK=no TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1 \
	    STELE_CUTS=$${STELE_CUTS:-40} \
	    scripts/check.sh --fixed-addresses $(O) $(TSAN_TESTS)
endif

lint:
	@MAKE='$(MAKE)' scripts/lint.sh $(O)/lint

format:
	@scripts/c-files.sh | xargs -r clang-format -i

bench-programs: $(BENCH)

bench: bench-programs
	@$(O)/bench/bench $(BENCH_ARGS)

demo-programs: $(O)/examples/loan_desk $(O)/tests/loan_log $(O)/examples/bank_account

# Standard output belongs to the program: with OUT=json it is one JSON line.
demo:
	@$(MAKE) demo-programs >&2
	@DATA='$(subst ','\'',$(DATA))' OUT='$(OUT)' scripts/demo.sh $(O)

# --- installing ----------------------------------------------------------------------------------

install: all
	$(Q)mkdir -p '$(DESTDIR)$(BINDIR)' '$(DESTDIR)$(LIBDIR)' '$(DESTDIR)$(PKGCONFIGDIR)' \
	    '$(DESTDIR)$(INCLUDEDIR)/stele'
	$(Q)$(if $(TOOL),$(INSTALL) -m 755 $(TOOL) '$(DESTDIR)$(BINDIR)/stele')
	$(Q)$(INSTALL) -m 644 $(STATIC_LIB) '$(DESTDIR)$(LIBDIR)'
	$(Q)$(INSTALL) -m 755 $(O)/$(SHARED_FILE) '$(DESTDIR)$(LIBDIR)'
	$(Q)ln -sf $(SHARED_FILE) '$(DESTDIR)$(LIBDIR)/$(SONAME)'
	$(Q)ln -sf $(SONAME) '$(DESTDIR)$(LIBDIR)/libstele.so'
	$(Q)$(INSTALL) -m 644 $(O)/stele.pc '$(DESTDIR)$(PKGCONFIGDIR)'
	$(Q)$(INSTALL) -m 644 include/stele.h '$(DESTDIR)$(INCLUDEDIR)'
	$(Q)$(INSTALL) -m 644 $(PUBLIC_HEADERS) '$(DESTDIR)$(INCLUDEDIR)/stele'
	$(Q)for page in $(MAN_PAGES); do \
	    section='$(DESTDIR)$(MANDIR)/man'$${page##*.}; \
	    mkdir -p "$$section" && $(INSTALL) -m 644 $$page "$$section" || exit 1; done

uninstall:
	$(Q)rm -f '$(DESTDIR)$(BINDIR)/stele' '$(DESTDIR)$(PKGCONFIGDIR)/stele.pc' \
	    '$(DESTDIR)$(INCLUDEDIR)/stele.h'
	$(Q)cd '$(DESTDIR)$(LIBDIR)' 2>/dev/null && \
	    rm -f libstele.a libstele.so $(SONAME) $(SHARED_FILE) || :
	$(Q)cd '$(DESTDIR)$(INCLUDEDIR)/stele' 2>/dev/null && rm -f $(notdir $(PUBLIC_HEADERS)) && \
	    cd .. && rmdir stele || :
	$(Q)for page in $(MAN_PAGES); do \
	    rm -f '$(DESTDIR)$(MANDIR)/man'$${page##*.}/$${page##*/}; done

clean:
	rm -rf $(O)

-include $(shell find $(O)/obj -name '*.d' 2>/dev/null)

endif

help:
	@echo 'make               the library, the tool and the amalgamation, in $(O)/'
	@echo 'make check         build everything and run the tests'
	@echo 'make sanitize      run the tests with the address and undefined behaviour sanitizers'
	@echo 'make tsan          run the threaded tests with the thread sanitizer'
	@echo 'make fuzz          feed the gates and decoders with mutated bytes; STELE_EFFORT=long for half an hour'
	@echo 'make lint          check style, headers, exports and sizes, and build without warnings'
	@echo 'make format        put all C files into the house style'
	@echo 'make bench         measure; BENCH_ARGS=... are passed on'
	@echo 'make demo          run the loan desk; DATA=FILE.jsonl[.gz] on that log, OUT=json for one line'
	@echo 'make deps          install what building and testing need (deps-dev: also what lint needs)'
	@echo 'make install       to $$(DESTDIR)$$(PREFIX); uninstall takes it away again'
	@echo 'make amalgamation  the library as two files: $(O)/stele.c and $(O)/stele.h'
	@echo 'make clean         remove $(O)/'
	@echo
	@echo 'Honoured: CC CFLAGS CPPFLAGS LDFLAGS AR PKG_CONFIG CROSS_COMPILE PREFIX BINDIR LIBDIR'
	@echo 'INCLUDEDIR MANDIR DESTDIR O=DIR V=1 WERROR=1'
