package host

import (
	"time"

	"ticketing"
	"ticketing/plugins/abi"
	"ticketing/plugins/meter"
)

const (
	pageSize  = 64 << 10 // bytes of a page of memory
	callDepth = 4_096    // that modules are rewritten for; rules get less of it
)

// usual returns the limits of a rule that nobody sets any for, and most what can be asked for.
func usual() ticketing.RuleLimits {
	return ticketing.RuleLimits{
		Fuel: 10_000_000, MemoryPages: 16 << 20 / pageSize, WallMicros: 20_000, HostCalls: abi.MaxHostCalls, CallDepth: 512,
		KVBytes: abi.MaxKey + abi.MaxValue, InitFuel: 100_000_000, InitMicros: 2_000_000, LogBytes: abi.MaxLog, OutputBytes: 64 << 10,
	}
}

func most() ticketing.RuleLimits {
	return ticketing.RuleLimits{
		Fuel: 200_000_000, MemoryPages: 64 << 20 / pageSize, WallMicros: 500_000, HostCalls: 10 * abi.MaxHostCalls, CallDepth: callDepth,
		KVBytes: abi.MaxKey + abi.MaxValue, InitFuel: 1_000_000_000, InitMicros: 10_000_000, LogBytes: 64 << 10, OutputBytes: 1 << 20,
	}
}

// or fills what is zero in a with what b says.
func or(a, b ticketing.RuleLimits) ticketing.RuleLimits {
	fill(&a.Fuel, b.Fuel)
	fill(&a.MemoryPages, b.MemoryPages)
	fill(&a.WallMicros, b.WallMicros)
	fill(&a.HostCalls, b.HostCalls)
	fill(&a.CallDepth, b.CallDepth)
	fill(&a.KVBytes, b.KVBytes)
	fill(&a.InitFuel, b.InitFuel)
	fill(&a.InitMicros, b.InitMicros)
	fill(&a.LogBytes, b.LogBytes)
	fill(&a.OutputBytes, b.OutputBytes)
	return a
}

func fill[N uint32 | uint64](n *N, with N) {
	if *n == 0 {
		*n = with
	}
}

// Limits implements ticketing.RuleConsole.
func (h *Host) Limits() (usual, most ticketing.RuleLimits) { return h.opts.Usual, h.opts.Most }

// Effective implements ticketing.RuleConsole. It is the least of what the rule allows, which for what its operator does not name is the
// server's usual limit, what the manifest names, and the server's most. A manifest alone gets more than usual of nothing but memory,
// without which the runtimes of some languages do not start.
func (h *Host) Effective(rule ticketing.Rule, m ticketing.Manifest) ticketing.RuleLimits {
	allowed := or(rule.Limits, h.opts.Usual)
	if rule.Limits.MemoryPages == 0 && m.Limits.MemoryPages > 0 {
		allowed.MemoryPages = h.opts.Most.MemoryPages
	}
	l := allowed.Least(m.Limits).Least(h.opts.Most)
	l.CallDepth = min(l.CallDepth, callDepth)
	return l
}

// set is what an operator has set of a rule's limits, nil if nothing.
func set(l ticketing.RuleLimits) *ticketing.RuleLimits {
	if l == (ticketing.RuleLimits{}) {
		return nil
	}
	return &l
}

func wall(l *ticketing.RuleLimits) time.Duration {
	return time.Duration(l.WallMicros) * time.Microsecond
}

func initTime(l *ticketing.RuleLimits) time.Duration {
	return time.Duration(l.InitMicros) * time.Microsecond
}

// admission returns the bounds of modules. They are the same for every server of a version, so that all nodes of a cluster use the same
// modules, also where one of them takes only smaller ones as uploads.
func admission() meter.Limits {
	l := meter.DefaultLimits()
	l.ModuleBytes, l.CallDepth = ticketing.MaxModule, callDepth
	l.MemoryPages = int(most().MemoryPages)
	return l
}
