package worker

// Entries is how many places of g's memory are taken: by tenants, in line, and by deadlines.
func (g *Group) Entries() (tenants, line, deadlines int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.set.tasks), g.set.line.len(), len(g.set.due)
}
