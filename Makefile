# Two targets to know: `make demo` renders the example cluster, `make test` runs the tests. Both set up what they need.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
SET_UP := .venv/.set-up
ARGS ?=

.PHONY: help docs demo test unit boot-test soak oracle facts dev check lint golden dist bench bench-boot bench-image components boot-components
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

$(SET_UP): pyproject.toml scripts/setup
	@PYTHON=$(PYTHON) scripts/setup

dev: $(SET_UP) ## create .venv with kgen (editable) and its development tools

demo: $(SET_UP) ## render examples/prod.yaml and say where to look
	@$(BIN)/kgen render examples/prod.yaml
	@echo
	@echo "look at:  outputs/prod/nodes/m1/ has every file m1 will receive; outputs/prod/user-data/m1.yaml is its document"
	@echo "try it:   $(BIN)/kgen init && $(BIN)/kgen render cluster.yaml"

components: $(SET_UP) ## build the real programs the tests run against (cached outside the checkout)
	@scripts/system-packages ip=iproute2 unshare=util-linux openssl=openssl isoinfo=genisoimage dnsmasq=dnsmasq-base blkid=util-linux chromium=chromium update-ca-certificates=ca-certificates virt-install=virtinst virsh=libvirt-clients xmllint=libxml2-utils
	@$(BIN)/python -m tests.components

unit: $(SET_UP) ## the tests that start no real programs, on two cores (three to six minutes; ARGS=... for pytest)
	@$(BIN)/pytest -n 2 -m "not real and not control_plane and not soak" $(ARGS)

test: components unit ## all tests, against real kubeadm, etcd, control plane and cloud-init (ARGS=... for pytest)
	@$(BIN)/pytest -n 2 --dist loadfile -m "(real or control_plane) and not soak" $(ARGS)

boot-components: $(SET_UP)
	@scripts/system-packages qemu-system-x86_64=qemu-system-x86 qemu-img=qemu-utils isoinfo=genisoimage \
	  mmdebstrap=mmdebstrap mke2fs=e2fsprogs ssh-keygen=openssh-client ip=iproute2 unshare=util-linux dnsmasq=dnsmasq-base

boot-test: boot-components ## images made by the recipe, and whole machines under QEMU, from power-on to Ready and through failures (root; 20 to 45 minutes)
	@$(BIN)/python -m tests.components boot
	@$(BIN)/pytest -n 2 --dist loadgroup $(ARGS) tests/bake
	@KGEN_BOOT_SEED=$${KGEN_BOOT_SEED:-282} $(BIN)/pytest $(ARGS) tests/boot

soak: boot-components ## the boot tests in their long form, and the records of the older kubeadms (hours)
	@$(BIN)/python -m tests.components soak
	@$(BIN)/pytest -m soak $(ARGS) tests/oracle tests/facts tests/control_plane
	@$(BIN)/pytest -m "soak or not soak" $(ARGS) tests/bake tests/boot

oracle: $(SET_UP) ## record again what the older kubeadms answer; review the diff of tests/oracle/records
	@$(BIN)/python -m tests.components oracle
	@$(BIN)/python -m tests.oracle.records

facts: $(SET_UP) ## write again what the programs of each minor take (flags, gates, types); review the diff of kgen/facts/tables
	@$(BIN)/python -m tests.facts.tables $(ARGS)

lint: $(SET_UP) ## format, lint, types, import contracts
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

check: lint test ## lint and test: what CI runs before it builds the packages

golden: $(SET_UP) ## rewrite tests/golden from the current output; review the diff
	@$(BIN)/pytest --update-golden $(ARGS) tests/unit

docs: $(SET_UP) ## build the documentation as a site into site/; a broken link fails
	@$(BIN)/python -m mkdocs build --quiet $(ARGS)
	@echo "open site/index.html; its search needs a web server: $(BIN)/python -m http.server --bind 127.0.0.1 --directory site"

dist: $(SET_UP) ## build sdist and wheel into dist/
	@rm -rf dist
	@$(BIN)/python -m build --outdir dist .

bench-boot: boot-components ## power-on to Ready beside kubeadm, three runs of each in turn (root, idle machine; an hour)
	@$(BIN)/python -m tests.components boot
	@$(BIN)/python -m bench.boot $(ARGS)

bench-image: boot-components ## power-on to Ready with and without runner and container images in the image (root, idle machine; 40 minutes)
	@$(BIN)/python -m tests.components boot
	@$(BIN)/python -m bench.image $(ARGS)

bench: components ## measure renders and document sizes side by side with kubeadm (ARGS=... for bench)
	@$(BIN)/python -m bench $(ARGS)
