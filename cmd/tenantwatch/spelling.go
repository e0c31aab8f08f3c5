package main

import (
	"context"
	"slices"
	"strings"

	"github.com/tenantwatch/tenantwatch/managerapi"
)

// mostClose is how many names are offered for one that is not known.
const mostClose = 3

// isNew reports whether no key and no tenant knows the service, and which names that are known are close to it.
func (s *session) isNew(ctx context.Context, service string) (unknown bool, near []string, err error) {
	keys, err := s.Admin().Keys(ctx, "")
	if err != nil {
		return false, nil, err
	}
	names := make([]string, 0, len(keys))
	for _, key := range keys {
		names = append(names, key.Service)
	}
	if slices.Contains(names, service) {
		return false, nil, nil
	}
	page, err := s.Admin().Tenants(ctx, managerapi.TenantQuery{Service: service, Limit: 1})
	if err != nil || len(page.Tenants) > 0 {
		return false, nil, err
	}
	return true, closeNames(service, names), nil
}

// closeNames are the names that somebody may have meant, the closest first.
func closeNames(word string, names []string) []string {
	slices.Sort(names)
	var near []string
	for _, name := range slices.Compact(names) {
		if distance(word, name) <= farthest(word) {
			near = append(near, name)
		}
	}
	slices.SortStableFunc(near, func(a, b string) int { return distance(word, a) - distance(word, b) })
	return near[:min(len(near), mostClose)]
}

// farthest is how many letters may be wrong: one in three. Two that are swapped are two.
func farthest(word string) int { return max(1, len(word)/3) }

// distance is how many letters have to be put in, taken out or replaced to make one word of the other; case does not count.
func distance(a, b string) int {
	from, to := []rune(strings.ToLower(a)), []rune(strings.ToLower(b))
	row := make([]int, len(to)+1)
	for j := range row {
		row[j] = j
	}
	for i := range from {
		diagonal := row[0]
		row[0] = i + 1
		for j := range to {
			replaced := diagonal
			if from[i] != to[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(to)]
}
