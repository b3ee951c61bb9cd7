package peers

import (
	"context"
	"embed"
	"fmt"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
)

//go:embed policy/*.rego
var policies embed.FS

// A Policy is one way to write the rule in Rego.
type Policy string

// The policies; why each is as it is stands in its file. They are the fastest of a dozen that were tried: cutting the text into words and
// looking those up took one and a half to three times as long, a glob more than ten times.
const (
	Contains Policy = "contains"
	Regex    Policy = "regex"
	nothing  Policy = "empty"
)

// evaluated is the rule in OPA's Go evaluator.
type evaluated struct {
	query rego.PreparedEvalQuery
	watch Watch
	key   *ast.Term
}

// NewOPA returns the rule in OPA's Go evaluator: the query is prepared once, the words lie in the store in the form that the evaluator
// reads without a conversion, and the input comes in that form too.
func NewOPA(words []string, p Policy, w Watch) (Rule, error) {
	text, err := policies.ReadFile("policy/" + string(p) + ".rego")
	if err != nil {
		return nil, err
	}
	list := make([]any, len(words))
	for i, word := range words {
		list[i] = word
	}
	store := inmem.NewFromObjectWithOpts(map[string]any{
		"words":   list,
		"pattern": "(?:^|[^0-9a-z])(" + strings.Join(words, "|") + ")(?:[^0-9a-z]|$)",
	}, inmem.OptReturnASTValuesOnRead(true))
	var options []rego.PrepareOption
	if p == Regex {
		options = append(options, rego.WithPartialEval()) // faster here, and slower for Contains, which it unrolls
	}
	query, err := rego.New(
		rego.Query("data.moderation.verdict"), rego.Module(string(p)+".rego", string(text)), rego.Store(store),
	).PrepareForEval(context.Background(), options...)
	if err != nil {
		return nil, err
	}
	return &evaluated{query, w, ast.StringTerm("text")}, nil
}

// Judge implements Rule.
func (e *evaluated) Judge(text string) (Verdict, error) {
	ctx := context.Background()
	if e.watch == Watched {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeLimit)
		defer cancel()
	}
	input := ast.NewObject([2]*ast.Term{e.key, ast.StringTerm(text)})
	results, err := e.query.Eval(ctx, rego.EvalParsedInput(input))
	if err != nil {
		return Verdict{}, err
	}
	if len(results) != 1 || len(results[0].Expressions) != 1 {
		return Verdict{}, fmt.Errorf("%d results", len(results))
	}
	verdict, ok := results[0].Expressions[0].Value.(map[string]any)
	if !ok {
		return Verdict{}, fmt.Errorf("a verdict %v", results[0].Expressions[0].Value)
	}
	if verdict["action"] != "reject" {
		return Verdict{}, nil
	}
	word, ok := verdict["word"].(string)
	if !ok {
		return Verdict{}, fmt.Errorf("a verdict %v without its word", verdict)
	}
	return Verdict{Rejected: true, Word: word}, nil
}

// Close implements Rule.
func (e *evaluated) Close() {}
