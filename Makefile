# The doors of the project. Each target is one script in tools/, so that everything works without make as well.

.PHONY: help run test test-long check bench bench-full bench-micro package

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## build everything and start Ringhall with demo users on http://127.0.0.1:8080
	@tools/run

test: ## install what the tests need and run all of them (ONLY=web, rust, fuzz, browser or independent runs one part)
	@tools/test

test-long: ## what takes too long for every change: ten minutes of fuzzing for each target
	@tools/test-long

check: ## formatting, lints, types, licences, direction of dependencies
	@tools/check

bench: ## measure and print what docs/benchmarks.md records
	@tools/bench

bench-micro: ## time and count instructions of single operations, and compare with the run before
	@tools/bench-micro

bench-full: ## the long set, five rounds, beside the bare forwarder
	@SET=full ROUNDS=5 tools/bench

package: ## build a Debian package, target/debian/ringhall_*.deb
	@tools/package
