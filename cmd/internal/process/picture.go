package process

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tenantwatch/tenantwatch/worker"
)

// maxIDWidth is how wide the column of ids gets.
const maxIDWidth = 40

// picture is what is painted.
type picture struct {
	title         string
	about         string // what goes before the counts
	now           time.Time
	status        worker.Status
	last          func(tenantID string) string // the last line of output
	width, height int
}

// inTrouble is the order in which the states are shown: what somebody should look at comes first.
var inTrouble = []worker.State{
	worker.Overstaying, worker.GivenUp, worker.Restarting, worker.Stopping, worker.Waiting, worker.Running, worker.Done,
}

// lines is the whole picture, at most height lines.
func (p picture) lines() []string {
	const around = 4 // the head, an empty line, the names of the columns, and the count of the rest
	slices.SortStableFunc(p.status.Tenants, func(a, b worker.TenantStatus) int {
		return cmp.Compare(slices.Index(inTrouble, a.State), slices.Index(inTrouble, b.State))
	})
	room := len(p.status.Tenants)
	if room > p.height-around+1 {
		room = max(p.height-around, 0)
	}
	seen, rest := p.status.Tenants[:room], p.status.Tenants[room:]
	lines := append(p.head(), p.rows(seen)...)
	if len(rest) > 0 {
		lines = append(lines, fmt.Sprintf("and %d more: %s", len(rest), states(rest)))
	}
	for i := range lines {
		lines[i] = cut(lines[i], p.width)
	}
	return lines[:min(len(lines), p.height)]
}

func (p picture) head() []string {
	return []string{fmt.Sprintf("%s  %s  %s: %s", Clock(p.now), p.title, p.about, cmp.Or(states(p.status.Tenants), "no tenants")), ""}
}

func (p picture) rows(seen []worker.TenantStatus) []string {
	ids := make([]string, len(seen))
	width := len("TENANT")
	for i, t := range seen {
		ids[i] = cut(harmless([]byte(t.TenantID)), maxIDWidth)
		width = max(width, utf8.RuneCountInString(ids[i]))
	}
	rows := []string{fmt.Sprintf("%-*s  %-11s  %5s  %8s  %s", width, "TENANT", "STATE", "SINCE", "RESTARTS", "LAST LINE")}
	for i, t := range seen {
		rows = append(rows, strings.TrimRight(fmt.Sprintf("%-*s  %-11s  %5s  %8d  %s",
			width, ids[i], t.State, ago(p.now.Sub(t.Since)), t.Restarts, p.said(t)), " "))
	}
	return rows
}

// said is the last line, after the reason why there is no process if it is a bad one.
func (p picture) said(t worker.TenantStatus) string {
	said, reason := p.last(t.TenantID), ""
	if t.LastError != nil {
		reason = strings.TrimPrefix(harmless([]byte(t.LastError.Error())), worker.ErrGiveUp.Error()+": ")
	}
	switch {
	case t.State == worker.Waiting && t.Place > 0 && said == "":
		return fmt.Sprintf("number %d in line", t.Place)
	case reason == "" || t.State != worker.Restarting && t.State != worker.GivenUp:
		return said
	case said == "":
		return reason
	default:
		return reason + ": " + said
	}
}

// states counts the tenants in each state, as in "2 restarting, 40 running".
func states(tenants []worker.TenantStatus) string {
	var counts [worker.GivenUp + 1]int
	for _, t := range tenants {
		counts[t.State]++
	}
	var words []string
	for _, s := range inTrouble {
		if counts[s] > 0 {
			words = append(words, fmt.Sprintf("%d %s", counts[s], s))
		}
	}
	return strings.Join(words, ", ")
}

// ago is a duration in at most five letters.
func ago(d time.Duration) string {
	switch d = max(d, 0); {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	default:
		return fmt.Sprintf("%dd", int(d.Hours()/24))
	}
}

// cut takes off what goes beyond the width.
func cut(text string, width int) string {
	if utf8.RuneCountInString(text) <= width {
		return text
	}
	if width <= 0 {
		return ""
	}
	return string([]rune(text)[:width-1]) + "…"
}
