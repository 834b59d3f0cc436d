package main

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// modelVariable writes what the wire has to know of the service.
func (w *writer) modelVariable() {
	meta := w.model.Metadata
	w.p("var model = aws.Model{")
	w.p("Name: %q,", meta.EndpointPrefix)
	if !w.onlyQuery() {
		w.p("TargetPrefix: %q,\nJSONVersion: %q,", meta.TargetPrefix, meta.JSONVersion)
	}
	w.p("Operations: []string{")
	for _, name := range slices.Sorted(slices.Values(w.model.Operations.names)) {
		w.p("%q,", name)
	}
	w.p("},")
	if w.speaksQuery() {
		w.p("Version: %q,\nNamespace: %q,", meta.APIVersion, cmp.Or(meta.Namespace, namespaces[meta.EndpointPrefix]))
	}
	if w.pathMember != "" {
		w.p("PathMember: %q,", w.pathMember)
	}
	if w.speaksREST() {
		w.routes()
	}
	if w.errorPrefix != "" {
		w.p("ErrorPrefix: %q,\nCommonPrefix: %q,", w.errorPrefix, w.commonPrefix)
	}
	if w.kinds != nil {
		w.p("Kinds: map[rialto.Kind]string{")
		for _, kind := range slices.Sorted(maps.Keys(w.kinds)) {
			w.p("rialto.%s: %q,", kind, w.kinds[kind])
		}
		w.p("},")
	}
	w.p("Errors: map[string]aws.ErrorShape{")
	for _, name := range w.sorted() {
		if s := w.shape(name); s.Exception {
			w.p("%q: {%s},", name, w.errorShape(name, s))
		}
	}
	w.p("},\n}\n")
	for name := range w.errors {
		if !w.shape(name).Exception {
			w.fail("services.go names the error %s, which the model has not", name)
		}
	}
}

func (w *writer) speaksQuery() bool { return w.model.Metadata.Query != nil || w.onlyQuery() }
func (w *writer) speaksREST() bool  { return w.model.Metadata.Protocol == "rest-json" }

// onlyQuery reports whether the service speaks the query protocol and nothing else. Then its model describes that protocol.
func (w *writer) onlyQuery() bool { return w.model.Metadata.Protocol == "query" }

// routes writes how requests name operations, and what the messages of errors are called.
func (w *writer) routes() {
	w.p("Routes: []aws.Route{")
	for _, name := range slices.Sorted(slices.Values(w.model.Operations.names)) {
		http := w.model.Operations.values[name].HTTP
		w.p("{Method: %q, Path: %q, Operation: %q, Status: %d},", http.Method, http.URI, name, http.Status)
	}
	w.p("},")
	for _, s := range w.model.Shapes.values {
		for _, member := range s.Members.names {
			if s.Exception && strings.EqualFold(member, "message") {
				w.p("ErrorMember: %q,", member)
				return
			}
		}
	}
}

func (w *writer) errorShape(name string, s *shape) string {
	row := w.errors[name]
	if w.speaksREST() && row.status == 0 {
		row.status = s.Error.Status
	}
	if s.Fault && row.status == 0 {
		row.status = http.StatusInternalServerError
	}
	if w.onlyQuery() {
		if row.status == 0 && s.Error.Status != http.StatusBadRequest {
			row.status = s.Error.Status
		}
		if row.code == "" && s.Error.Code != name {
			row.code = s.Error.Code
		}
	}
	var fields []string
	if row.status != 0 {
		fields = append(fields, "Status: "+strconv.Itoa(row.status))
	}
	if row.code != "" {
		fields = append(fields, fmt.Sprintf("QueryCode: %q", row.code))
	}
	if row.message != "" {
		fields = append(fields, fmt.Sprintf("QueryMessage: %q", row.message))
	}
	return strings.Join(fields, ", ")
}

func (w *writer) shapeOf(shape string) string { return "shapeOf" + exported(shape) }
func (w *writer) limitsOf(shape string) string {
	w.limits[shape] = true
	return "limitsOf" + exported(shape)
}

// shapeTable writes the names of every structure's members.
func (w *writer) shapeTable() {
	w.p("var (")
	for _, name := range w.sorted() {
		if !w.reached(name, "structure") {
			continue
		}
		w.p("%s = aws.Shape{Name: %q, Members: []aws.Member{", w.shapeOf(name), name)
		for _, m := range w.members(name) {
			w.p("{%s},", w.memberNames(m))
		}
		w.p("}%s}", w.hidden(name))
	}
	w.p(")\n")
}

// hidden are the members that messages show though the public model has them not.
func (w *writer) hidden(shape string) string {
	if w.shown[shape] == nil {
		return ""
	}
	return fmt.Sprintf(", Hidden: %#v", w.shown[shape])
}

func (w *writer) memberNames(m member) string {
	fields := []string{fmt.Sprintf("Name: %q", m.wire)}
	switch {
	case !w.speaksREST() || m.location == "":
	case m.location == "uri":
		fields = append(fields, "In: aws.InPath")
	case m.location == "querystring":
		fields = append(fields, "In: aws.InQuery")
	default:
		w.fail("the member %s is in the %s, which is not known here", m.name, m.location)
	}
	switch {
	case w.onlyQuery() && m.of.Type == "list":
		fields = append(fields, `Item: "member"`)
	case w.onlyQuery() && m.of.Type == "map":
		fields = append(fields, fmt.Sprintf(`Item: "entry", Key: %q, Value: %q`, cmp.Or(m.of.Key.Name, "key"), cmp.Or(m.of.Value.Name, "value")))
	case w.speaksQuery() && (m.of.Type == "list" || m.of.Type == "map"):
		fields = append(fields, fmt.Sprintf("Query: %q", w.queryName(m)))
		if m.of.Type == "map" {
			key := "Name"
			if other, ok := keyNames[m.shape]; ok {
				key = other
			}
			fields = append(fields, fmt.Sprintf("Key: %q, Value: %q", key, "Value"))
		}
	}
	if m.of.Sensitive {
		fields = append(fields, "Sensitive: true")
	}
	return strings.Join(fields, ", ")
}

// queryName is what the query protocol calls a member: a list or a map by its element.
func (w *writer) queryName(m member) string {
	if name, ok := w.query[m.shape]; ok {
		return name
	}
	if m.of.Type == "list" {
		if w.shape(m.of.Member.Shape).Type != "structure" {
			w.fail("services.go does not say what the query protocol calls the elements of %s", m.shape)
		}
		return m.of.Member.Shape
	}
	if m.of.Type == "map" {
		w.fail("services.go does not say what the query protocol calls the entries of %s", m.shape)
	}
	return m.name
}

// limitTable writes the constraints that the checks have named.
func (w *writer) limitTable() {
	w.p("var (")
	for _, name := range slices.Sorted(maps.Keys(w.limits)) {
		w.p("%s = aws.Constraint{%s}", w.limitsOf(name), w.constraint(name, w.shape(name)))
	}
	w.p(")")
}

func (w *writer) constraint(name string, s *shape) string {
	var fields []string
	if s.Min != nil && *s.Min != 0 && !w.mayBeEmpty[name] {
		fields = append(fields, fmt.Sprintf("Min: %d", *s.Min))
	}
	if s.Max != nil {
		fields = append(fields, fmt.Sprintf("Max: %d", *s.Max))
	}
	if s.Pattern != "" {
		expr, err := translate(s.Pattern)
		if err != nil {
			w.fail("pattern of %s: %w", name, err)
		}
		fields = append(fields, "Pattern: aws.NewPattern("+quoted(s.Pattern)+", "+quoted(expr)+")")
	}
	if s.Enum != nil {
		values := s.Enum
		if order, ok := w.enums[name]; ok {
			if !slices.Equal(slices.Sorted(slices.Values(order)), slices.Sorted(slices.Values(values))) {
				w.fail("services.go orders the values of %s, which are others in the model", name)
			}
			values = order
		}
		fields = append(fields, fmt.Sprintf("Enum: %#v", values))
	}
	if s.Sensitive {
		fields = append(fields, "Sensitive: true")
	}
	if w.patternFirst[name] {
		fields = append(fields, "PatternFirst: true")
	}
	return strings.Join(fields, ", ")
}

// quoted is a Go string, raw if it can be.
func quoted(s string) string {
	if strconv.CanBackquote(s) {
		return "`" + s + "`"
	}
	return strconv.Quote(s)
}
