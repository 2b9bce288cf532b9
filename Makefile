# Fathom: the commands a newcomer needs. Everything is built under build/<preset>.
#   make demo            install packages, build, answer questions about a long text
#   make test            build and run every test
#   make combinations    every policy line that methods of the four stages make, on a small model
#   make bench           kernel benchmarks and the machine's limits
#   make fuzz SECONDS=60 run every fuzz target for that long each
#   make sanitize        the tests under AddressSanitizer + UBSan, then ThreadSanitizer
#   make format | tidy | install | clean
# JOBS=n limits parallel compilation; PREFIX=/usr/local is where install goes.
SECONDS ?= 60
PREFIX  ?= /usr/local
# Compilers need up to 1 GiB each: never more jobs than processors.
JOBS    ?= $(shell nproc)

.PHONY: all build demo test combinations bench fuzz sanitize format tidy install clean packages dev-packages
all: build

packages:
	@tools/install-packages.sh
dev-packages:
	@tools/install-packages.sh --dev

build: packages
	@cmake --preset release
	@cmake --build --preset release -j $(JOBS)

demo: build
	@build/release/fathom demo

test: build
	@ctest --preset release -j $(JOBS)

combinations: build
	@FATHOM_ALL_COMBINATIONS=1 build/release/tests/test_engine --gtest_filter='Combinations.*'

bench: build
	@build/release/bench/fathom_bench_kernels
	@build/release/fathom bench

fuzz: dev-packages
	@cmake --preset fuzz
	@cmake --build --preset fuzz -j $(JOBS)
	@tools/run-fuzzers.sh build/fuzz/fuzz $(SECONDS)

sanitize: dev-packages
	@cmake --preset asan && cmake --build --preset asan -j $(JOBS) && ctest --preset asan -j $(JOBS)
	@cmake --preset tsan && cmake --build --preset tsan -j $(JOBS) && ctest --preset tsan -j $(JOBS)

format: dev-packages
	@git ls-files '*.h' '*.cpp' | xargs clang-format -i

tidy: dev-packages
	@cmake --preset release
	@git ls-files 'src/*.cpp' | xargs -P $(JOBS) -n 4 clang-tidy -p build/release --quiet

install: build
	@cmake --install build/release --prefix $(PREFIX)

clean:
	@rm -rf build
