package syntax

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A group is the conjunction that an object stands for: its fields and its $ors, in the order of the text. Nested objects
// are flattened into it.
type group []member

// A member is a field with its tests, or an $or with its branches.
type member struct {
	path     string
	tests    []Test
	branches []group // an $or if not nil
}

func (g *group) add(path []string, tests []Test) {
	*g = append(*g, member{path: strings.Join(path, "."), tests: tests})
}

func (g *group) addOr(branches []group) { *g = append(*g, member{branches: branches}) }

var (
	errAlternatives = errors.New("Or operator is producing over 1000 rule combinations") // as recorded on AWS
	errFields       = fmt.Errorf("the alternatives of the pattern have more than %d fields together", maxFields)
)

// expand multiplies a group out into alternatives.
func expand(g group) ([]Alternative, error) {
	count, fields := size(g)
	switch {
	case count > MaxAlternatives:
		return nil, errAlternatives
	case fields > maxFields:
		return nil, errFields
	}
	alternatives := multiply([]Alternative{nil}, g)
	for i, a := range alternatives {
		alternatives[i] = normal(a)
	}
	return alternatives, nil
}

// size returns how many alternatives a group makes and how many fields they have together; what is above the limits is
// not counted further.
func size(g group) (count, fields int) {
	count = 1
	for _, m := range g {
		if m.branches == nil {
			fields = min(fields+count, maxFields+1)
			continue
		}
		branches, inBranches := 0, 0
		for _, b := range m.branches {
			n, f := size(b)
			branches, inBranches = min(branches+n, MaxAlternatives+1), min(inBranches+f, maxFields+1)
		}
		fields = min(fields*branches+inBranches*count, maxFields+1)
		count = min(count*branches, MaxAlternatives+1)
	}
	return count, fields
}

// multiply appends what g asks for to each of the alternatives, once for each branch of an $or.
func multiply(alternatives []Alternative, g group) []Alternative {
	for _, m := range g {
		if m.branches == nil {
			for i, a := range alternatives {
				alternatives[i] = append(a, Field{Path: m.path, Tests: m.tests})
			}
			continue
		}
		var all []Alternative
		for _, b := range m.branches {
			all = append(all, multiply(clone(alternatives), b)...)
		}
		alternatives = all
	}
	return alternatives
}

func clone(alternatives []Alternative) []Alternative {
	c := make([]Alternative, len(alternatives))
	for i, a := range alternatives {
		c[i] = slices.Clone(a)
	}
	return c
}

// normal sorts the fields of an alternative by path. Of those with the same path, the last in the text counts.
func normal(a Alternative) Alternative {
	slices.SortStableFunc(a, func(x, y Field) int { return strings.Compare(x.Path, y.Path) })
	kept := a[:0]
	for i, f := range a {
		if i+1 == len(a) || a[i+1].Path != f.Path {
			kept = append(kept, f)
		}
	}
	return kept
}
