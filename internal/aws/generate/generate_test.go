package main

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestGeneratedCodeIsCurrent does what the go:generate lines of all files beneath package aws say, and compares.
func TestGeneratedCodeIsCurrent(t *testing.T) {
	found := 0
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" {
			return err
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(source)) {
			if args, ok := strings.CutPrefix(line, "//go:generate go run ./generate "); ok {
				found++
				current(t, filepath.Dir(path), strings.Fields(args))
			} else if args, ok := strings.CutPrefix(line, "//go:generate go run ../generate "); ok {
				found++
				current(t, filepath.Dir(path), strings.Fields(args))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if found < len(services) {
		t.Errorf("only %d go:generate lines were found", found)
	}
}

func current(t *testing.T, dir string, args []string) {
	c, err := parse(args)
	if err != nil {
		t.Fatal(err)
	}
	want, err := generate(c.service, "models", c.pkg, c.operations)
	if err != nil {
		t.Fatalf("generate %s: %v", c.service, err)
	}
	file := filepath.Join(dir, c.out)
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what the generator writes: run go generate ./internal/aws/...", file)
	}
}

func TestTranslate(t *testing.T) {
	cases := []struct {
		java  string
		match []string // what Java's String.matches says of these
		not   []string
	}{
		{`.*`, []string{"", "one line"}, []string{"two\nlines", "a\r", "a\u0085b", "a\u2028b"}},
		{`[.\-_]+`, []string{".-_"}, []string{"a", ""}},
		{`\s+`, []string{" \t\v\f\r\n"}, []string{"", "a"}},
		{`^(?!\s*$).+`, []string{"a", " a ", "*"}, []string{"", " ", "\t\v", "a\nb"}},
		{`[a-zA-Z0-9-_]+`, []string{"a-b_c"}, []string{"a.b"}},
	}
	for _, c := range cases {
		expr, err := translate(c.java)
		if err != nil {
			t.Errorf("translate %s: %v", c.java, err)
			continue
		}
		re := regexp.MustCompile(`\A(?:` + expr + `)\z`)
		for _, s := range c.match {
			if !re.MatchString(s) {
				t.Errorf("%s became %s, which does not match %q", c.java, expr, s)
			}
		}
		for _, s := range c.not {
			if re.MatchString(s) {
				t.Errorf("%s became %s, which matches %q", c.java, expr, s)
			}
		}
	}
	if expr, err := translate(`[a[b]]`); err == nil {
		t.Errorf("a class within a class became %s; Java means a union", expr)
	}
}
