package pattern_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rialto-events/rialto/pattern"
)

func TestAppendCompact(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"blanks go", " { \"a\" :\t[ 1 , true,null ,\r\n \"x y\" ] } \n", `{"a":[1,true,null,"x y"]}`},
		{"what is compact stays", `{"b":1,"a":[{},[]],"c":"d"}`, `{"b":1,"a":[{},[]],"c":"d"}`},
		{"spelling stays", `{"n":[1.50,1E+2,-0,0e0],"s":"\u0041\/\n\ud800","b":1,"b":2}`, `{"n":[1.50,1E+2,-0,0e0],"s":"\u0041\/\n\ud800","b":1,"b":2}`},
		{"a scalar is a value", ` 7 `, `7`},
		{"empty containers", `[ { } , [ ] ]`, `[{},[]]`},
		{"each byte that is no UTF-8 is replaced", "\"a\xff\xfeb\xe2\x82\"", "\"a\uFFFD\uFFFDb\uFFFD\uFFFD\""},
		{"UTF-8 stays", `"é😀"`, `"é😀"`},
	} {
		got, err := pattern.AppendCompact([]byte("before"), []byte(c.in))
		if err != nil || string(got) != "before"+c.want {
			t.Errorf("%s: got %s, %v, want before%s", c.name, got, err, c.want)
		}
	}
}

func TestAppendCompactRefuses(t *testing.T) {
	for _, in := range []string{
		"", " ", "{", "}", "[", `{"a"}`, `{"a":}`, `{"a":1,}`, `{,}`, `{1:2}`, "[1,]", "[,1]", "[1 2]", `{"a":1 "b":2}`, "{]", "[}",
		"01", "-", "+1", "1.", ".5", "1e", "1e+", "0x1", "NaN", "tru", "nul", "truefalse", `"`, `"a`, `"\`, `"\x"`, `"\u12"`, `"\u12g4"`,
		"\"\n\"", "\"\x00\"", "'a'", "1 2", "{}{}", "[]]", "\ufeff{}", "{}\x00", "{}\x00x", "\u00a01", "/**/1",
	} {
		dst := []byte("before")
		got, err := pattern.AppendCompact(dst, []byte(in))
		var jsonError *pattern.JSONError
		if !errors.As(err, &jsonError) || string(got) != "before" {
			t.Errorf("%q: got %q, %v", in, got, err)
		}
	}
}

func TestNestingIsLimited(t *testing.T) {
	nested := func(n int) []byte {
		return []byte(strings.Repeat("[", n) + strings.Repeat("]", n))
	}
	if _, err := pattern.AppendCompact(nil, nested(pattern.MaxNesting)); err != nil {
		t.Error(err)
	}
	for _, text := range [][]byte{nested(pattern.MaxNesting + 1), nested(100_000), []byte(strings.Repeat(`{"a":`, 100_000))} {
		if _, err := pattern.AppendCompact(nil, text); !errors.Is(err, pattern.ErrNesting) {
			t.Errorf("%.10s…: got %v", text, err)
		}
	}

	// An event of the greatest depth can be matched, and one that is too deep does no harm.
	var set pattern.Set
	set.Add(1, parse(t, `{"detail":{"v":[1],"w":[{"exists":false}]}}`))
	deep := func(n int) []byte {
		return []byte(`{"detail":{"v":` + strings.Repeat("[", n) + "1" + strings.Repeat("]", n) + "}}")
	}
	if ids, err := set.Match(deep(pattern.MaxNesting-1), new(pattern.Scratch)); err != nil || len(ids) != 1 {
		t.Errorf("got %v, %v", ids, err)
	}
	if _, err := set.Match(deep(100_000), new(pattern.Scratch)); err == nil {
		t.Error("the event that nests too deeply was read")
	}
}

func FuzzAppendCompact(f *testing.F) {
	for _, text := range []string{`{"a":[1,2.5e-3,"x\u00e9\n",true,null,{}]}`, " [ ] ", "\"\xff\"", `{"a":1}x`, "-0.0", `"\ud83d\ude00"`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := pattern.AppendCompact(nil, text)
		if errors.Is(err, pattern.ErrNesting) {
			return
		}
		if valid := json.Valid(text); valid != (err == nil) {
			t.Fatalf("%q: got %v, but encoding/json says %v", text, err, valid)
		}
		if err != nil {
			return
		}
		var want bytes.Buffer
		if err := json.Compact(&want, text); err != nil {
			t.Fatal(err)
		}
		if repaired := []byte(string([]rune(want.String()))); !bytes.Equal(got, repaired) {
			t.Fatalf("%q: got %q, want %q", text, got, repaired)
		}
		if !utf8.Valid(got) {
			t.Fatalf("%q: got %q, which is no UTF-8", text, got)
		}
	})
}
