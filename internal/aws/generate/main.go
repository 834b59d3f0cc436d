// Command generate writes the types of a service front from a service model of Amazon.
//
// A model names the operations of a service, their inputs and outputs, and the constraints on these. From it come structures that
// decode and encode themselves in every protocol and check themselves with the messages of the service; see package aws for the
// other half. What the model does not say but the wire shows, such as the order of values in a message, stands in services.go.
//
// The models in models/ are those that botocore publishes, without their documentation; NOTICE there tells their origin. To take
// over a newer one:
//
//	go run ./internal/aws/generate -import service-2.json > internal/aws/generate/models/events.json
//	go generate ./internal/aws/...
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// A command is what the arguments say.
type command struct {
	service    string // in services.go
	models     string // folder
	out        string // file
	pkg        string // empty is the service's
	operations string // empty is all
	trim       string // model to print without its documentation, instead of all that
}

func parse(args []string) (c command, err error) {
	flags := flag.NewFlagSet("generate", flag.ContinueOnError)
	flags.StringVar(&c.service, "service", "", "name of a service in services.go, such as events")
	flags.StringVar(&c.models, "models", "../generate/models", "folder of the models")
	flags.StringVar(&c.out, "out", "types_gen.go", "file to write")
	flags.StringVar(&c.pkg, "package", "", "package to write, if not that of the service")
	flags.StringVar(&c.operations, "operations", "", "operations to write, separated by commas, if not all; then without the model variable")
	flags.StringVar(&c.trim, "import", "", "model to strip of its documentation and to print, instead")
	return c, flags.Parse(args)
}

func main() {
	c, err := parse(os.Args[1:])
	if err == nil {
		err = c.run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func (c command) run() error {
	if c.trim != "" {
		trimmed, err := trim(c.trim)
		if err != nil {
			return err
		}
		_, err = os.Stdout.Write(trimmed)
		return err
	}
	code, err := generate(c.service, c.models, c.pkg, c.operations)
	if err != nil {
		return err
	}
	return os.WriteFile(c.out, code, 0o644)
}

// generate is the source of a service's types, or of those of some operations, for the service's package or another.
func generate(name, models, pkg, operations string) ([]byte, error) {
	s, ok := services[name]
	if !ok {
		return nil, fmt.Errorf("service %q is not in services.go", name)
	}
	m, err := readModel(filepath.Join(models, name+".json"))
	if err != nil {
		return nil, err
	}
	if pkg != "" {
		s.pkg = pkg
	}
	if operations != "" {
		s.part = true
		m.Operations.names = strings.Split(operations, ",")
	}
	for _, op := range m.Operations.names {
		if _, ok := m.Operations.values[op]; !ok {
			return nil, fmt.Errorf("operation %s is not in the model", op)
		}
	}
	return write(s, m)
}
