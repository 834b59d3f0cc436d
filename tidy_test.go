package rialto_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/rialto-events/rialto"

// floors is the table of contents: a package imports packages of lower floors only. docs/ARCHITECTURE.md draws it. A folder that
// is not listed has the floor of its parent, and may import its parent and be imported by it.
var floors = map[string]int{
	".":                         -1, // the vocabulary lies below every floor
	"pattern":                   0,
	"target":                    0,
	"internal/jsonpath":         0,
	"internal/cron":             0,
	"internal/record":           0,
	"internal/tracecontext":     0,
	"internal/redact":           0,
	"internal/policy":           0,
	"internal/slab":             0,
	"internal/transform":        1,
	"internal/journal":          1,
	"internal/vault":            1,
	"internal/tuning":           1,
	"internal/aws":              1,
	"internal/cloudevents":      1,
	"internal/notification":     1,
	"internal/occurrence":       1,
	"internal/topic/filter":     2,
	"internal/shard":            2,
	"internal/catalog":          2,
	"internal/targets":          2,
	"internal/notary":           2,
	"internal/route":            3,
	"internal/deliver":          3,
	"internal/connections":      3,
	"internal/queue":            3,
	"internal/history":          4,
	"internal/scheduler":        4,
	"internal/ingest":           4,
	"internal/circuits":         4,
	"internal/redrive":          4,
	"internal/explain":          4,
	"internal/metrics":          4,
	"internal/tracing":          4,
	"internal/topic":            4,
	"internal/replay":           5,
	"internal/advance":          1,
	"internal/aws/eventsapi":    6,
	"internal/aws/sqsapi":       6,
	"internal/aws/snsapi":       6,
	"internal/aws/secretsapi":   6,
	"internal/aws/schedulerapi": 6,
	"internal/aws/generate":     6,
	"internal/console":          6,
	"internal/outages":          6,
	"internal/server":           7,
	"rialtotest":                8,
	"cmd/rialto":                9,
	"bench":                     9,
}

// pure packages do no I/O, start no goroutine and read no clock.
var pure = []string{".", "pattern", "internal/jsonpath", "internal/cron", "internal/record", "internal/slab", "internal/tracecontext", "internal/redact", "internal/policy", "internal/transform", "internal/tuning", "internal/cloudevents", "internal/notification", "internal/occurrence", "internal/topic/filter"}

type source struct {
	dir  string // relative to the module
	name string
	file *ast.File
}

// sources parses every Go file of the module; tests too if asked.
func sources(t *testing.T, tests bool) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if d.IsDir() || filepath.Ext(path) != ".go" || (!tests && strings.HasSuffix(path, "_test.go")) {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		all = append(all, source{filepath.Dir(path), path, file})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 10 {
		t.Fatalf("only %d files found: the test looks in the wrong place", len(all))
	}
	return all
}

func imports(f *ast.File) []string {
	var paths []string
	for _, i := range f.Imports {
		p, _ := strconv.Unquote(i.Path.Value)
		paths = append(paths, p)
	}
	return paths
}

// floorOf returns the listed folder that dir belongs to, and its floor.
func floorOf(dir string) (room string, floor int, ok bool) {
	for d := dir; ; d = filepath.Dir(d) {
		if f, ok := floors[d]; ok && (d != "." || dir == ".") {
			return d, f, true
		}
		if d == "." {
			return "", 0, false
		}
	}
}

func TestImportsGoDown(t *testing.T) {
	for _, s := range sources(t, false) {
		room, floor, ok := floorOf(s.dir)
		if !ok {
			t.Errorf("%s is on no floor: list its folder in this test and in docs/ARCHITECTURE.md", s.name)
			continue
		}
		for _, p := range imports(s.file) {
			rel, ours := strings.CutPrefix(p, module)
			if !ours {
				continue
			}
			rel = strings.TrimPrefix(rel, "/")
			if rel == "" {
				rel = "."
			}
			toRoom, to, ok := floorOf(rel)
			if !ok || toRoom != room && to >= floor {
				t.Errorf("%s (floor %d) imports %s (floor %d): imports go down only", s.name, floor, rel, to)
			}
		}
	}
}

// TestOnlyJournalImportsNATS: what rialto stands on is hidden in the journal. A target of NATS is another matter: there the server is
// somebody else's, and its subjects are what the user asked for.
func TestOnlyJournalImportsNATS(t *testing.T) {
	for _, s := range sources(t, true) {
		if s.dir == "internal/targets/nats" {
			continue
		}
		for _, p := range imports(s.file) {
			if strings.HasPrefix(p, "github.com/nats-io/") && s.dir != "internal/journal" && !strings.HasPrefix(s.dir, "internal/journal/") {
				t.Errorf("%s imports %s: only internal/journal knows NATS", s.name, p)
			}
		}
	}
}

func TestPurePackagesStayPure(t *testing.T) {
	forbidden := map[string]bool{"os": true, "net": true, "net/http": true, "io/ioutil": true, "log": true, "log/slog": true, "os/exec": true}
	for _, s := range sources(t, false) {
		room, _, _ := floorOf(s.dir)
		if !contains(pure, room) {
			continue
		}
		for _, p := range imports(s.file) {
			if forbidden[p] {
				t.Errorf("%s imports %s: this package is pure", s.name, p)
			}
		}
		if room == "." {
			continue // defines the clock
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				t.Errorf("%s starts a goroutine: this package is pure", s.name)
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && (n.Sel.Name == "Now" || n.Sel.Name == "Sleep" || n.Sel.Name == "After") {
					t.Errorf("%s uses time.%s: this package is pure", s.name, n.Sel.Name)
				}
			}
			return true
		})
	}
}

func TestEveryPackageHasAComment(t *testing.T) {
	comment := make(map[string]bool)
	for _, s := range sources(t, false) {
		comment[s.dir] = comment[s.dir] || s.file.Doc.Text() != ""
	}
	for dir, ok := range comment {
		if !ok {
			t.Errorf("package %s has no comment that says what it is, what it promises and where to start", dir)
		}
	}
}

func TestTestsDoNotSleep(t *testing.T) {
	for _, s := range sources(t, true) {
		if !strings.HasSuffix(s.name, "_test.go") || importsPath(s.file, "testing/synctest") {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := sel.X.(*ast.Ident); ok && x.Name == "time" && sel.Sel.Name == "Sleep" {
					t.Errorf("%s sleeps: wait for a signal, or use the fake clock", s.name)
				}
			}
			return true
		})
	}
}

// TestNothingIsLeftUndone looks for what was meant to be done later.
func TestNothingIsLeftUndone(t *testing.T) {
	mark := "TO" + "DO"
	for _, s := range sources(t, true) {
		b, err := os.ReadFile(s.name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), mark) || strings.Contains(string(b), "FIX"+"ME") {
			t.Errorf("%s has something left to do", s.name)
		}
	}
}

func importsPath(f *ast.File, path string) bool { return contains(imports(f), path) }

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}
