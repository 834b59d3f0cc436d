package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

func TestGeneratedCodeIsCurrent(t *testing.T) {
	for name, s := range services {
		want, err := generate(name, "models")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		path := filepath.Join("..", s.pkg, "types_gen.go")
		got, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
			continue
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what the generator writes: run go generate ./internal/aws/...", path)
		}
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
