package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"charm.land/lipgloss/v2/table"
)

const (
	cardWait   = 300 * time.Millisecond // for the deliveries of an event, until it is shown with what there is
	viewTick   = 100 * time.Millisecond
	lineBudget = 40  // lines a second that somebody can still follow; more are counted, not shown
	plainWidth = 118 // columns where nobody knows how many there are
)

// A show is what the audience of the demo sees: the ledger, and lines as they become known. It belongs to the goroutine that
// runs it; others hand it notes.
type show struct {
	*ledger
	notes chan func(*show)
	out   io.Writer
	live  bool // there is a terminal, and a line of totals at its bottom
	width int
	began time.Time

	cards   []*card // events not shown yet
	shown   map[*happening]bool
	status  string // what stands at the bottom
	drawn   bool
	budget  int // lines that may be shown in this second
	second  time.Time
	skipped int

	over    chan struct{} // closed at the end; notes that come later are not taken
	closing bool          // nothing more will be put
	settled chan struct{} // closed when, after that, nothing waits
}

// A card is an event with its deliveries.
type card struct {
	event *happening
	legs  []*leg
	at    time.Time
}

func newShow(out io.Writer, now time.Time) *show {
	s := &show{
		ledger: newLedger(), notes: make(chan func(*show), 1024), out: colored(out), live: isTerminal(out),
		width: widthOf(out, plainWidth), began: now, shown: map[*happening]bool{}, over: make(chan struct{}), settled: make(chan struct{}),
	}
	return s
}

// tell hands a note to the show, and waits until it has room or ctx, which is that of the audience, has ended.
func (s *show) tell(ctx context.Context, note func(*show)) {
	select {
	case s.notes <- note:
	case <-ctx.Done():
	}
}

// run takes notes until it is over, and those that are there by then.
func (s *show) run() {
	tick := time.NewTicker(viewTick)
	defer tick.Stop()
	s.print("")
	s.print(s.header())
	for {
		select {
		case note := <-s.notes:
			note(s)
			s.showCards(false)
			s.checkSettled()
		case <-tick.C:
			s.showCards(false)
			s.drawStatus()
		case <-s.over:
			s.last()
			return
		}
	}
}

// last shows what has not been shown.
func (s *show) last() {
	for len(s.notes) > 0 {
		note := <-s.notes
		note(s)
	}
	s.showCards(true)
	s.erase()
}

// checkSettled tells when everything has come to its end.
func (s *show) checkSettled() {
	if s.closing && s.waiting == 0 {
		s.closing = false
		close(s.settled)
	}
}

// Notes.

// putting shows an event that is about to be put.
func (s *show) putting(h *happening, ways []way, now time.Time) {
	s.cards = append(s.cards, &card{h, s.expect(h, ways, now), now})
}

// notAccepted takes an event back.
func (s *show) notAccepted(h *happening, why string) {
	for i, c := range s.cards {
		if c.event == h {
			s.forget(h, c.legs)
			s.cards = append(s.cards[:i], s.cards[i+1:]...)
			break
		}
	}
	s.line(bad.Render(fmt.Sprintf("%s was not accepted: %s", h.ref, printable(why))))
}

func (s *show) arrived(ref, to, body string, now time.Time) {
	s.ended(s.settle(ref, to, legDelivered, body, now))
}

// died notes a dead letter. What the receiver itself has said explains it better than the code does.
func (s *show) died(ref, to, code string, now time.Time) {
	l := s.legs[[2]string{ref, to}]
	if l != nil && l.said != "" {
		code = l.said + " (" + code + ")"
	}
	s.ended(s.settle(ref, to, legDead, ref+": "+code+" → dead-letter queue", now))
}

// ended shows the end of a delivery whose event was shown before.
func (s *show) ended(l *leg) {
	if l != nil && s.shown[l.event] {
		s.line(s.row(s.since(l.began.Add(l.took)), l.event.detailType, l))
	}
}

// announce shows a line that is no event.
func (s *show) announce(text string, now time.Time) {
	s.showCards(true)
	s.line(faint.Render(s.since(now)) + "  " + warning.Render(text))
}

// showCards shows the events of which everything is known, or that have waited long enough.
func (s *show) showCards(all bool) {
	now := time.Now()
	kept := s.cards[:0]
	for _, c := range s.cards {
		if !all && !c.complete() && now.Sub(c.at) < cardWait {
			kept = append(kept, c)
			continue
		}
		s.showCard(c)
	}
	s.cards = kept
}

// complete reports whether something is known of every delivery, be it that it is attempted again later.
func (c *card) complete() bool {
	for _, l := range c.legs {
		if l.state == legWaiting && l.attempts == 0 {
			return false
		}
	}
	return true
}

func (s *show) showCard(c *card) {
	s.shown[c.event] = true
	at, name := s.since(c.at), c.event.detailType
	if len(c.legs) == 0 {
		s.line(s.columns(faint.Render(at), faint.Render(name), faint.Render("(no rule)"), "", "", ""))
		return
	}
	for i, l := range c.legs {
		if i > 0 {
			at, name = "", ""
		}
		s.line(s.row(at, name, l))
	}
}

// Columns of a line; what was received gets the rest.
const (
	timeColumn   = 6
	eventColumn  = 19
	ruleColumn   = 18
	targetColumn = 14
	tookColumn   = 8
	gaps         = 5 * 2
)

// row is a delivery as a line.
func (s *show) row(at, event string, l *leg) string {
	took, said := "", printable(l.said)
	switch l.state {
	case legDelivered:
		took = good.Render(rightAlign(millis(l.took)))
		if l.attempts > 0 {
			said = fmt.Sprintf("(attempt %d) ", l.attempts+1) + said
		}
	case legDead:
		took = bad.Render(rightAlign("dead"))
	case legWaiting:
		took = warning.Render(rightAlign("again"))
		if l.attempts == 0 {
			took, said = faint.Render(rightAlign("…")), "on its way"
		} else {
			said = l.event.ref + ": " + said
		}
	}
	room := max(20, s.width-timeColumn-eventColumn-ruleColumn-targetColumn-tookColumn-gaps)
	return s.columns(faint.Render(at), strong.Render(event), named.Render(l.rule), l.to, took, shorten(said, room))
}

func (s *show) columns(at, event, rule, to, took, said string) string {
	widths := []int{timeColumn, eventColumn, ruleColumn, targetColumn, tookColumn}
	var b strings.Builder
	for i, text := range []string{at, event, rule, to, took} {
		b.WriteString(text + spaces(widths[i]-lipgloss.Width(text)+2))
	}
	return strings.TrimRight(b.String()+said, " ")
}

func (s *show) header() string {
	return heading.Render(s.columns("TIME", "EVENT", "RULE", "TARGET", rightAlign("TOOK"), "WHAT THE TARGET RECEIVED"))
}

func rightAlign(s string) string { return spaces(tookColumn-lipgloss.Width(s)) + s }

// since is a time from the beginning of the show.
func (s *show) since(t time.Time) string { return fmt.Sprintf("%5.2fs", t.Sub(s.began).Seconds()) }

// line shows one more line, if somebody could still follow.
func (s *show) line(text string) {
	now := time.Now()
	if now.Sub(s.second) >= time.Second {
		s.second, s.budget = now, lineBudget
		if s.skipped > 0 {
			s.print(faint.Render(fmt.Sprintf("        … and %d lines more", s.skipped)))
			s.skipped = 0
		}
	}
	if s.budget--; s.budget < 0 {
		s.skipped++
		return
	}
	s.print(text)
}

// print writes text above the status line.
func (s *show) print(text string) {
	s.erase()
	if s.live {
		text = lipgloss.NewStyle().MaxWidth(s.width).Render(text)
	}
	fmt.Fprintln(s.out, text)
}

// drawStatus writes the totals on the last line of a terminal.
func (s *show) drawStatus() {
	if !s.live {
		return
	}
	a := s.account("")
	text := fmt.Sprintf("%d events · %d deliveries: %s · %s · %s · p50 %s · p99 %s", s.events, a.accepted,
		good.Render(fmt.Sprintf("%d delivered", a.delivered)), warning.Render(fmt.Sprintf("%d waiting", a.waiting)),
		bad.Render(fmt.Sprintf("%d dead", a.dead)), millis(a.p50), millis(a.p99))
	if text == s.status && s.drawn {
		return
	}
	s.erase()
	s.status, s.drawn = text, true
	fmt.Fprint(s.out, lipgloss.NewStyle().MaxWidth(s.width).Render(text))
}

// erase takes the status line away.
func (s *show) erase() {
	if s.drawn {
		fmt.Fprint(s.out, "\r\x1b[K")
		s.drawn = false
	}
}

// summary is the table at the end, which adds up: what was accepted was delivered, or waits, or is dead.
func (s *show) summary(w io.Writer) {
	t := table.New().
		Border(lipgloss.NormalBorder()).BorderTop(false).BorderBottom(false).BorderLeft(false).BorderRight(false).BorderColumn(false).
		Headers("TARGET", "ACCEPTED", "DELIVERED", "WAITING", "DEAD", "RETRIED", "P50", "P99").
		StyleFunc(func(row, col int) lipgloss.Style {
			style := lipgloss.NewStyle().PaddingRight(2)
			if col > 0 {
				style = lipgloss.NewStyle().Align(lipgloss.Right).PaddingLeft(2)
			}
			if row == table.HeaderRow || row == len(receivers) {
				style = style.Bold(true)
			}
			return style
		})
	for _, to := range receivers {
		t.Row(s.account(to).row(to)...)
	}
	total := s.account("")
	t.Row(total.row("total")...)
	fmt.Fprintf(w, "\n%s\n\n", trimLines(t.String()))
	fmt.Fprintf(w, "%d events accepted, %d of them wanted by no rule. %d deliveries = %d delivered + %d waiting + %d dead.\n",
		s.events, s.unwanted, total.accepted, total.delivered, total.waiting, total.dead)
	for _, odd := range []struct {
		n    int
		what string
	}{
		{s.refused, "events were not accepted"}, {s.repeated, "deliveries came twice, which at-least-once allows"},
		{s.strays, "deliveries were not due: that is a bug, please report it"},
	} {
		if odd.n > 0 {
			fmt.Fprintf(w, "%s\n", warning.Render(fmt.Sprintf("%d %s.", odd.n, odd.what)))
		}
	}
}

func (a account) row(name string) []string {
	return []string{
		name, fmt.Sprint(a.accepted), fmt.Sprint(a.delivered), fmt.Sprint(a.waiting), fmt.Sprint(a.dead), fmt.Sprint(a.retried), millis(a.p50), millis(a.p99),
	}
}

// millis is a duration as people read it: 2.1 ms, 340 ms, 4.2 s.
func millis(d time.Duration) string {
	switch {
	case d == 0:
		return "–"
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

// trimLines takes the spaces off the ends of lines.
func trimLines(s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = strings.TrimRight(l, " ")
	}
	return strings.Join(lines, "\n")
}
