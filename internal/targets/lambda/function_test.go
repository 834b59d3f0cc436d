package lambda_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/rialto-events/rialto/target/targettest"
)

// TestMain lets the test's own binary be a function: a program of the Runtime API that uses nothing but net/http.
func TestMain(m *testing.M) {
	if mode := os.Getenv("FUNCTION_MODE"); mode != "" {
		serveFunction(mode)
		return
	}
	os.Exit(m.Run())
}

func serveFunction(mode string) {
	api := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/"
	switch mode {
	case "exits":
		fmt.Fprintln(os.Stderr, "no configuration")
		os.Exit(3)
	case "init-error":
		post(api+"init/error", "Config.Missing", `{"errorType":"Config.Missing","errorMessage":"no configuration"}`)
		select {}
	case "mute":
		select {}
	}
	for {
		resp, err := http.Get(api + "invocation/next")
		if err != nil {
			os.Exit(1)
		}
		payload, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		invocation := api + "invocation/" + resp.Header.Get("Lambda-Runtime-Aws-Request-Id") + "/"
		switch mode {
		case "works":
			record(payload)
			post(invocation+"response", "", `{"ok":true}`)
		case "partly":
			post(invocation+"response", "", failures(payload))
		case "answers": // as the configuration says
			post(invocation+"response", "", os.Getenv("ANSWER"))
		case "tells":
			told, _ := json.Marshal(map[string]any{"headers": resp.Header, "env": os.Environ(), "pid": os.Getpid(), "payload": string(payload)})
			post(invocation+"response", "", string(told))
		case "fails":
			post(invocation+"error", "Order.Invalid", `{"errorType":"Order.Invalid","errorMessage":"there is no total","stackTrace":["a","b"]}`)
		case "prints":
			fmt.Println("one")
			fmt.Fprintln(os.Stderr, "two")
			fmt.Print(strings.Repeat("x", 1<<20), "\n")
			for i := range 20_000 {
				fmt.Println("line", i)
			}
			post(invocation+"response", "", `{}`)
		case "hangs":
			select {}
		case "cuts":
			os.Exit(1)
		case "forgets": // to answer
		case "garbage":
			post(api+"invocation/not-mine/response", "", `{}`)
			select {}
		case "endless":
			r, w := io.Pipe()
			go func() {
				for chunk := bytes.Repeat([]byte("x"), 64<<10); ; {
					if _, err := w.Write(chunk); err != nil {
						return
					}
				}
			}()
			if resp, err := http.Post(invocation+"response", "application/json", r); err == nil {
				resp.Body.Close()
			}
			r.Close()
		case "child": // starts a process that would outlive it
			child := exec.Command("sleep", "1000")
			child.Stdout = os.Stdout
			if err := child.Start(); err != nil {
				panic(err)
			}
			post(invocation+"response", "", fmt.Sprintf(`{"child":%d,"parent":%d}`, child.Process.Pid, os.Getpid()))
		}
	}
}

func post(url, kind, body string) {
	req, _ := http.NewRequest("POST", url, strings.NewReader(body))
	if kind != "" {
		req.Header.Set("Lambda-Runtime-Function-Error-Type", kind)
	}
	if resp, err := http.DefaultClient.Do(req); err == nil {
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
}

// record appends a payload to the file of RECEIVED, or each element of a batch.
func record(payload []byte) {
	f, err := os.OpenFile(os.Getenv("RECEIVED"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	for _, p := range elements(payload) {
		line, _ := json.Marshal(string(p))
		f.Write(append(line, '\n'))
	}
}

// elements are those of a batch; the suite sends [] as a payload of its own.
func elements(payload []byte) [][]byte {
	var batch []json.RawMessage
	if json.Unmarshal(payload, &batch) != nil || len(batch) == 0 {
		return [][]byte{payload}
	}
	var all [][]byte
	for _, p := range batch {
		all = append(all, p)
	}
	return all
}

// failures names the events of a batch that are to be refused, as Lambda's batches do.
func failures(payload []byte) string {
	type item struct {
		ItemIdentifier string `json:"itemIdentifier"`
	}
	failed := []item{}
	for _, p := range elements(payload) {
		var event struct{ ID string }
		if json.Unmarshal(p, &event); targettest.Refused(p) {
			failed = append(failed, item{event.ID})
		}
	}
	b, _ := json.Marshal(map[string]any{"batchItemFailures": failed})
	return string(b)
}

// received are the payloads that record has kept.
func received(path string) (all [][]byte) {
	b, _ := os.ReadFile(path)
	for line := range strings.Lines(string(b)) {
		var p string
		if json.Unmarshal([]byte(line), &p) == nil {
			all = append(all, []byte(p))
		}
	}
	return all
}
