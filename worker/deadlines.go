package worker

// timed is what a heap of deadlines has: it knows when it is due, and where in the heap it is.
type timed[T any] interface {
	earlier(than T) bool
	at(index int) // -1 is nowhere
}

// deadlines is a heap of them, the earliest first.
type deadlines[T timed[T]] []T

// Len is for container/heap, and so are the others.
func (d deadlines[T]) Len() int { return len(d) }

// Less says which is earlier.
func (d deadlines[T]) Less(i, j int) bool { return d[i].earlier(d[j]) }

// Swap keeps the indexes.
func (d deadlines[T]) Swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].at(i)
	d[j].at(j)
}

// Push adds one at the end.
func (d *deadlines[T]) Push(x any) {
	added := x.(T) //nolint:forcetypeassert // nothing else is pushed
	added.at(len(*d))
	*d = append(*d, added)
}

// Pop removes the last.
func (d *deadlines[T]) Pop() any {
	var none T
	last := len(*d) - 1
	popped := (*d)[last]
	(*d)[last] = none
	*d = (*d)[:last]
	popped.at(-1)
	return popped
}
