package engine

import "container/heap"

// A queue gives the jobs of a plan in the order in which they can begin: each after
// those whose artifacts it needs, otherwise as the plan has them.
type queue struct {
	jobs    []*Job
	waiting []int // of each job, how many of those that it needs have not ended
	after   [][]int
	ready   positions
	byName  map[string]int
	stands  map[string]bool // see Plan
}

// positions is a heap of places in a plan.
type positions []int

func (p positions) Len() int           { return len(p) }
func (p positions) Less(i, j int) bool { return p[i] < p[j] }
func (p positions) Swap(i, j int)      { p[i], p[j] = p[j], p[i] }
func (p *positions) Push(v any)        { *p = append(*p, v.(int)) }
func (p *positions) Pop() any {
	last := (*p)[len(*p)-1]
	*p = (*p)[:len(*p)-1]
	return last
}

func newQueue(plan *Plan) *queue {
	q := &queue{
		jobs:    plan.Builds,
		waiting: make([]int, len(plan.Builds)),
		after:   make([][]int, len(plan.Builds)),
		byName:  map[string]int{},
		stands:  plan.stands,
	}
	for i, job := range plan.Builds {
		if _, ok := q.byName[job.Template.Name]; !ok {
			q.byName[job.Template.Name] = i
		}
	}
	for i, job := range plan.Builds {
		for _, need := range job.Template.Needs {
			// What is not in the plan, because it cannot be made, is not waited for.
			if at, ok := q.byName[need]; ok {
				q.waiting[i]++
				q.after[at] = append(q.after[at], i)
			}
		}
		if q.waiting[i] == 0 {
			q.ready = append(q.ready, i)
		}
	}
	return q
}

// next takes the first job that can begin; nil: none can now.
func (q *queue) next() *Job {
	if len(q.ready) == 0 {
		return nil
	}
	return q.jobs[heap.Pop(&q.ready).(int)]
}

// ended lets begin what waited for a job alone.
func (q *queue) ended(index int) {
	for _, i := range q.after[index] {
		if q.waiting[i]--; q.waiting[i] == 0 {
			heap.Push(&q.ready, i)
		}
	}
}
