package moderation

import (
	"ticketing"
	"ticketing/runtime/shard"
)

// configKey is in the first slot: every shard keeps the configurations that its own decisions name.
func configKey(d ticketing.Digest) shard.Key { return shard.KeyAt(tableConfig, 0, d[:]) }

// keepConfigs stores the configurations of a rule set's versions for ever, each once: decisions name them by digest, and are replayed with
// them long after control has forgotten the generation.
func keepConfigs(tx *shard.Tx, set *ticketing.RuleSet) {
	if tx.Format() < ticketing.PlatformFormat {
		return
	}
	eachConfig(set, func(config []byte) bool {
		if k := configKey(ticketing.DigestOf(config)); !tx.Has(k) {
			tx.Put(k, config)
		}
		return true
	})
}

// eachConfig calls fn with every configuration by which a set may judge, until it returns false.
func eachConfig(set *ticketing.RuleSet, fn func(config []byte) bool) {
	for i := range set.Rules {
		r := &set.Rules[i]
		configs := [][]byte{r.Config, r.PrevConf}
		for _, c := range []*ticketing.Candidate{r.Canary, r.Shadow} {
			if c != nil {
				configs = append(configs, c.Config)
			}
		}
		for _, c := range configs {
			if !fn(c) {
				return
			}
		}
	}
}

type whichConfig struct {
	Digest ticketing.Digest `cbor:"1,keyasint"`
}

// config finds a configuration by its digest. A rule set that was taken before configurations were kept has its own.
func (s *service) config(v *shard.View, q *whichConfig) (config []byte, err error) {
	if v.Get(configKey(q.Digest), &config) {
		return config, nil
	}
	var set ticketing.RuleSet
	v.Get(ruleSetKey(), &set)
	found := false
	eachConfig(&set, func(c []byte) bool {
		if ticketing.DigestOf(c) == q.Digest {
			config, found = c, true
		}
		return !found
	})
	if !found {
		return nil, ticketing.Errorf(ticketing.NotFound, "The rule's configuration of that time is not kept.")
	}
	return config, nil
}
