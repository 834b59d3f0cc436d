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
)

func main() {
	service := flag.String("service", "", "name of a service in services.go, such as events")
	models := flag.String("models", "../generate/models", "folder of the models")
	out := flag.String("out", "types_gen.go", "file to write")
	model := flag.String("import", "", "model to strip of its documentation and to print, instead")
	flag.Parse()

	if err := run(*service, *models, *out, *model); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run(service, models, out, model string) error {
	if model != "" {
		trimmed, err := trim(model)
		if err != nil {
			return err
		}
		_, err = os.Stdout.Write(trimmed)
		return err
	}
	code, err := generate(service, models)
	if err != nil {
		return err
	}
	return os.WriteFile(out, code, 0o644)
}

// generate is the source of a service's types.
func generate(name, models string) ([]byte, error) {
	s, ok := services[name]
	if !ok {
		return nil, fmt.Errorf("service %q is not in services.go", name)
	}
	m, err := readModel(filepath.Join(models, name+".json"))
	if err != nil {
		return nil, err
	}
	return write(s, m)
}
