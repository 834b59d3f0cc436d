package syntax

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Case is ignored the way AWS does it: each character of the pattern may stand as itself or as its full lower or upper
// case. This is not symmetric. A pattern "ß" takes "ß" and "SS" but not "ss", and "K" does not take the Kelvin sign,
// which folds to k but which k does not map to. Where AWS goes wrong, with characters outside the basic plane (a pattern
// of one emoji takes "??" and not itself), rialto does what was meant.

// FoldVariants returns the ways in which the character r of a pattern may be written, itself first. None is the beginning
// or the end of another, so that a matcher never has to choose between two.
func FoldVariants(r rune) []string {
	variants := []string{string(r)}
	for _, v := range [...]string{lower(r), upper(r)} {
		if v != variants[0] && v != variants[len(variants)-1] {
			variants = append(variants, v)
		}
	}
	return variants
}

// FoldEqual reports whether s is the text of a pattern, whatever the case.
func FoldEqual(s, pattern string) bool {
	rest, ok := cutFoldPrefix(s, pattern)
	return ok && rest == ""
}

// FoldPrefix reports whether s begins with the text of a pattern, whatever the case.
func FoldPrefix(s, pattern string) bool {
	_, ok := cutFoldPrefix(s, pattern)
	return ok
}

// FoldSuffix reports whether s ends with the text of a pattern, whatever the case.
func FoldSuffix(s, pattern string) bool {
	for pattern != "" {
		r, size := utf8.DecodeLastRuneInString(pattern)
		pattern = pattern[:len(pattern)-size]
		cut := false
		for _, v := range FoldVariants(r) {
			if s, cut = strings.CutSuffix(s, v); cut {
				break
			}
		}
		if !cut {
			return false
		}
	}
	return true
}

func cutFoldPrefix(s, pattern string) (rest string, ok bool) {
	for _, r := range pattern {
		cut := false
		for _, v := range FoldVariants(r) {
			if s, cut = strings.CutPrefix(s, v); cut {
				break
			}
		}
		if !cut {
			return s, false
		}
	}
	return s, true
}

func lower(r rune) string {
	if r == 0x130 {
		return "i\u0307" // İ is the only character whose lower case has two
	}
	return string(unicode.ToLower(r))
}

func upper(r rune) string {
	if s, ok := longUpper[r]; ok {
		return s
	}
	return string(unicode.ToUpper(r))
}

// longUpper has the characters whose upper case has more than one (Unicode's SpecialCasing.txt, without the mappings that
// depend on language or context). Package unicode has only the one-to-one mappings.
var longUpper = func() map[rune]string {
	m := make(map[rune]string)
	for entry := range strings.FieldsSeq(`
		ßSS ŉʼN ǰJ̌ ΐΪ́ ΰΫ́ ևԵՒ ẖH̱ ẗT̈ ẘW̊ ẙY̊ ẚAʾ ὐΥ̓
		ὒΥ̓̀ ὔΥ̓́ ὖΥ̓͂ ᾀἈΙ ᾁἉΙ ᾂἊΙ ᾃἋΙ ᾄἌΙ ᾅἍΙ ᾆἎΙ ᾇἏΙ ᾈἈΙ
		ᾉἉΙ ᾊἊΙ ᾋἋΙ ᾌἌΙ ᾍἍΙ ᾎἎΙ ᾏἏΙ ᾐἨΙ ᾑἩΙ ᾒἪΙ ᾓἫΙ ᾔἬΙ
		ᾕἭΙ ᾖἮΙ ᾗἯΙ ᾘἨΙ ᾙἩΙ ᾚἪΙ ᾛἫΙ ᾜἬΙ ᾝἭΙ ᾞἮΙ ᾟἯΙ ᾠὨΙ
		ᾡὩΙ ᾢὪΙ ᾣὫΙ ᾤὬΙ ᾥὭΙ ᾦὮΙ ᾧὯΙ ᾨὨΙ ᾩὩΙ ᾪὪΙ ᾫὫΙ ᾬὬΙ
		ᾭὭΙ ᾮὮΙ ᾯὯΙ ᾲᾺΙ ᾳΑΙ ᾴΆΙ ᾶΑ͂ ᾷΑ͂Ι ᾼΑΙ ῂῊΙ ῃΗΙ ῄΉΙ
		ῆΗ͂ ῇΗ͂Ι ῌΗΙ ῒΪ̀ ΐΪ́ ῖΙ͂ ῗΪ͂ ῢΫ̀ ΰΫ́ ῤΡ̓ ῦΥ͂ ῧΫ͂
		ῲῺΙ ῳΩΙ ῴΏΙ ῶΩ͂ ῷΩ͂Ι ῼΩΙ ﬀFF ﬁFI ﬂFL ﬃFFI ﬄFFL ﬅST
		ﬆST ﬓՄՆ ﬔՄԵ ﬕՄԻ ﬖՎՆ ﬗՄԽ`) {
		r, size := utf8.DecodeRuneInString(entry)
		m[r] = entry[size:]
	}
	return m
}()
