// Package peers is one moderation rule in several engines: our rule host, Extism's Go SDK, OPA's Go evaluator, and no engine at all. Its
// test says that they agree on real comments, its benchmarks what each of them costs. It is a module of its own so that the product
// imports none of its peers.
//
// The rule: a text is rejected for the first of twenty words that it has, in any case, with no letter or digit of ASCII beside it.
// Every other text is approved. Every engine gets the words as data, and keeps what it makes of them.
package peers

import (
	"embed"
	"time"
)

// A Verdict is what a rule says about a text. The word is empty for a text that is approved.
type Verdict struct {
	Rejected bool
	Word     string
}

// A Rule is the rule in one engine. It serves one goroutine.
type Rule interface {
	Judge(text string) (Verdict, error)
	Close()
}

// timeLimit is how long a call may take, for engines that watch it. Being watched is what costs; it is long because Extism closes an
// instance for good when a busy machine lets a call wait.
const timeLimit = 5 * time.Second

//go:embed guests/*.wasm
var guests embed.FS

// guest returns an embedded module; that it is there is checked when the package is built and tested.
func guest(name string) []byte {
	b, err := guests.ReadFile("guests/" + name + ".wasm")
	if err != nil {
		panic("peers: " + err.Error())
	}
	return b
}

// rejected is the verdict for the word of a number.
func rejected(words []string, number uint64) Verdict {
	return Verdict{Rejected: true, Word: words[number]}
}
