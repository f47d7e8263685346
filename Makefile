# A thin front to the CMake presets. `make` lists what there is; ARGS passes arguments on: make train ARGS="--seconds 60"
.DEFAULT_GOAL := help
ARGS ?=
JOBS ?= $(shell nproc)
PRESETS := release filled debug asan tsan clang arm fuzz

# A processor from before AVX: an instruction of a newer set that leaked into shared code ends the program here.
emulated := GRADUS_EMULATED=1 qemu-x86_64 -cpu Nehalem

# Where each preset of CMakePresets.json builds.
release_dir := build
filled_dir := build-filled
debug_dir := build-debug
asan_dir := build-asan
tsan_dir := build-tsan
clang_dir := build-clang
arm_dir := build-arm
fuzz_dir := build-fuzz

.PHONY: help build train examples test check test-arm bench bench-peers bench-tokenizer filled debug asan tsan clang baseline reference correctness
.PHONY: graphs test-page view-pictures isa install-test soak docs fuzz mutants format format-check tidy tidy-changed clean setup setup-clang setup-arm setup-format
.PHONY: setup-judge setup-check setup-tidy setup-baseline setup-reference setup-peers setup-docs setup-fuzz setup-mutants setup-page setup-browser

help: ## this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 22

build: $(release_dir)/build.ninja ## build the library, programs, tests and benchmarks
	cmake --build --preset release -j $(JOBS)

train: $(release_dir)/build.ninja ## build the program gpt and train it on the bundled names
	cmake --build --preset release -j $(JOBS) --target gpt
	build/bin/gpt train $(ARGS)

examples := xor scalar_graph first_steps custom graph moons sine digits autoencoder microgpt ladder burgers sdf wgan_gp newton $(notdir $(basename $(wildcard examples/networks/*.cpp)))
examples: $(release_dir)/build.ninja ## build and run the examples; their pictures land in build/pictures
	cmake --build --preset release -j $(JOBS) --target $(examples)
	@mkdir -p build/pictures
	@set -e; cd build/pictures; for name in $(examples); do echo "== $$name"; ../bin/$$name; done

test: build ## build everything and run all tests
	ctest --preset release $(ARGS)

check: | setup-check ## run every check that fits in half an hour on two cores: CONTRIBUTING.md lists them
	$(MAKE) format-check
	$(MAKE) test
	$(MAKE) isa
	$(MAKE) filled
	$(MAKE) docs
	$(MAKE) install-test
	$(MAKE) tidy-changed

test-arm: $(arm_dir)/build.ninja ## build for 64-bit ARM and run all tests under qemu-aarch64: some 20 minutes
	cmake --build --preset arm -j $(JOBS)
	ctest --preset arm $(ARGS)

bench: $(release_dir)/build.ninja ## build and run the benchmarks
	cmake --build --preset release -j $(JOBS) --target benchmarks
	@set -e; for program in $$(find build/bin -name 'bench_*' | sort); do echo "== $$program"; $$program $(ARGS); done

bench-peers: $(release_dir)/build.ninja | setup-peers ## time gradus beside PyTorch, OpenBLAS and oneDNN and write docs/performance.md
	cmake --preset release > /dev/null # setup-peers may have brought what was not there before
	cmake --build --preset release -j $(JOBS) --target benchmarks peers
	/usr/bin/python3 benchmarks/peers/compare.py $(ARGS)

bench-tokenizer: $(release_dir)/build.ninja | setup-judge ## time byte-level BPE beside OpenAI's tiktoken: ARGS="tinyshakespeare.txt"
	cmake --build --preset release -j $(JOBS) --target bench_tokenizer
	node benchmarks/peers/tokenizer.mjs build/judge $(or $(ARGS),docs/getting-started.md docs/how-it-works.ko.md)

# OpenAI's own tokenizer, compiled for node.
setup-judge:
	@[ -d build/judge/node_modules/tiktoken ] || npm install --silent --no-audit --no-fund --prefix build/judge tiktoken@1.0.22

# Playwright without its own browsers: Debian's chromium is driven.
setup-browser: setup-page
	@[ -d build/page/node_modules/playwright-core ] || npm install --silent --no-audit --no-fund --prefix build/page playwright-core@1.49.1

# The pages of hand-made runs, and of the run of `make train`.
test-page: $(release_dir)/build.ninja | setup-browser ## open the page of gpt view in Chromium, use every view, take screenshots
	cmake --build --preset release -j $(JOBS) --target write_page gpt
	build/bin/gpt train --out build/page/names --overwrite --samples 0
	build/bin/gpt view build/page/names --json > build/page/names.json
	node tests/page/test_page.mjs build/page/names.json $(ARGS)

# RUN is the run that the pictures show: by default the one of `make train`.
RUN ?= runs/names
view-pictures: $(release_dir)/build.ninja | setup-browser ## take the pictures of docs/see-it-learn.md: RUN=runs/names
	cmake --build --preset release -j $(JOBS) --target gpt
	build/bin/gpt view $(RUN) --out build/page/view.html
	node tests/page/pictures.mjs build/page/view.html

define test_preset
	cmake --build --preset $@ -j $(JOBS)
	ctest --preset $@ $(ARGS)
endef

filled: $(filled_dir)/build.ninja ## run all tests with memory handed out filled with signalling NaNs
	$(test_preset)

debug: $(debug_dir)/build.ninja ## run all tests in a debug build
	$(test_preset)

asan: $(asan_dir)/build.ninja ## run all tests under AddressSanitizer and UndefinedBehaviorSanitizer
	$(test_preset)

tsan: $(tsan_dir)/build.ninja ## run all tests under ThreadSanitizer
	$(test_preset)

clang: $(clang_dir)/build.ninja ## run all tests in a build with clang++
	$(test_preset)

reference: $(release_dir)/build.ninja | setup-reference setup-judge ## have PyTorch and tiktoken write tests/reference/* again; git diff must then be empty
	cmake --build --preset release -j $(JOBS) --target correctness
	build/bin/correctness --rows > tests/reference/ops.json.new
	mv tests/reference/ops.json.new tests/reference/ops.json
	/usr/bin/python3 tests/reference/generate.py
	node tests/reference/tiktoken.mjs build/judge

correctness: $(release_dir)/build.ninja ## measure the errors against PyTorch and write docs/correctness.md
	cmake --build --preset release -j $(JOBS) --target correctness gpt
	{ build/bin/correctness && echo '```text' && build/bin/gpt check && echo '```'; } > docs/correctness.md.new
	mv docs/correctness.md.new docs/correctness.md

graphs: $(release_dir)/build.ninja | setup-reference ## compare random graphs, modules and optimizer programs with PyTorch: a minute or two
	cmake --build --preset release -j $(JOBS) --target graphs
	/usr/bin/python3 tests/graphs/graphs.py $(ARGS)

# `make test` runs the best set, and goes through all of them where a test is about kernels.
test_programs := core nn models examples docs reference graphs
isa: build ## run the test programs on each instruction set of the machine but the best, which `make test` runs
	@set -e; for isa in $$(build/bin/graphs --isas | tail -n +2); do echo "== $$isa"; \
	  GRADUS_ISA=$$isa ctest --preset release -R '^($(subst $() ,|,$(test_programs)))$$' $(ARGS); done

baseline: build | setup-baseline ## run the tests on an emulated processor without AVX
	@set -e; for name in core nn models reference graphs; do echo "== test_$$name"; $(emulated) build/bin/test_$$name --gtest_brief=1 $(ARGS); done

install-test: | setup-clang ## use the library from outside by every route, gcc and clang, static and shared
	tests/install/matrix build-install $(ARGS)

soak: $(release_dir)/build.ninja $(asan_dir)/build.ninja ## stop, kill and damage trainings until they are trusted: some 10 minutes
	cmake --build --preset release -j $(JOBS) --target test_models
	cmake --build --preset asan -j $(JOBS) --target test_models
	GRADUS_SOAK=1 build/bin/test_models --gtest_filter='Resume.*:Trainer.However*:Generate*.Cached*:RunFolder.Python*:Pipe.*Minute' $(ARGS)
	GRADUS_SOAK=1 $(asan_dir)/bin/test_models --gtest_filter='Checkpoint.Damage*' $(ARGS)

docs: | setup-docs ## write the API reference to build/docs/html with Doxygen; a warning is an error
	mkdir -p build/docs
	doxygen docs/Doxyfile

fuzz: $(fuzz_dir)/build.ninja ## look for input files that crash, FUZZ_SECONDS=300 for each kind
	cmake --build --preset fuzz -j $(JOBS)
	scripts/fuzz $(fuzz_dir) $(ARGS)

mutants: | setup-mutants ## break the gradients one by one and expect the tests to fail: some 40 minutes
	scripts/mutants $(ARGS)

format: | setup-format ## lay out all sources as .clang-format says
	scripts/sources | xargs -r clang-format -i

format-check: | setup-format ## fail if `make format` would change a file
	scripts/sources | xargs -r clang-format --dry-run --Werror

tidy: $(release_dir)/build.ninja | setup-tidy ## check all sources with clang-tidy
	scripts/tidy $(release_dir)

tidy-changed: $(release_dir)/build.ninja | setup-tidy ## check the sources that this branch changes, against BASE=origin/main
	scripts/tidy $(release_dir) --changed

clean: ## remove every build folder
	rm -rf $(foreach preset,$(PRESETS),$($(preset)_dir)) build-mutants build-install

# Configuring once is enough: ninja runs CMake again when a CMakeLists.txt or a folder's contents change.
define configure
$($(1)_dir)/build.ninja: CMakePresets.json | $(2)
	cmake --preset $(1)
	@touch $$@
endef
$(foreach preset,release filled debug asan tsan,$(eval $(call configure,$(preset),setup)))
$(eval $(call configure,clang,setup-clang))
$(eval $(call configure,arm,setup-arm))
$(eval $(call configure,fuzz,setup-fuzz))

setup:
	@scripts/setup build

setup-check setup-clang setup-arm setup-format setup-tidy setup-baseline setup-reference setup-peers setup-fuzz setup-mutants setup-docs setup-page: setup-%:
	@scripts/setup $*
