package rules_test
import ("testing";"strings")
func BenchmarkX(b *testing.B) {
	for n, c := range map[string]string{"none":`{"rate":{"items":0}}`,"all":""} {
	j := open(b, "spam", c)
	item := newItem(strings.Repeat("The weather was fine and we walked along the river. ", 400)[:20000])
	b.Run(n, func(b *testing.B){ for b.Loop() { j.Judge(item, nil) } })
	}
}
