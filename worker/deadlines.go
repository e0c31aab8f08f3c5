package worker

// deadlines is a heap of tasks, the earliest first.
type deadlines []*task //nolint:recvcheck // as container/heap wants it

// Len is for container/heap, and so are the others.
func (d deadlines) Len() int { return len(d) }

// Less says which is earlier.
func (d deadlines) Less(i, j int) bool { return d[i].due.Before(d[j].due) }

// Swap keeps the indexes.
func (d deadlines) Swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].index, d[j].index = i, j
}

// Push adds a task at the end.
func (d *deadlines) Push(x any) {
	t := x.(*task) //nolint:forcetypeassert // nothing else is pushed
	t.index = len(*d)
	*d = append(*d, t)
}

// Pop removes the last.
func (d *deadlines) Pop() any {
	last := len(*d) - 1
	t := (*d)[last]
	(*d)[last] = nil
	*d = (*d)[:last]
	t.index = -1
	return t
}
