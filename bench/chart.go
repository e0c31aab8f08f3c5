package main

import (
	"fmt"
	"math"
	"strings"
)

// chart is how cost grows: lines through points, on two axes of which each grid line is ten times the one before.
type chart struct {
	title, across, up string
	lines             []line
}

type line struct {
	name   string
	points []point
}

type point struct{ x, y float64 }

// The size of a chart in pixels, and of the room around what is drawn.
const (
	chartWidth, chartHeight       = 640, 400
	leftRoom, topRoom, bottomRoom = 70, 50, 50
	rightRoom                     = 130 // for the names of lines
)

// colours are told apart by those who see few of them, too (those of Okabe and Ito, 2008).
var colours = []string{"#0072b2", "#d55e00", "#009e73", "#cc79a7"}

// axis is a range of decades.
type axis struct{ from, to float64 } // powers of ten

func (c *chart) axes() (x, y axis) {
	x, y = axis{math.Inf(1), math.Inf(-1)}, axis{math.Inf(1), math.Inf(-1)}
	for _, l := range c.lines {
		for _, p := range l.points {
			x, y = x.with(p.x), y.with(p.y)
		}
	}
	x.to, y.to = max(x.to, x.from+1), max(y.to, y.from+1)
	return x, y
}

func (a axis) with(value float64) axis {
	low, high := math.Floor(math.Log10(value)), math.Ceil(math.Log10(value))
	return axis{min(a.from, low), max(a.to, high)}
}

// at is where on the axis a value is, from 0 to 1.
func (a axis) at(value float64) float64 { return (math.Log10(value) - a.from) / (a.to - a.from) }

// svg draws it.
func (c *chart) svg() string {
	x, y := c.axes()
	across := func(value float64) float64 { return leftRoom + x.at(value)*(chartWidth-leftRoom-rightRoom) }
	up := func(value float64) float64 {
		return chartHeight - bottomRoom - y.at(value)*(chartHeight-topRoom-bottomRoom)
	}
	var out strings.Builder
	draw := func(format string, args ...any) { _, _ = fmt.Fprintf(&out, format+"\n", args...) } // into memory
	draw(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`, chartWidth, chartHeight)
	draw(`<rect width="100%%" height="100%%" fill="white"/><text x="%d" y="24" font-size="15" font-weight="bold">%s</text>`, leftRoom, c.title)
	for power := x.from; power <= x.to; power++ {
		at := across(math.Pow(10, power))
		draw(`<path d="M%.1f %d V%d" stroke="#ddd"/><text x="%.1f" y="%d" text-anchor="middle">%s</text>`,
			at, topRoom, chartHeight-bottomRoom, at, chartHeight-bottomRoom+18, decade(power))
	}
	for power := y.from; power <= y.to; power++ {
		at := up(math.Pow(10, power))
		draw(`<path d="M%d %.1f H%d" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`,
			leftRoom, at, chartWidth-rightRoom, leftRoom-6, at+4, decade(power))
	}
	draw(`<text x="%d" y="%d" text-anchor="middle">%s</text>`, (leftRoom+chartWidth-rightRoom)/2, chartHeight-10, c.across)
	draw(`<text transform="translate(16 %d) rotate(-90)" text-anchor="middle">%s</text>`, chartHeight/2, c.up)
	for i, l := range c.lines {
		path := make([]string, len(l.points))
		for j, p := range l.points {
			path[j] = fmt.Sprintf("%.1f,%.1f", across(p.x), up(p.y))
			draw(`<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`, across(p.x), up(p.y), colours[i])
		}
		draw(`<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`, strings.Join(path, " "), colours[i])
		draw(`<text x="%d" y="%d" fill="%s">— %s</text>`, chartWidth-rightRoom+10, topRoom+10+18*i, colours[i], l.name)
	}
	draw(`</svg>`)
	return out.String()
}

// decade is a power of ten as people write it.
func decade(power float64) string {
	switch value := math.Pow(10, power); {
	case value >= 1e6:
		return fmt.Sprintf("%gM", value/1e6)
	case value >= 1e3:
		return fmt.Sprintf("%gk", value/1e3)
	default:
		return fmt.Sprintf("%.9g", value)
	}
}
