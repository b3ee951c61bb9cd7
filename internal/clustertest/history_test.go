package clustertest

import (
	"math"
	"testing"

	"github.com/anishathalye/porcupine"
)

// The checker of histories can turn red: what a cluster that loses writes, reads old states or takes an address twice would show is not
// linearizable, and what one does that answers nothing is.
func TestRegister(t *testing.T) {
	const never = math.MaxInt64
	op := func(call, back int64, in input, out output) porcupine.Operation {
		return porcupine.Operation{Input: in, Call: call, Output: out, Return: back}
	}
	get := func(text string) (input, output) { return input{Item: "c", Op: opGet}, output{200, text} }
	edit := func(from, to string, status int) (input, output) {
		return input{Item: "c", Op: opEdit, Expect: from, Text: to}, output{Status: status}
	}
	signUp := func(who string, status int) (input, output) {
		return input{Item: "a@example.org", Op: opSignUp, Text: who}, output{Status: status}
	}
	remove := func(from string, status int) (input, output) {
		return input{Item: "c", Op: opDelete, Expect: from}, output{Status: status}
	}
	at := func(call, back int64) func(input, output) porcupine.Operation {
		return func(in input, out output) porcupine.Operation { return op(call, back, in, out) }
	}
	for _, tc := range []struct {
		name string
		want bool
		ops  []porcupine.Operation
	}{
		{"one after another", true, []porcupine.Operation{at(1, 2)(edit("first", "second", 200)), at(3, 4)(get("second")), at(5, 6)(remove("second", 204)), at(7, 8)(input{Item: "c", Op: opGet}, output{Status: 404})}},
		{"at once, either order", true, []porcupine.Operation{at(1, 4)(edit("first", "second", 200)), at(2, 3)(get("first"))}},
		{"a lost edit", false, []porcupine.Operation{at(1, 2)(edit("first", "second", 200)), at(3, 4)(get("first"))}},
		{"an old read", false, []porcupine.Operation{at(1, 8)(edit("first", "second", 200)), at(2, 3)(get("second")), at(4, 5)(get("first"))}},
		{"two edits of one version", false, []porcupine.Operation{at(1, 2)(edit("first", "second", 200)), at(3, 4)(edit("first", "third", 200))}},
		{"an edit of what is deleted", false, []porcupine.Operation{at(1, 2)(remove("first", 204)), at(3, 4)(edit("first", "second", 200))}},
		{"deleted, and there again", false, []porcupine.Operation{at(1, 2)(remove("first", 204)), at(3, 4)(get("first"))}},
		{"gone without a deletion", false, []porcupine.Operation{at(1, 2)(input{Item: "c", Op: opGet}, output{Status: 404})}},
		{"no answer, and it was done", true, []porcupine.Operation{at(1, never)(edit("first", "second", 0)), at(3, 4)(get("second"))}},
		{"no answer, and it was not done", true, []porcupine.Operation{at(1, never)(edit("first", "second", 0)), at(3, 4)(get("first"))}},
		{"no answer, done and undone", false, []porcupine.Operation{at(1, never)(edit("first", "second", 0)), at(3, 4)(get("second")), at(5, 6)(get("first"))}},
		{"one owner of an address", true, []porcupine.Operation{at(1, 2)(signUp("ann", 201)), at(3, 4)(signUp("bob", 409))}},
		{"two owners of an address", false, []porcupine.Operation{at(1, 2)(signUp("ann", 201)), at(3, 4)(signUp("bob", 201))}},
		{"an address that nobody has", false, []porcupine.Operation{at(1, 2)(signUp("ann", 409))}},
	} {
		if got := porcupine.CheckOperations(register(map[string]string{"c": "first"}), tc.ops); got != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
}
