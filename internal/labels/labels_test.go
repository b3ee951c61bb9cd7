package labels

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"ticketing"
)

// Labels are found in the columns whose names say so, or in those that are named; faults name their line.
func TestRead(t *testing.T) {
	id := ticketing.ID{0, 7}
	bad, good := Label{ID: id, Bad: true}, Label{Key: "k"}
	for name, tc := range map[string]struct {
		in    string
		named Columns
		want  []Label
		fault string
	}{
		"ids":           {in: "\ufeffID,text,Label\n" + id.String() + ",x,spam\n", want: []Label{bad}},
		"keys":          {in: "label,key\nham,k\n,other\n0, k\n", want: []Label{good}},
		"youtube":       {in: "COMMENT_ID,CLASS\nz,1\n", want: []Label{{Key: "youtube:z", Bad: true}}},
		"named":         {in: "ref,key,ok\n" + id.String() + ",k,TRUE\n", named: Columns{ID: "Ref", Label: "ok"}, want: []Label{bad}},
		"named key":     {in: "id,ref,label\nx,k,0\n", named: Columns{Key: "ref"}, want: []Label{good}},
		"none":          {in: "key,label\nk,\n"},
		"two lines":     {in: "key,label\n\"k\nk\",1\nk,maybe\n", fault: `f:4: the label "maybe" is neither`},
		"no id":         {in: "id,label\nnonsense,1\n", fault: `f:2: "nonsense" is no id`},
		"the zero id":   {in: "id,label\n" + ticketing.ID{}.String() + ",1\n", fault: "f:2: "},
		"no item":       {in: "key,label\n ,1\n", fault: "f:2: the row names no item"},
		"a long key":    {in: "key,label\n" + strings.Repeat("k", 201) + ",1\n", fault: "of up to 200 bytes"},
		"no UTF-8":      {in: "key,label\n\xe4,1\n", fault: `f:2: "\xe4" is no key`},
		"contradiction": {in: "key,label\nk,1\nj,0\nk,0\n", fault: "f:4: the item is good here and bad in f:2"},
		"no column":     {in: "text,label\nx,1\n", fault: "f: there is no column id or item or subject or key or comment_id; the columns are text, label"},
		"no label":      {in: "id,text\nx,1\n", fault: "f: there is no column label or class or spam"},
		"short row":     {in: "id,label\nx\n", fault: "f: record on line 2: wrong number of fields"},
		"empty":         {in: "", fault: "f: it has no header"},
	} {
		var set Set
		err := set.Read("f", strings.NewReader(tc.in), tc.named)
		if tc.fault == "" && (err != nil || !reflect.DeepEqual(set.Labels, tc.want)) || tc.fault != "" && (err == nil || !strings.Contains(err.Error(), tc.fault)) {
			t.Errorf("%s: %+v, %v", name, set.Labels, err)
		}
	}
}

// What is wrong in a file without a name is found by its line, and never repeats much of the file.
func TestFaultsWithoutName(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	for in, want := range map[string]string{
		"key,label\nk,1\nk,0\n":        "line 3: the item is good here and bad in line 2",
		"key,label\nk," + long + "\n":  "line 2: the label",
		"id,label\n" + long + ",1\n":   "line 2: ",
		"key,label\n" + long + ",1\n":  "line 2: ",
		"key," + long + "\nk,1\n":      "there is no column label",
		"":                             "it has no header",
		"key,label\nk,1\n\"k\"x,1\n,,": "parse error on line 3",
	} {
		var set Set
		err := set.Read("", strings.NewReader(in), Columns{})
		if err == nil || !strings.HasPrefix(err.Error(), want) || len(err.Error()) > 400 {
			t.Errorf("%.40q: %.500v", in, err)
		}
	}
	if err := new(Set).Read("", strings.NewReader("x\n"), Columns{}); !errors.Is(err, ErrNoColumn) {
		t.Error(err)
	}
}

// The files of a set are one: they contradict each other, and have the most labels together.
func TestReadTwoFiles(t *testing.T) {
	var set Set
	read := func(name, in string) error { return set.Read(name, strings.NewReader(in), Columns{}) }
	if err := read("a", "key,label\nk,1\n"); err != nil {
		t.Fatal(err)
	}
	if err := read("b", "key,label\nk,1\nk,0\n"); err == nil || err.Error() != "b:3: the item is good here and bad in a:2" {
		t.Error(err)
	}
	var many strings.Builder
	many.WriteString("key,label\n")
	for i := range ticketing.MaxLabels {
		fmt.Fprintf(&many, "%d,1\n", i)
	}
	if err := read("c", many.String()); err == nil || err.Error() != "c:50001: there are more than 50000 labels" || len(set.Labels) != ticketing.MaxLabels {
		t.Errorf("%d labels, %v", len(set.Labels), err)
	}
}
