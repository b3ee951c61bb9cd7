package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"

	"ticketing/client"
	"ticketing/plugins/rules"
)

// wordsOfRule is how many words each rule of [Options.Rules] looks for.
const wordsOfRule = 20

// wordRules lets n rules judge and no others: copies of the built-in blocklist, each with words of its own that nobody writes. So runs with
// different numbers of rules decide alike, and differ only in what judging costs.
func wordRules(ctx context.Context, operator *client.Client, n int) error {
	present, err := operator.Rules(ctx)
	if err != nil {
		return err
	}
	for i := range n {
		name := fmt.Sprintf("bench-%d", i+1)
		v, _, err := operator.Upload(ctx, name, rules.Builtin()[0].Module)
		if err != nil {
			return fmt.Errorf("uploading the rule %s: %w", name, err)
		}
		config, err := unwritten(uint64(i))
		if err != nil {
			return err
		}
		if _, err := operator.SetRule(ctx, name, "", client.RuleChange{Active: v.Digest.String(), Config: config}); err != nil {
			return fmt.Errorf("the rule %s: %w", name, err)
		}
	}
	for _, r := range present {
		if r.Active == "" {
			continue
		}
		if _, err := operator.Retire(ctx, r.Name, r.ETag, ""); err != nil {
			return fmt.Errorf("retiring the rule %s: %w", r.Name, err)
		}
	}
	return nil
}

// unwritten is a configuration of words that are letters at random, the same for the same seed.
func unwritten(seed uint64) (json.RawMessage, error) {
	r := rand.New(rand.NewPCG(seed, 0))
	words := make([]string, wordsOfRule)
	for i := range words {
		w := make([]byte, 8+r.IntN(5))
		for k := range w {
			w[k] = byte('a' + r.IntN(26))
		}
		words[i] = string(w)
	}
	return json.Marshal(map[string]any{"match": []any{map[string]any{"words": words}}})
}
