// Package host runs rule sets: it implements ticketing.RuleEngine over wazero, for modules that speak the contract of
// package abi. It knows nothing of storage, actors or HTTP; modules come from a ticketing.ModuleSource, and what rules
// remember goes through ticketing.RuleState.
//
// # How a rule set is held
//
// A version is a compiled module in a wazero runtime of its own, because the memory limit is the runtime's. A loadedRule is a
// version with one configuration: the word sets and expressions that the host compiled, and the JSON for the guest. Both
// are shared and counted: the two rule sets that were prepared last hold theirs (the present one and the standby for a
// rollback), every open judge holds its own, and what nobody holds is closed. A judge has instances of its own and is used
// by one goroutine, so calls take no locks.
//
// # What a guest can do to us
//
// A module is inspected before it is compiled, as compiling is the easiest way to stop a server; see inspect.go for the
// bounds. Calls of uploaded modules run under a deadline (limiter.go); built-in ones, whose source is ours, run without,
// which makes a call about ten times cheaper. Whatever goes wrong in a call ends only that call: its outcome names the
// failure and carries the action of the rule's failure policy, what it counted is taken back, and the instance, whose
// memory is half-done work, is replaced before the next item.
//
// A call that hits its deadline is tried once more, as a busy machine may lose that time by itself; what the first attempt
// counted is taken back before.
//
// Known gap until modules are metered: a guest without loops that calls exponentially many functions is noticed only when
// it returns.
package host
