package inputs

import (
	"fmt"
	"strconv"
	"strings"
)

// CityLotsLines is the number of all citylots events. They stand in for the well known citylots2 file (GeoJSON features of
// about 900 bytes, used by two published matchers), whose bytes are not here. Every field that the rule families look at is
// dealt out by quota, so that over all lines each of those rules matches exactly the number of events published for the real
// file.
const CityLotsLines = 213068

const (
	xSplit = -122.41600944012424 // "<" and ">" rules
	xLeft  = -122.46471267081272 // range rule, open at both ends
	xRight = -122.4063085128395
	xExact = -122.42916360922355 // "=" rule
	yExact = 37.729900216217324
)

type quota struct {
	v string
	n int
}

// deal returns n strings: each quota's value its number of times, the rest
// made by fill, in an order drawn from r.
func deal(r *random, n int, qs []quota, fill func() string) []string {
	out := make([]string, 0, n)
	for _, q := range qs {
		for range q.n {
			out = append(out, q.v)
		}
	}
	for len(out) < n {
		out = append(out, fill())
	}
	shuffle(r, out)
	return out
}

// glob reports whether s matches p, in which '*' stands for any characters.
func glob(p, s string) bool {
	parts := strings.Split(p, "*")
	if !strings.HasPrefix(s, parts[0]) {
		return false
	}
	s = s[len(parts[0]):]
	for i := 1; i < len(parts)-1; i++ {
		k := strings.Index(s, parts[i])
		if k < 0 {
			return false
		}
		s = s[k+len(parts[i]):]
	}
	return len(parts) == 1 && s == "" || len(parts) > 1 && strings.HasSuffix(s, parts[len(parts)-1])
}

var lotGlobs = []string{"143*", "2*0*1*7", "*218", "3*5*2", "VA*IL"}

// lotIDs deals out MAPBLKLOT. want[i] lots match lotGlobs[i] and no other.
func lotIDs(r *random) []string {
	exact := []quota{{"1430022", 1}, {"2607117", 101}, {"2607218", 35}, {"3745012", 655}, {"VACSTWIL", 1}}
	want := []int{490 - 1, 713 - 101, 43 - 35, 2540 - 655, 0}
	kind := func(s string) int { // index of the one glob matched, -1 none, -2 several or an exact value
		k := -1
		for i, g := range lotGlobs {
			if glob(g, s) {
				if k >= 0 {
					return -2
				}
				k = i
			}
		}
		for _, e := range exact {
			if e.v == s {
				return -2
			}
		}
		return k
	}
	draw := func(make func() string, k int) string {
		for {
			if s := make(); kind(s) == k {
				return s
			}
		}
	}
	seven := func(prefix, suffix string) func() string {
		return func() string { return prefix + r.letters(7-len(prefix)-len(suffix), digits) + suffix }
	}
	makers := []func() string{seven("143", ""), seven("2", "7"), seven("", "218"), seven("3", "2")}
	qs := exact
	for i, m := range makers {
		for range want[i] {
			qs = append(qs, quota{draw(m, i), 1})
		}
	}
	plain := func() string {
		s := fmt.Sprintf("%04d", r.between(1, 8719))
		if r.chance(0.03) {
			s += "A"
		}
		return s + fmt.Sprintf("%03d", 1+r.skew(400))
	}
	last := "0001001"
	return deal(r, CityLotsLines, qs, func() string {
		if !r.chance(0.2) { // one lot in five shares the map entry of another
			last = draw(plain, -1)
		}
		return last
	})
}

// streets whose number the rules depend on; see families.go.
var streetQuotas = []quota{
	{"ACADIA", 24}, {"BLANKEN", 200}, {"BLYTHDALE", 242}, {"DRUMM", 13}, {"DRAKE", 25}, {"LAKE", 846},
	{"FULTON", 1910}, {"FUNSTON", 477}, {"RHODE ISLAND", 328}, {"IRVING", 1963}, {"HIDALGO", 682},
	{"MASON", 2657}, {"MASONIC", 293}, {"MOULTON", 22}, {"JEFFERSON", 131}, {"BEACH", 211}, {"BIRCH", 9},
	{"HYDE", 1758}, {"CHESTNUT", 825}, {"17TH", 1619}, {"FOLSOM", 1390}, {"CRANLEIGH", 7},
	{"MISSION", 5000}, {"WASHINGTON", 2400}, {"JACKSON", 2100}, {"HARRISON", 1600}, {"CLAYTON", 1100}, {"EDISON", 524},
	{"UNKNOWN", 2500},
}

var streetFill = strings.Fields(`GREENWICH TURK CABRILLO GEARY ANZA BALBOA CLEMENT CALIFORNIA SACRAMENTO CLAY
PINE BUSH SUTTER POST ELLIS EDDY GROVE HAYES FELL OAK PAGE HAIGHT WALLER CARL FREDERICK PARNASSUS HUGO LINCOLN
JUDAH KIRKHAM LAWTON MORAGA NORIEGA ORTEGA PACHECO QUINTARA RIVERA TARAVAL ULLOA VICENTE WAWONA YORBA SLOAT
OCEAN HOLLOWAY GARFIELD SHIELDS SARGENT GENEVA NAPLES EDINBURGH MADRID LISBON PARIS VIENNA ATHENS MOSCOW PERU
EXCELSIOR BRAZIL PERSIA RUSSIA FRANCE ITALY ALEMANY CAYUGA SILVER FELTON BURROWS BACON WAYLAND WOOLSEY DWIGHT
OLMSTEAD MANSELL ORDWAY ARLETA TEDDY LELAND VISITACION SUNNYDALE GUERRERO VALENCIA CAPP SHOTWELL TREAT ALABAMA
FLORIDA BRYANT YORK HAMPSHIRE POTRERO UTAH VERMONT KANSAS CAROLINA WISCONSIN ARKANSAS CONNECTICUT MISSOURI TEXAS
MISSISSIPPI PENNSYLVANIA INDIANA MINNESOTA TENNESSEE ILLINOIS 2ND 3RD 4TH 5TH 6TH 7TH 8TH 9TH 10TH 11TH 12TH 14TH
15TH 16TH 18TH 19TH 20TH 21ST 22ND 23RD 24TH 25TH 26TH 27TH 28TH 29TH 30TH 31ST 32ND 33RD 34TH 35TH 36TH 37TH 38TH
39TH 40TH 41ST 42ND 43RD 44TH 45TH 46TH 47TH 48TH VALLEJO GREEN UNION FILBERT LOMBARD UPPER_MARKET STEINER
SCOTT PIERCE DIVISADERO BAKER LYON CENTRAL COLE SHRADER STANYAN ARGUELLO SPRUCE LAUREL WALNUT PRESIDIO GOUGH OCTAVIA
LAGUNA BUCHANAN WEBSTER FILLMORE VAN_NESS POLK LARKIN LEAVENWORTH TAYLOR POWELL STOCKTON_ALLEY KEARNY MONTGOMERY`)

var streetTails = []string{"ON", "KE", "MM", "ING", "GO"}
var streetHeads = []string{"AC", "BL", "DR", "FU", "RH", "MASO"}

func streetNames(r *random) []string {
	fill := streetFill[:0:0]
	for _, s := range streetFill {
		ok := true
		for _, t := range streetTails {
			ok = ok && !strings.HasSuffix(s, t)
		}
		for _, h := range streetHeads {
			ok = ok && !strings.HasPrefix(s, h)
		}
		if ok {
			fill = append(fill, strings.ReplaceAll(s, "_", " "))
		}
	}
	return deal(r, CityLotsLines, streetQuotas, func() string { return fill[r.skew(len(fill))] })
}

func houseNumbers(r *random) []string {
	qs := []quota{{"441", 2453}, {"440", 500}, {"442", 300}, {"445", 400}, {"449", 300}, {"44", 24},
		{"1441", 600}, {"2041", 400}, {"341", 360}, {"41", 200}}
	return deal(r, CityLotsLines, qs, func() string {
		for {
			s := strconv.Itoa(1 + r.skew(4900))
			if !strings.HasPrefix(s, "44") && !strings.HasSuffix(s, "41") {
				return s
			}
		}
	})
}

// lotShape says what the coordinates of one line must contain besides
// ordinary points near the first one.
type lotShape struct {
	zone  int // of the first point: 0 x<xLeft, 1 xLeft<x<xSplit, 2 xSplit<x<xRight, 3 x>xRight
	other int // zone of one further point, -1 none
	first bool
	exact bool
	multi bool
}

func lotShapes(r *random) []lotShape {
	const below, above, inside = 148948, 64120, 127053
	const in1 = 105053
	zones := []int{below - in1, in1, inside - in1, above - (inside - in1)}
	var out []lotShape
	for z, n := range zones {
		for range n {
			out = append(out, lotShape{zone: z, other: -1})
		}
	}
	// Zone boundaries within out, so that the special lines fall in the zone they need.
	z1, z2 := zones[0], zones[0]+zones[1]
	for i := 0; i < 432; i++ { // outside the range at first, inside later
		out[i].other = 1
	}
	for i := z1; i < z1+248; i++ { // first left of the split, one point right of it
		out[i].other = 2
	}
	for i := z2; i < z2+498; i++ { // first right of the split, one point left of it
		out[i].other = 1
	}
	for i := z1 + 1000; i < z1+1000+218; i++ {
		out[i].exact, out[i].first = true, i < z1+1002
	}
	for i := z1 + 5000; i < z1+5000+120; i++ {
		out[i].multi = true
	}
	shuffle(r, out)
	return out
}

var zoneBounds = [4][2]float64{{-122.5147, xLeft}, {xLeft, xSplit}, {xSplit, xRight}, {xRight, -122.3571}}

func inZone(r *random, z int, near float64) float64 {
	lo, hi := zoneBounds[z][0], zoneBounds[z][1]
	for {
		x := near + float64((r.f()-0.5)*0.0008)
		if near == 0 {
			x = lo + float64(r.f()*(hi-lo))
		}
		if x > lo && x < hi && x != xExact {
			return x
		}
	}
}

func pointCount(r *random) int {
	switch k := r.n(100); {
	case k < 43:
		return 5
	case k < 71:
		return r.between(6, 9)
	case k < 91:
		return r.between(10, 18)
	case k < 99:
		return r.between(19, 44)
	default:
		return r.between(45, 110)
	}
}

// CityLots returns the first n citylots events.
func CityLots(n int) [][]byte {
	r := newRandom()
	lines := lines{text: make([]byte, 0, 950*min(n, CityLotsLines))} // all together they are large, and growing would double that
	ids, street, from, shapes := lotIDs(r), streetNames(r), houseNumbers(r), lotShapes(r)
	const st, odd = 116386, 52527
	types := deal(r, CityLotsLines, []quota{{"ST", st}, {"CT", 1774}, {"STWY", 15}}, func() string {
		return pick(r, []string{"AVE", "AVE", "AVE", "AVE", "AVE", "AVE", "AVE", "AVE", "DR", "WAY", "BLVD", "TER", "LN",
			"PL", "CIR", "ALY", "RD", ""})
	})
	oddLeft, restLeft := odd, CityLotsLines-st
	yLeft := 1
	num := func(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }
	for i := range min(n, CityLotsLines) {
		sh := shapes[i]
		parity := "E"
		if types[i] == "ST" {
			if r.chance(0.5) {
				parity = "O"
			}
		} else {
			if r.n(restLeft) < oddLeft {
				parity = "O"
				oddLeft--
			}
			restLeft--
		}
		lot := ids[i][len(ids[i])-3:]
		blk := ids[i]
		if r.chance(0.25) {
			lot = fmt.Sprintf("%03d", r.n(1000))
			blk = ids[i][:len(ids[i])-3] + lot
		}
		stType := `null`
		if types[i] != "" {
			stType = `"` + types[i] + `"`
		}
		to := from[i]
		if r.chance(0.3) {
			to += "0"
		}
		geo := "Polygon"
		if sh.multi {
			geo = "MultiPolygon"
		}
		np := pointCount(r)
		xs, ys := make([]float64, np), make([]float64, np)
		y0 := 37.708 + float64(r.f()*0.1)
		xs[0] = inZone(r, sh.zone, 0)
		for k := range xs {
			if k > 0 {
				xs[k] = inZone(r, sh.zone, xs[0])
			}
			ys[k] = y0 + float64((r.f()-0.5)*0.0008)
		}
		if sh.exact {
			k := 1
			if sh.first {
				k = 0
			}
			xs[k] = xExact
		}
		if sh.other >= 0 {
			xs[2] = inZone(r, sh.other, 0)
		}
		xs[np-1], ys[np-1] = xs[0], ys[0] // rings are closed
		if sh.multi && yLeft > 0 {
			ys[1], yLeft = yExact, yLeft-1
		}
		lines.text = fmt.Appendf(lines.text, `{"type":"Feature","properties":{"MAPBLKLOT":"%s","BLKLOT":"%s","BLOCK_NUM":"%s","LOT_NUM":"%s",`,
			ids[i], blk, blk[:len(blk)-3], lot)
		lines.text = fmt.Appendf(lines.text, `"FROM_ST":"%s","TO_ST":"%s","STREET":"%s","ST_TYPE":%s,"ODD_EVEN":"%s"},`,
			from[i], to, street[i], stType, parity)
		lines.text = fmt.Appendf(lines.text, `"geometry":{"type":"%s","firstCoordinates":{"x":%s,"y":%s,"z":0.0},"coordinates":[`,
			geo, num(xs[0]), num(ys[0]))
		for k := range xs {
			if k > 0 {
				lines.text = append(lines.text, ',')
			}
			lines.text = append(lines.text, `{"x":`+num(xs[k])+`,"y":`+num(ys[k])+`,"z":0.0}`...)
		}
		lines.text = append(lines.text, "]}}"...)
		lines.end()
	}
	return lines.all()
}
