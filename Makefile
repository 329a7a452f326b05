# The short way in; meson and ninja do the work. `make help` tells.
BUILD ?= build
ASAN_BUILD ?= build-asan
DESTDIR ?=
PREFIX ?= /usr

PACKAGES = gcc pkg-config meson ninja-build librados-dev librbd-dev libisal-dev libmicrohttpd-dev \
	libgnutls28-dev libjansson-dev libcurl4-openssl-dev libedit-dev libyaml-dev libssl-dev libcmocka-dev \
	python3
TEST_PACKAGES = nftables libiscsi-bin qemu-utils qemu-block-extra qemu-system-x86 ipxe-qemu fio iproute2 tmux curl openssl groff-base procps
LINT_PACKAGES = clang-format clang-tidy

.DEFAULT_GOAL := build
.PHONY: help build deps test-deps run check bench soak format lint install clean

help:
	@echo 'make            build the programs into $(BUILD)/'
	@echo 'make deps       install the Debian packages that are missing (says which first)'
	@echo 'make run        a gateway on this machine, with a disk, without Ceph'
	@echo 'make check      all tests; the last line counts them'
	@echo 'make bench      speed, as ratios within one run'
	@echo 'make soak       the long tests'
	@echo 'make format     format the sources; make lint checks them'
	@echo 'make install    install (DESTDIR=, PREFIX=/usr)'

$(BUILD)/build.ninja:
	@meson setup $(BUILD) --prefix $(PREFIX) --buildtype debugoptimized $(MESON_FLAGS) >/dev/null

build: $(BUILD)/build.ninja
	@ninja -C $(BUILD) $(NINJA_FLAGS)

deps:
	@tools/install-packages $(PACKAGES)

test-deps:
	@tools/install-packages $(PACKAGES) $(TEST_PACKAGES)

run:
	@tools/install-packages $(PACKAGES)
	@test -e $(BUILD)/src/programs/gwcli || echo 'building into $(BUILD)/'
	@$(MAKE) -s $(BUILD)/build.ninja
	@said=$$(ninja -C $(BUILD) --quiet programs 2>&1) || { echo "$$said"; exit 1; }
	@exec tools/run $(BUILD)

check: test-deps
	@tests/check $(BUILD) $(ASAN_BUILD)

bench: test-deps build
	@bench/run $(BUILD)

soak: test-deps
	@tests/check --soak $(BUILD) $(ASAN_BUILD)

format:
	@git ls-files -- '*.c' '*.h' | xargs clang-format -i

lint: build
	@tools/install-packages $(LINT_PACKAGES)
	@tools/lint $(BUILD)

install: build
	@DESTDIR=$(DESTDIR) meson install -C $(BUILD) --no-rebuild

clean:
	rm -rf $(BUILD) $(ASAN_BUILD)
