package rialtotest

import "testing"

func TestContains(t *testing.T) {
	for name, c := range map[string]struct {
		got, want string
		holds     bool
	}{
		"equal":                     {`{"a":1}`, `{"a":1}`, true},
		"more members":              {`{"a":1,"b":{"c":2,"d":3}}`, `{"b":{"d":3}}`, true},
		"a member is missing":       {`{"a":1}`, `{"b":1}`, false},
		"another value":             {`{"a":1}`, `{"a":"1"}`, false},
		"arrays member by member":   {`{"a":[{"b":1,"c":2}]}`, `{"a":[{"b":1}]}`, true},
		"arrays of another length":  {`{"a":[1,2]}`, `{"a":[1]}`, false},
		"an empty array":            {`{"a":[]}`, `{"a":[]}`, true},
		"null is there":             {`{"a":null}`, `{"a":null}`, true},
		"null is not absent":        {`{}`, `{"a":null}`, false},
		"strings":                   {`"a"`, `"a"`, true},
		"texts that are no JSON":    {`poison`, `poison`, true},
		"JSON where text is wanted": {`{}`, `poison`, false},
		"an object for a string":    {`"a"`, `{}`, false},
	} {
		if got := contains(c.got, c.want); got != c.holds {
			t.Errorf("%s: contains(%s, %s) = %t, want %t", name, c.got, c.want, got, c.holds)
		}
	}
}
