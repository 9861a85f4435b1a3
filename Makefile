# Each target does its own set-up: `make demo` and `make test` work in a fresh clone.
.PHONY: help venv demo test test-long test-istiod test-compiled image-test lint format bench bench-quick bench-mtls bench-h2 bench-size lock clean

help: ## what can be made
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Two at a time: most live tests wait. `make test PYTEST_ARGS="-n 0"` for one after another.
PYTEST = -m pytest -n 2 --dist loadgroup
PYTEST_ARGS ?=
BENCH_ARGS ?=
BENCH_MTLS_ARGS ?=
BENCH_H2_ARGS ?=
BENCH_SIZE_ARGS ?=

venv: ## the program in .venv/bin/meshproxy
	@scripts/setup.sh venv runtime

demo: ## real traffic under mutual TLS, captured, split 90/10 and counted, then 50/50 live
	@scripts/setup.sh system ip iptables setpriv $$(test "$$(id -u)" = 0 || echo newuidmap)
	@venv=$$(scripts/setup.sh venv runtime) && exec "$$venv/bin/meshproxy" demo

test: ## the whole suite; what a machine can't give is skipped with a line that says so
	@scripts/setup.sh system curl nginx haproxy h2load ip iptables nft setpriv newuidmap
	@scripts/setup.sh go h2spec grpc-interop-client grpc-interop-server
	@scripts/setup.sh node
	@venv=$$(scripts/setup.sh venv dev) && exec "$$venv/bin/python" $(PYTEST) -m "not long and not image and not istiod" $(PYTEST_ARGS)

test-long: ## the slow tests alone
	@scripts/setup.sh system curl nginx haproxy ip iptables nft setpriv newuidmap
	@venv=$$(scripts/setup.sh venv dev) && exec "$$venv/bin/python" -m pytest -m long $(PYTEST_ARGS)

test-istiod: ## random meshes beside what istiod makes of them; builds its code, minutes once
	@scripts/setup.sh system go
	@venv=$$(scripts/setup.sh venv dev) && exec "$$venv/bin/python" -m pytest -m istiod tests/differential/test_istiod.py $(PYTEST_ARGS)

image-test: ## build the container image and run it in namespaces; minutes
	@scripts/setup.sh system buildah debootstrap ip iptables setpriv
	@venv=$$(scripts/setup.sh venv dev) && exec "$$venv/bin/python" -m pytest -m image tests/image $(PYTEST_ARGS)

test-compiled: ## the tests of what runs compiled, in a compiled copy
	@scripts/setup.sh system curl nginx haproxy h2load
	@scripts/setup.sh go h2spec grpc-interop-client grpc-interop-server
	@scripts/setup.sh node
	@venv=$$(scripts/setup.sh venv dev) && cd "$$(scripts/setup.sh compiled)" && \
	exec "$$venv/bin/python" $(PYTEST) -m "not long and not istiod" $(PYTEST_ARGS) tests/live tests/differential \
	    $(addprefix tests/unit/,aio cluster export plan route serve telemetry upstream wire)

lint: ## ruff and mypy --strict
	@venv=$$(scripts/setup.sh venv dev) && \
	"$$venv/bin/ruff" check . && "$$venv/bin/ruff" format --check . && "$$venv/bin/mypy"

format: ## apply ruff's mends and formatting
	@venv=$$(scripts/setup.sh venv dev) && \
	"$$venv/bin/ruff" check --fix . ; "$$venv/bin/ruff" format .

bench: ## Envoy, HAProxy, nginx and meshproxy (compiled) side by side; TLS, HTTP/2, a large mesh
	@scripts/setup.sh system wrk nginx haproxy h2load
	@venv=$$(scripts/setup.sh venv dev) && cd "$$(scripts/setup.sh compiled)" && \
	"$$venv/bin/python" -m benchmarks.http1 $(BENCH_ARGS) && \
	"$$venv/bin/python" -m benchmarks.mtls $(BENCH_MTLS_ARGS) && \
	"$$venv/bin/python" -m benchmarks.http2 $(BENCH_H2_ARGS) && \
	exec "$$venv/bin/python" -m benchmarks.size $(BENCH_SIZE_ARGS)

bench-quick: ## the same in a minute, for before and after a change
	@scripts/setup.sh system wrk nginx
	@venv=$$(scripts/setup.sh venv dev) && cd "$$(scripts/setup.sh compiled)" && \
	exec "$$venv/bin/python" -m benchmarks.http1 --quick $(BENCH_ARGS)

bench-mtls: ## mutual TLS on both hops beside Envoy's, in a minute
	@scripts/setup.sh system wrk nginx
	@venv=$$(scripts/setup.sh venv dev) && cd "$$(scripts/setup.sh compiled)" && \
	exec "$$venv/bin/python" -m benchmarks.mtls --quick $(BENCH_MTLS_ARGS)

bench-h2: ## HTTP/2 and gRPC with mutual TLS on both hops beside Envoy's, in two minutes
	@scripts/setup.sh system h2load
	@venv=$$(scripts/setup.sh venv dev) && cd "$$(scripts/setup.sh compiled)" && \
	exec "$$venv/bin/python" -m benchmarks.http2 --quick $(BENCH_H2_ARGS)

bench-size: ## what a mesh of 1,000 services costs
	@scripts/setup.sh system wrk nginx
	@venv=$$(scripts/setup.sh venv dev) && cd "$$(scripts/setup.sh compiled)" && \
	exec "$$venv/bin/python" -m benchmarks.size $(BENCH_SIZE_ARGS)

lock: ## write the lock files anew from pyproject.toml
	@venv=$$(scripts/setup.sh venv dev) && scripts/lock.sh "$$venv"

clean: ## remove what the other targets made
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist benchmarks/results
