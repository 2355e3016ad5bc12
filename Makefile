# What each target does is said by `make help`.
.DEFAULT_GOAL := help
.PHONY: help setup build run test check lint format acceptance
.PHONY: bench bench-cache bench-crowd bench-large bench-origin bench-phases bench-policies bench-soak bench-torrent
.PHONY: figures demo-torrent

# One configuration for running and testing, so that one build serves both: the tests need no testable imports, which
# would compile everything a second time.
CONFIGURATION ?= release
SWIFT_FLAGS := -c $(CONFIGURATION) --explicit-target-dependency-import-check error
TEST_FLAGS := $(SWIFT_FLAGS) --disable-testable-imports
# Tests at a time. With a thousand, all waiting on two cores, more than 1365 descriptors are open now and then, and
# Foundation's Process.run() reads beyond the list of them.
export SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH ?= 64
CONFIG ?= config.toml
SWIFT_FOLDERS := Package.swift Sources Tests

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Installs the packages the build needs, or says which
	@scripts/setup.sh

build: setup ## Builds the gateway
	swift build $(SWIFT_FLAGS) --product media-gateway

run: build ## Builds, puts sample media in place if there is none, and serves
	@scripts/sample-media.sh media
	.build/$(CONFIGURATION)/media-gateway serve --config $(CONFIG)

test: setup ## Builds and passes every test
	swift test $(TEST_FLAGS)

lint: ## The format of all Swift code
	swift format lint --strict --recursive --parallel $(SWIFT_FOLDERS)

format: ## Formats all Swift code
	swift format --in-place --recursive --parallel $(SWIFT_FOLDERS)

check: lint test ## What CI runs

acceptance: build ## Every promise at full counts, with PASS or FAIL and the figure for each
	python3 Tests/Acceptance/run.py
	CONFIG_FUZZ_ITERATIONS=1000000 swift test $(TEST_FLAGS) --filter ConfigTests.FuzzTests

bench: build ## CPU and memory beside nginx, and cached ranges beside five servers
	python3 Benchmarks/bench.py
	python3 Benchmarks/hot.py

bench-cache: build ## What the cache costs where it does not hit, and half an hour of what it takes
	python3 Benchmarks/cache.py

bench-crowd: build ## A thousand players beside nginx slice; slow and idle clients beside others
	python3 Benchmarks/crowd.py

bench-large: build ## A million chunks, puts, eviction, a cache larger than memory, and a day of traffic
	python3 Benchmarks/large.py

demo-torrent: build ## Plays from a swarm on this machine, ends the swarm, plays again: nothing comes from peers
	python3 scripts/demo-torrent.py

bench-origin: build ## The http source beside nginx slice on the same origin
	python3 Benchmarks/origin.py

bench-torrent: build ## Torrents beside bare libtorrent, and the metadata phase of the load report beside Express and aria2
	python3 Benchmarks/torrent.py
	python3 Benchmarks/load_report.py

bench-phases: build ## The phases of the load report that ask /ping and watch films, beside Node and Express
	python3 Benchmarks/phases.py

bench-policies: ## Hit ratios of the cache's policies beside libCacheSim's, on synthetic video
	python3 Benchmarks/policies.py

figures: build ## Every figure of docs/performance.md, with tables and plots, into the folder figures
	python3 Benchmarks/figures.py

bench-soak: build ## Half an hour of mixed load with eviction and failing sources: memory, descriptors, leases, bytes
	python3 Benchmarks/soak.py
