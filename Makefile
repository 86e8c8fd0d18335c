.PHONY: build quickstart test bench lint fuzz docs

build:            ## the program, in bin/
	CGO_ENABLED=0 go build -trimpath -o bin/kiln ./cmd/kiln

quickstart: build ## install what is needed, bake a chain of images, show them
	./test/quickstart.sh

test:             ## install what is needed, run every test
	./test/run.sh

bench: build      ## ratios against Debian's packer and plain tools
	./test/bench.sh

lint:             ## formatting, vet, staticcheck
	./test/lint.sh

fuzz:             ## each fuzz target for FUZZTIME (default 1m)
	./test/fuzz.sh

docs: build       ## renew docs/reference from the schema
	go test ./cmd/kiln -run TestReferencePages -update
