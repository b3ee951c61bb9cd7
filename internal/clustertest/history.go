package clustertest

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"
)

// What clients do with an item.
const (
	opGet    = "get"
	opEdit   = "edit"
	opDelete = "delete"
	opSignUp = "sign up"
)

// input is what a client asked of an item.
type input struct {
	Item   string // a comment's ID, or an e-mail address
	Op     string
	Expect string // edit and delete: the text of the version in If-Match
	Text   string // edit: the new text; sign up: whose attempt it is
}

// output is the answer. Status 0 means that there never was one: the operation took effect at any time, or never.
type output struct {
	Status int
	Text   string // get
}

// history is what clients saw.
type history struct {
	began time.Time

	mu  sync.Mutex
	ops []porcupine.Operation // held: mu
}

func (h *history) now() int64 { return time.Since(h.began).Nanoseconds() }

// add notes an operation that was called at a moment and has returned now, or that never will.
func (h *history) add(client int, called int64, in input, out output) {
	returned := h.now()
	if out.Status == 0 {
		returned = math.MaxInt64
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, porcupine.Operation{ClientId: client, Input: in, Call: called, Output: out, Return: returned})
}

// register is what an item promises, one item at a time: a comment that begins with its first text, which is the state, is edited by
// compare-and-set, and deleted for ever; an e-mail address that one sign-up gets.
func register(first map[string]string) porcupine.Model {
	return porcupine.Model{
		Partition: func(all []porcupine.Operation) [][]porcupine.Operation {
			by := map[string][]porcupine.Operation{}
			for _, op := range all {
				item := op.Input.(input).Item
				by[item] = append(by[item], op)
			}
			var parts [][]porcupine.Operation
			for item, ops := range by {
				// The first operation says how the item begins.
				parts = append(parts, append([]porcupine.Operation{{Input: input{Item: item, Op: "begin", Text: first[item]}, Output: output{}, Call: -2, Return: -1}}, ops...))
			}
			return parts
		},
		Init:              func() any { return "" },
		Step:              func(state, in, out any) (bool, any) { return step(state.(string), in.(input), out.(output)) },
		DescribeOperation: describeOperation,
		DescribeState:     func(state any) string { return fmt.Sprintf("%q", state) },
	}
}

// gone is the state of a deleted comment.
const gone = "(deleted)"

// step says whether an answer fits a state, and what the state is then.
func step(state string, in input, out output) (bool, string) {
	switch in.Op {
	case "begin":
		return true, in.Text
	case opGet:
		if out.Status == 404 {
			return state == gone, state
		}
		return state == out.Text, state
	case opEdit:
		return change(state, in, out, in.Text)
	case opDelete:
		return change(state, in, out, gone)
	case opSignUp:
		return signUp(state, in, out)
	}
	return false, state
}

// change is an edit or a deletion. A decision about the comment moves its version, too, so a refusal by If-Match is possible at any time; the
// text of the version is then still what it was.
func change(state string, in input, out output, next string) (bool, string) {
	matches := state == in.Expect && state != gone
	switch out.Status {
	case 0:
		if matches {
			return true, next
		}
		return true, state
	case 200, 204:
		return matches, next
	case 412:
		return state != gone, state
	case 404:
		return state == gone, state
	}
	return false, state
}

func signUp(state string, in input, out output) (bool, string) {
	free := state == ""
	switch out.Status {
	case 0:
		if free {
			return true, in.Text
		}
		return true, state
	case 201:
		return free || state == in.Text, in.Text
	case 409:
		return !free && state != in.Text, state
	}
	return false, state
}

func describeOperation(in, out any) string {
	i, o := in.(input), out.(output)
	return fmt.Sprintf("%s %q→%q: %d %q", i.Op, i.Expect, i.Text, o.Status, o.Text)
}

// check fails the test if the history is not linearizable, and writes what cannot be explained to files.
func (c *Cluster) check(h *history, first map[string]string) {
	c.tb.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	model := register(first)
	result, info := porcupine.CheckOperationsVerbose(model, h.ops, 2*time.Minute)
	if result == porcupine.Ok {
		return
	}
	dir := c.failedDir()
	c.tb.Errorf("the history of %d operations is not linearizable: %v; it is in %s", len(h.ops), result, dir)
	if err := porcupine.VisualizePath(model, info, filepath.Join(dir, "history.html")); err != nil {
		c.tb.Log(err)
	}
	var b strings.Builder
	for _, part := range model.Partition(h.ops) {
		if !porcupine.CheckOperations(porcupine.Model{Init: model.Init, Step: model.Step}, part) {
			slices.SortFunc(part, func(a, b porcupine.Operation) int { return int(a.Call - b.Call) })
			for _, op := range part {
				line, _ := json.Marshal(op)
				b.Write(append(line, '\n'))
			}
			b.WriteByte('\n')
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "history.jsonl"), []byte(b.String()), 0o600); err != nil {
		c.tb.Log(err)
	}
}
