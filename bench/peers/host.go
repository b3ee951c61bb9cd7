package peers

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"ticketing"
	"ticketing/plugins/host"
)

// hosted is the rule in our rule host, uploaded and not trusted: its fuel is counted and its deadline watched.
type hosted struct {
	words []string
	host  *host.Host
	judge ticketing.Judge
	item  ticketing.Item
}

// NewHosted returns the rule in our rule host.
func NewHosted(words []string) (Rule, error) {
	config, err := json.Marshal(map[string]any{"match": [][]string{words}})
	if err != nil {
		return nil, err
	}
	return newHosted(guest("words_ticketing"), words, config)
}

func newHosted(module []byte, words []string, config []byte) (Rule, error) {
	limit := ticketing.RuleLimits{WallMicros: uint32(timeLimit / time.Microsecond)}
	r := &hosted{words: words, host: host.New(source(module), host.Options{Usual: limit, Most: limit})}
	rules := ticketing.RuleSet{Generation: 1, Rules: []ticketing.Rule{{Name: "words", Active: ticketing.DigestOf(module), Config: config}}}
	ctx := context.Background()
	err := r.host.Prepare(ctx, rules)
	if err == nil {
		r.judge, err = r.host.Open(ctx, rules)
	}
	if err != nil {
		r.host.Close()
		return nil, err
	}
	r.item = ticketing.Item{Kind: ticketing.KindComment, ID: ticketing.ID{1}, Post: ticketing.ID{2}, Rev: 1, At: time.Unix(1, 0)}
	return r, nil
}

// Judge implements Rule. It is the whole judgement, as the server runs it: with the item's frame, the outcome and the usage.
func (r *hosted) Judge(text string) (Verdict, error) {
	r.item.Text = text
	o := &r.judge.Judge(&r.item, nil).Outcomes[0]
	switch {
	case o.Failure != "":
		return Verdict{}, errors.New(o.Failure)
	case o.Action == ticketing.ActionReject:
		return rejected(r.words, uint64(o.Code)), nil
	}
	return Verdict{}, nil
}

// Close implements Rule.
func (r *hosted) Close() {
	r.judge.Close()
	r.host.Close()
}

// source is a module source of one module.
type source []byte

// Module implements ticketing.ModuleSource.
func (s source) Module(_ context.Context, d ticketing.Digest) ([]byte, error) {
	if d != ticketing.DigestOf(s) {
		return nil, ticketing.Errorf(ticketing.NotFound, "There is no module %v.", d)
	}
	return s, nil
}
