// Command mutants breaks each invariant on purpose, and checks that a test turns red. It changes no file: the go command compiles an overlay. Run
// it with `make mutants`; docs/MUTATIONS.md is what it prints. Words as arguments choose the breaks whose line contains one of them.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// mutant is one deliberate break.
type mutant struct {
	invariant, what string
	file, from, to  string // several replacements are separated by ¦
	pkg, test       string
}

var mutants = []mutant{
	{"1", "the log is written without fsync", "runtime/replica/logstore.go", "pebble.Sync", "pebble.NoSync", "./internal/contract", "TestPowerLoss"},
	{"2", "fencing by base is off", "runtime/shard/machine.go", "if fencing && h.Base < m.meta.Base {¦if fencing && (h.Base > m.meta.Base || h.Head != m.meta.Head) {", "if false {¦if false {", "./runtime/shard", "TestFencing"},
	{"2", "an entry from a state that never was is executed", "runtime/shard/machine.go", "if fencing && (h.Base > m.meta.Base || h.Head != m.meta.Head) {", "if false {", "./runtime/shard", "TestFencing"},
	{"2, 7", "callers are answered whatever became of the entry", "runtime/shard/evaluate.go", "	if c.err == nil {\n		if !c.b.empty() {", "	if true {\n		if !c.b.empty() {", "./runtime/shard", "TestUnknownOutcome"},
	{"2", "what a failed command wrote joins the batch", "runtime/shard/evaluate.go", "		if err != nil {\n			return nil, err\n		}\n		if len(tx.own)", "		_ = err\n		if len(tx.own)", "./runtime/shard", "TestFailedCommandLeavesNothing"},
	{"19", "a jump to a block that is closed is taken for one forward", "plugins/meter/dispatch.go", "&& w.frames[to].serial == w.frames[d.frame].serial+to-d.frame", "", "./plugins/meter", "TestLooksOfDispatch"},
	{"1", "raft hears of others while it stops", "runtime/replica/open.go", "	r.transport.stop()\n	err := within(", "	err := within(", "./runtime/replica", "TestStopInInstall"},
	{"1", "a state that is about to be replaced becomes a snapshot", "runtime/replica/fsm.go", "m.pending != \"\" {\n		return nil, errSuperseded", "false {\n		return nil, errSuperseded", "./runtime/replica", "TestRegression"},
	{"2", "a late answer finds who asks now", "runtime/system/system.go", "s.next.Store(rand.Uint64())", "_ = rand.Uint64", "./runtime/system", "TestLateAnswer"},
	{"2", "remembered values outlive the state", "runtime/shard/recent.go", "if r.base != base {", "if false {", "./runtime/shard", "TestRecentValuesAreOfTheState"},
	{"3", "command ids are not looked up", "runtime/shard/evaluate.go", "if dedupe && (r.Again || !m.Fresh) {", "if false {", "./runtime/shard", "TestSameCommandOnce"},
	{"3", "ids are not bound to the body", "runtime/shard/dedupe.go", "body != m.Body", "body != body", "./runtime/shard", "TestSameCommandOnce"},
	{"3", "an id that was forgotten is taken for new", "runtime/shard/dedupe.go", "if !m.ID.Derived() && m.ID.Time().UnixMilli() <", "if false && m.ID.Time().UnixMilli() <", "./runtime/shard", "TestForgetting"},
	{"4", "an entry may leave a gap in the sequence", "runtime/shard/machine.go", "if seq != next.Head+1 {", "if false {", "./runtime/shard", "TestEventsHaveNoGap"},
	{"5", "a delivery is applied wherever the cursor is", "runtime/shard/deliver.go", "have != d.from {", "have != have {", "./runtime/shard", "TestDeliveryIsEffectOnce"},
	{"5", "the cursor does not move with the effects", "runtime/shard/deliver.go", "if reach != d.from {", "if false {", "./runtime/shard", "TestDeliveryIsEffectOnce"},
	{"5", "a log that is still replayed is taken for a wrong one", "runtime/shard/feed.go", "after.Seq > meta.Head && f.complete {", "after.Seq > meta.Head {", "./runtime/shard", "TestConsumerAheadOfReplay"},
	{"8", "a storage error does not end the process", "runtime/store/open.go", "	l.n.Fatal(fmt.Errorf(\"database %s: %s\", l.name, fmt.Sprintf(format, args...)))", "	_ = fmt.Sprintf(format, args...)", "./internal/contract", "TestFullDisk"},
	{"10", "consumers that have not read are not waited for", "runtime/shard/feed.go", "			return 0, false\n", "			continue\n", "./runtime/shard", "TestStuckConsumerKeepsEvents"},
	{"10", "young events are dropped", "runtime/shard/deliver.go", "keep := min(acked, old.Seq) + 1", "keep := max(acked, old.Seq) + 1", "./runtime/shard", "TestTrimming"},
	{"10", "a poison event is tried for ever", "runtime/shard/puller.go", "if p.failures >= parkAfter {", "if false {", "./runtime/shard", "TestPoisonIsParked"},
	{"11", "the queue has no bound", "runtime/shard/actor.go", "len(a.pending) >= a.cfg.MaxQueue &&", "len(a.pending) < 0 &&", "./runtime/shard", "TestQueueIsBounded"},
	{"11", "the rest of a long delivery goes before what waits", "runtime/shard/evaluate.go", "a.pending = append(a.pending, rest)", "a.pending = append([]*Request{rest}, a.pending...)", "./runtime/shard", "TestSlowEventsLeaveRoom"},
	{"12", "an entry of a newer format is read as ours", "runtime/wire/entry.go", "!known.Includes(int(b[0]))", "false", "./runtime/shard", "TestNewerEntryStops"},
	{"12", "the format rises before all programs know it", "cluster.go", "format == 0 || newest < format", "newest > format", "./actors/control", "TestFormatRisesWithTheLastMember"},
	{"12", "events of a newer format are written before it is raised", "actors/control/rules.go", "if tx.Format() < ticketing.PlatformFormat {", "if false {", "./actors/control", "TestPlatformWaitsForTheFormat"},
	{"12", "evidence is kept before the format is raised", "actors/moderation/judge.go", "if tx.Format() >= ticketing.PlatformFormat {", "if true {", "./actors/moderation", "TestNothingNewBeforeTheFormat"},
	{"13", "a shard leads without its rules", "runtime/shard/lead.go", "	if a.spec.Gain != nil {", "	if false {", "./runtime/shard", "TestGainGatesLeadership"},
	{"13", "an event whose handler fails is skipped", "runtime/shard/deliver.go", "		if err != nil {\n			reach, out.failed", "		if err != nil && false {\n			reach, out.failed", "./runtime/shard", "TestPoisonIsParked"},
	{"9", "a new replica answers for one that was removed", "runtime/peer/groups.go", " || l.id != string(arg[2:])", "", "./runtime/peer", "TestGroups"},
	{"9", "data of one replica are used by another", "runtime/replica/identity.go", "case found && orNode(id, c.Node) != c.ID:", "case found && orNode(id, c.Node) != c.ID && false:", "./runtime/replica", "TestIdentity"},
	{"9", "a voter leaves while another one does not know who remains", "actors/control/placement/change.go", " || !s.informed(m.ID)", "", "./actors/control/placement", "TestRemovalWaitsUntilAllKnow"},
	{"9", "a node of another incarnation goes on", "internal/node/members.go", "self.Incarnation > n.record.Incarnation:", "false:", "./internal/node", "TestBelongs"},
	{"14", "an empty directory becomes a cluster by itself", "internal/node/node.go", "case n.cfg.Dev && !n.cfg.Clustered():", "case true:", "./internal/contract", "TestNoClusterByItself"},
	{"14", "a node that has had others begins a cluster beside them", "internal/node/node.go", "case n.cfg.Dev && !n.cfg.Clustered():", "case n.cfg.Dev:", "./internal/node", "TestNoSecondCluster"},
	{"15", "what the active version fails on is not judged again", "plugins/host/judge.go", "if o.Failure == \"\" || second == nil {", "if second != first {", "./plugins/host", "TestTheLastGoodVersionJudgesTheSameItem"},
	{"15", "what a failed call wrote stays", "plugins/host/call.go", "	if c.state != nil {\n		c.state.Rewind(c.mark)", "	if c.state == nil {\n		c.state.Rewind(c.mark)", "./plugins/host", "TestTheLastGoodVersionSeesNoWritesOfTheFailedOne"},
	{"15", "five failures in a minute are not too many", "plugins/host/breaker.go", "soon := n >= tripFailures &&", "soon := n > tripShare+1 &&", "./plugins/host", "TestBreaker"},
	{"15", "a rule is suspended although there is a good version", "actors/control/lifecycle.go", "if !ok || good.Digest == p.Digest ||", "if ok || good.Digest == p.Digest ||", "./actors/control", "TestQuarantineRestores"},
	{"15", "a version that failed too often judges on", "internal/node/trip.go", "set, err := m.control.Quarantine(ctx, q)", "set, err := m.control.RuleSet(ctx)", "./internal/contract", "TestHostileRules"},
	{"15", "a rule without a good version never judges again", "actors/control/lifecycle.go", "return !now.Before(v.Until) && p.unsigned", "return now.Before(v.ChangedAt) && p.unsigned", "./internal/contract", "TestHostileRules"},
	{"16", "golden tests that fail keep no version from judging", "plugins/golden/golden.go", "if len(faults) == 0 {", "if len(faults) >= 0 {", "./internal/contract", "TestVersionsSurviveKills"},
	{"16", "golden tests run only where a version is uploaded", "plugins/host/host.go", "if err := h.Prove(ctx, set); err != nil {", "if err := h.Prove(ctx, set); false && err != nil {", "./plugins/host", "TestGoldenTestsRunWhereARuleIsPrepared"},
	{"16", "a rule may remember something between items", "plugins/host/golden.go", "fault = golden.Differ(&t.Outcome, &s.outcome)", "fault = nil", "./plugins/host", "TestGoldenNoticesWhatRulesRemember"},
	{"16", "a version may judge before its golden tests have passed", "actors/control/rules.go", "case !v.State.Runnable():", "case false:", "./actors/control", "TestRuleRefusals"},
	{"16", "a version in quarantine may be activated", "actors/control/rules.go", "case v.State == ticketing.VersionQuarantined:¦case !v.State.Runnable():", "case false:¦case !v.State.Runnable() && v.State != ticketing.VersionQuarantined:", "./actors/control", "TestQuarantineRestores"},
	{"16", "unsigned versions judge where signatures are asked for", "actors/control/policy.go", "return !p.Asks(r) || signed(v)", "return true", "./actors/control", "TestSignatures"},
	{"16", "a version that its rule takes only signed leaves quarantine without a signature", "actors/control/policy.go", "case r != nil && !p.Trusts(r, v):", "case false:", "./actors/control", "TestUnsignedActiveVersion"},
	{"16", "what relied on a removed key judges on until the rule's next change", "internal/node/unsigned.go", "return m.policy.Asks(&r) }) {", "return m.policy.Signed }) {", "./internal/node", "TestRemovedKeyWithdrawsVersions"},
	{"16", "an interrupted upload is not taken up", "internal/node/upload.go", "case ticketing.VersionUploaded, ticketing.VersionAdmitted, ticketing.VersionCompiled:\n		default:", "case ticketing.VersionRetired:\n		default:", "./internal/node", "TestInterruptedUploadIsTakenUp"},
	{"17", "a change upon a stale reading is made", "actors/control/rules.go", "c.IfMatch != ticketing.AnyMatch && c.IfMatch != old.Changed", "c.IfMatch < 0", "./internal/contract", "TestTwoOperatorsAtOnce"},
	{"17", "decisions of two rule sets bear one number", "actors/moderation/generation.go", "		return j, g, nil", "		return j, g | 1, nil", "./internal/contract", "TestSwapUnderLoad"},
	{"17", "what is swapped out is not freed", "actors/moderation/generation.go", "			old.Close()\n			delete(s.judges, g)", "			_ = old\n			delete(s.judges, g)", "./internal/contract", "TestSwapUnderLoad"},
	{"17", "an instance that is taken over works for the judge before", "plugins/host/spares.go", "c.in, in.ctx = in, &callContext{context.Background(), c.call}", "c.in = in", "./plugins/host", "TestWhatIsTakenOverServesItsNewJudge"},
	{"17", "an instance is taken over under other limits", "plugins/host/spares.go", "c.call.rule, c.call.limits}", "c.call.rule, ticketing.RuleLimits{}}", "./plugins/host", "TestWhatIsTakenOver"},
	{"17", "what was started for a swap is not freed", "plugins/host/spares.go", "n := min(len(list), h.lacking(k))", "n := len(list)", "./plugins/host", "TestSparesAreFreed"},
	{"18", "rules share their values", "plugins/host/imports_state.go", "c.state.Value(c.rule, key,¦c.state.SetValue(c.rule, key,", "c.state.Value(\"\", key,¦c.state.SetValue(\"\", key,", "./plugins/host", "TestRulesDoNotShareTheirState"},
	{"18", "modules import what their manifest does not name", "plugins/host/admit.go", "; !a.can.Has(need) {", "; need != need {", "./plugins/host", "TestCheckRefusesWhatTheManifestDoesNotName"},
	{"18", "what a shadow writes stays", "plugins/host/judge.go", "defer state.Rewind(state.Mark())", "state.Mark()", "./plugins/host", "TestShadow"},
	{"19", "what one call leaves in the gauge counts in the next", "plugins/host/fuel.go", "	t.gauge.Set(uint64(int64(t.given) - int64(taken)))", "", "./plugins/host", "TestFuelIsEqual"},
	{"19", "bulk instructions cost the same whatever their length", "plugins/meter/cost.go", "bytesPerUnitLog2 = 4 ", "bytesPerUnitLog2 = 40 ", "./plugins/meter", "TestCosts"},
	{"19", "nested calls are not bounded", "plugins/meter/charge.go", "int64(o.p.limits.CallDepth)", "int64(1<<30)", "./plugins/meter", "TestDepth"},
	{"19", "a call goes on after its deadline", "plugins/host/fuel.go", "if c.clock() > c.until {", "if c.clock() < 0 {", "./plugins/host", "TestDeadline"},
	{"20", "a canary that decides too differently is promoted", "internal/node/canary.go", "case max(shift, -shift) > ticketing.CanaryMaxShift:", "case false:", "./internal/node", "TestCanaryEnds"},
	{"20", "a canary is weighed against nothing", "internal/node/canary.go", " || active.Judged < enough(items, c.Share)", "", "./internal/node", "TestWeigh"},
	{"20", "a canary that is to be taken away is promoted", "internal/node/canary.go", "if v == canaryPromoted {", "if v != canaryWaits {", "./internal/node", "TestCanaryEnds"},
	{"20", "a canary is never promoted", "internal/node/canary.go", "	return canaryPromoted, told", "	return canaryWaits, told", "./internal/node", "TestWeigh"},
}

func main() {
	dir, err := os.MkdirTemp("", "mutants")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	defer os.RemoveAll(dir)
	alive := 0
	fmt.Println("| invariant | broken on purpose | test | result |\n|---|---|---|---|")
	for i, m := range mutants {
		if !m.chosen(os.Args[1:]) {
			continue
		}
		verdict := "red"
		if err := m.run(dir, i); err != nil {
			alive++
			verdict = "**" + err.Error() + "**"
		}
		fmt.Printf("%v %s |\n", m, verdict)
	}
	if alive > 0 {
		fmt.Fprintf(os.Stderr, "%d of %d mutants live\n", alive, len(mutants))
		os.Exit(1)
	}
}

// String is the mutant's line of the table, without the result.
func (m mutant) String() string {
	return fmt.Sprintf("| %s | %s | `%s` in `%s` |", m.invariant, m.what, m.test, m.pkg)
}

// chosen reports whether one of the words is in the line; without words every mutant is chosen.
func (m mutant) chosen(words []string) bool {
	return len(words) == 0 || slices.ContainsFunc(words, func(w string) bool { return strings.Contains(m.String(), w) })
}

// broken returns the source with the break.
func (m mutant) broken(text string) (string, error) {
	to := strings.Split(m.to, "¦")
	for i, from := range strings.Split(m.from, "¦") {
		if !strings.Contains(text, from) {
			return "", fmt.Errorf("the text to break is not in %s any more", m.file)
		}
		text = strings.ReplaceAll(text, from, to[i])
	}
	return text, nil
}

// run compiles the mutant and runs its test; the error says that nothing turned red.
func (m mutant) run(dir string, number int) error {
	src, err := os.ReadFile(m.file)
	if err != nil {
		return err
	}
	text, err := m.broken(string(src))
	if err != nil {
		return err
	}
	path, err := filepath.Abs(m.file)
	if err != nil {
		return err
	}
	broken := filepath.Join(dir, fmt.Sprintf("%02d.go", number))
	if err := os.WriteFile(broken, []byte(text), 0o600); err != nil {
		return err
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {path: broken}})
	if err != nil {
		return err
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, overlay, 0o600); err != nil {
		return err
	}
	cmd := exec.Command("go", "test", "-overlay", file, "-count=1", "-timeout=5m", "-run", "^"+m.test+"$", m.pkg)
	cmd.Env = append(os.Environ(), "GOFLAGS="+os.Getenv("GOFLAGS")+" -overlay="+file) // the contract tests build the binary themselves
	out, err := cmd.CombinedOutput()
	switch {
	case err == nil:
		return fmt.Errorf("still green")
	case strings.Contains(string(out), "[build failed]"), strings.Contains(string(out), "[setup failed]"):
		return fmt.Errorf("does not compile: %.300s", out)
	}
	return nil
}
