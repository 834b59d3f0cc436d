package inputs

import (
	"bytes"
	"encoding/json"
)

// A Rule is a pattern and, if that is known, how many events it matches.
type Rule struct {
	Pattern []byte
	Want    int // of all citylots events; for the families only
}

type obj = map[string]any

func nest(path []string, v any) any {
	if len(path) == 0 {
		return v
	}
	return obj{path[0]: nest(path[1:], v)}
}

func merge(dst, src obj) obj {
	for k, v := range src {
		if a, ok := dst[k].(obj); ok {
			if b, ok := v.(obj); ok {
				merge(a, b)
				continue
			}
		}
		dst[k] = v
	}
	return dst
}

func raw(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err)
	}
	return bytes.TrimSpace(b.Bytes())
}

// A clause is one tested field: the path and the test.
type clause struct {
	path []string
	alt  any
}

func c(alt any, path ...string) clause { return clause{path, alt} }

func pat(cs ...clause) obj {
	p := obj{}
	for _, x := range cs {
		merge(p, nest(x.path, []any{x.alt}).(obj))
	}
	return p
}

// Families returns the rule families of the published citylots2 benchmark, five rules each, with the number of the
// [CityLotsLines] events that each rule matches.
func Families() map[string][]Rule {
	f := map[string][]Rule{}
	add := func(name string, want []int, ps ...obj) {
		for i, p := range ps {
			f[name] = append(f[name], Rule{raw(p), want[i]})
		}
	}
	field := func(name string, alts ...any) (ps []obj) {
		for _, a := range alts {
			ps = append(ps, pat(c(a, "properties", name)))
		}
		return ps
	}
	op := func(name string, args ...any) (out []any) {
		for _, a := range args {
			out = append(out, obj{name: a})
		}
		return out
	}
	lots := []any{"1430022", "2607117", "2607218", "3745012", "VACSTWIL"}
	globs := []any{"143*", "2*0*1*7", "*218", "3*5*2", "VA*IL"}
	heads := []any{"AC", "BL", "DR", "FU", "RH"}
	tails := []any{"ON", "KE", "MM", "ING", "GO"}
	fold := op("equals-ignore-case", "jefferson", "bEaCh", "HyDe", "CHESTNUT")
	foldHeads := op("equals-ignore-case", "Ac", "bL", "dR", "Fu", "rH")
	foldTails := op("equals-ignore-case", "oN", "Ke", "mM", "InG", "gO")

	add("exact", []int{1, 101, 35, 655, 1}, field("MAPBLKLOT", lots...)...)
	add("wildcard", []int{490, 713, 43, 2540, 1}, field("MAPBLKLOT", op("wildcard", globs...)...)...)
	add("prefix", []int{24, 442, 38, 2387, 328}, field("STREET", op("prefix", heads...)...)...)
	add("prefix-ignore-case", []int{24, 442, 38, 2387, 328}, field("STREET", op("prefix", foldHeads...)...)...)
	add("suffix", []int{17921, 871, 13, 1963, 682}, field("STREET", op("suffix", tails...)...)...)
	add("suffix-ignore-case", []int{17921, 871, 13, 1963, 682}, field("STREET", op("suffix", foldTails...)...)...)
	add("equals-ignore-case", []int{131, 211, 1758, 825, 116386},
		append(field("STREET", fold...), field("ST_TYPE", op("equals-ignore-case", "st")...)...)...)

	but := func(name string, want []int, wrap func(string) any, street1, street2, stype, geo, from string) {
		ps := field("STREET", obj{"anything-but": wrap(street1)}, obj{"anything-but": wrap(street2)})
		ps = append(ps, field("ST_TYPE", obj{"anything-but": wrap(stype)})...)
		ps = append(ps, pat(c(obj{"anything-but": wrap(geo)}, "geometry", "type")))
		ps = append(ps, field("FROM_ST", obj{"anything-but": wrap(from)})...)
		add(name, want, ps...)
	}
	but("anything-but", []int{211158, 210411, 96682, 120, 210615},
		func(s string) any { return []any{s} }, "FULTON", "MASON", "ST", "Polygon", "441")
	but("anything-but-ignore-case", []int{211158, 210411, 96682, 120, 210615},
		func(s string) any { return obj{"equals-ignore-case": []any{s}} }, "Fulton", "Mason", "st", "polygon", "441")
	but("anything-but-prefix", []int{211158, 210118, 96667, 120, 209091},
		func(s string) any { return obj{"prefix": s} }, "FULTO", "MASO", "S", "Poly", "44")
	but("anything-but-suffix", []int{211136, 210411, 94908, 0, 209055},
		func(s string) any { return obj{"suffix": s} }, "ULTON", "ASON", "T", "olygon", "41")
	var butGlobs []any
	for _, g := range op("wildcard", globs...) {
		butGlobs = append(butGlobs, obj{"anything-but": g})
	}
	add("anything-but-wildcard", []int{212578, 212355, 213025, 210528, 213067}, field("MAPBLKLOT", butGlobs...)...)

	num := func(args ...any) obj { return obj{"numeric": args} }
	g := func(alt any, path ...string) clause { return c(alt, append([]string{"geometry"}, path...)...) }
	add("numeric", []int{2, 120, 148948, 64120, 127053},
		pat(g("Polygon", "type"), g(num("=", xExact), "firstCoordinates", "x")),
		pat(g("MultiPolygon", "type"), g(num("=", 0), "firstCoordinates", "z")),
		pat(g(num("<", xSplit), "firstCoordinates", "x")),
		pat(g(num(">", xSplit), "firstCoordinates", "x")),
		pat(g(num(">", xLeft, "<", xRight), "firstCoordinates", "x")))
	add("complex-arrays", []int{218, 1, 149446, 64368, 127485},
		pat(g("Polygon", "type"), g(num("=", xExact), "coordinates", "x")),
		pat(g("MultiPolygon", "type"), g(num("=", yExact), "coordinates", "y")),
		pat(g(num("<", xSplit), "coordinates", "x")),
		pat(g(num(">", xSplit), "coordinates", "x")),
		pat(g(num(">", xLeft, "<", xRight), "coordinates", "x")))

	for _, k := range []string{"numeric", "exact", "prefix", "anything-but", "anything-but-ignore-case",
		"anything-but-prefix", "anything-but-suffix", "anything-but-wildcard"} {
		f["partial-combo"] = append(f["partial-combo"], f[k]...)
	}
	f["combo"] = append(f["combo"], f["partial-combo"]...)
	f["combo"] = append(f["combo"], f["complex-arrays"]...)
	return f
}
