// Package host runs rule sets: it implements ticketing.RuleEngine over wazero, for modules that speak the contract of
// package abi. It knows nothing of storage, actors or HTTP; modules come from a ticketing.ModuleSource, and what rules
// remember goes through ticketing.RuleState.
//
// # How a rule set is held
//
// A version is a compiled module in a wazero runtime of its own, because the memory limit is the runtime's. A loadedRule is a
// version with one configuration: the word sets, lists and expressions that the host compiled, and the JSON for the guest. Both
// are shared and counted: the two rule sets that were prepared last hold theirs (the present one and the standby for a
// rollback), every open judge holds its own, and what nobody holds is closed. A judge has instances of its own and is used
// by one goroutine, so calls take no locks. The judge of the next set gets from the one before what is the same in both, and what is new
// from the spares that were started when the set was prepared (spares.go).
//
// # What a guest can do to us
//
// A module is admitted before it is compiled, as compiling is the easiest way to stop a server (package meter), compiled in a
// child process (package compile), and rewritten so that it pays for what it does. A call has an account of fuel and a deadline,
// see fuel.go; its imports are those of the contract that its manifest names, and the fields too. Whatever goes wrong in a call
// ends only that call: what it wrote is taken back, the instance, whose memory is half-done work, is replaced before the next item, the
// last good version judges the same item, and if there is none or it fails as well, the outcome names the failure and carries the action
// of the rule's failure policy. A call that hits its deadline is tried once more on the same version, as a busy machine may lose
// that time by itself.
//
// Failures are "fuel", "deadline", "call depth", "memory" (a trap or exit with more than three quarters of the memory in use), "trap: …",
// "exit n", "bad output: …", "bad pointer", "too many host calls", "guest error n", "cannot start", "quarantined", and "host error", which
// is ours and counts against nobody.
//
// # Who keeps count
//
// The books (books.go) know what each version costs in each of its roles; a breaker (breaker.go) says when it fails too often. The host
// only reports that: what is done about it, control decides.
package host
