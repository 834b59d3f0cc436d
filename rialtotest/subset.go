package rialtotest

import (
	"encoding/json"
	"fmt"
	"reflect"
)

// contains reports whether got holds everything that want holds: objects may have more members than are wanted, at any depth;
// arrays must be as long as wanted; everything else must be equal. What is no JSON is compared as text.
func contains(got, want string) bool {
	var g, w any
	if json.Unmarshal([]byte(want), &w) != nil || json.Unmarshal([]byte(got), &g) != nil {
		return got == want
	}
	return holds(g, w)
}

func holds(got, want any) bool {
	switch want := want.(type) {
	case map[string]any:
		got, ok := got.(map[string]any)
		if !ok {
			return false
		}
		for name, value := range want {
			if have, ok := got[name]; !ok || !holds(have, value) {
				return false
			}
		}
		return true
	case []any:
		got, ok := got.([]any)
		if !ok || len(got) != len(want) {
			return false
		}
		for i := range want {
			if !holds(got[i], want[i]) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(got, want)
}

// listed shows what has come instead of what was wanted.
func listed(bodies []string) string {
	const most = 20
	if len(bodies) == 0 {
		return "Nothing else has come."
	}
	text := fmt.Sprintf("Of what has come, %d were not wanted so far:", len(bodies))
	for i, b := range bodies {
		if i == most {
			return text + "\n  …"
		}
		text += "\n  " + b
	}
	return text
}
