package main

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"ticketing"
	"ticketing/client"
)

// Labels are found in the columns whose names say so, or in those that are named; faults name their line.
func TestReadLabels(t *testing.T) {
	id := ticketing.ID{0, 7}
	bad, good := client.Label{ID: id, Label: "bad"}, client.Label{Key: "k", Label: "good"}
	for name, tc := range map[string]struct {
		in    string
		flags labelFlags
		want  []client.Label
		fault string
	}{
		"ids":           {in: "\ufeffID,text,Label\n" + id.String() + ",x,spam\n", want: []client.Label{bad}},
		"keys":          {in: "label,key\nham,k\n,other\n0, k\n", want: []client.Label{good}},
		"youtube":       {in: "COMMENT_ID,CLASS\nz,1\n", want: []client.Label{{Key: "youtube:z", Label: "bad"}}},
		"named":         {in: "ref,key,ok\n" + id.String() + ",k,TRUE\n", flags: labelFlags{id: "Ref", label: "ok"}, want: []client.Label{bad}},
		"named key":     {in: "id,ref,label\nx,k,0\n", flags: labelFlags{key: "ref"}, want: []client.Label{good}},
		"two lines":     {in: "key,label\n\"k\nk\",1\nk,maybe\n", fault: `-:4: the label "maybe" is neither`},
		"no id":         {in: "id,label\nnonsense,1\n", fault: "-:2: "},
		"no item":       {in: "key,label\n ,1\n", fault: "-:2: the row names no item"},
		"contradiction": {in: "key,label\nk,1\nj,0\nk,0\n", fault: "-:4: the item is good here and bad in -:2"},
		"no column":     {in: "text,label\nx,1\n", fault: "-: there is no column id or item or subject or key or comment_id; the columns are text, label"},
		"no label":      {in: "id,text\nx,1\n", fault: "-: there is no column label or class or spam"},
		"short row":     {in: "id,label\nx\n", fault: "line 2: wrong number of fields"},
		"empty":         {in: "", fault: "-: it has no header"},
		"none":          {in: "key,label\nk,\n", fault: "the files hold no label"},
		"both":          {in: "", flags: labelFlags{id: "a", key: "b"}, fault: "do not go together"},
	} {
		tc.flags.files = []string{"-"}
		got, err := tc.flags.read(&app{in: strings.NewReader(tc.in)})
		if tc.fault == "" && (err != nil || !reflect.DeepEqual(got, tc.want)) || tc.fault != "" && (err == nil || !strings.Contains(err.Error(), tc.fault)) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	var many strings.Builder
	many.WriteString("key,label\n")
	for i := range ticketing.MaxLabels + 1 {
		fmt.Fprintf(&many, "%d,1\n", i)
	}
	f := labelFlags{files: []string{"-"}}
	if _, err := f.read(&app{in: strings.NewReader(many.String())}); err == nil || !strings.Contains(err.Error(), "-:50002: there are more than 50000 labels") {
		t.Error(err)
	}
	if _, err := (&labelFlags{label: "x"}).read(&app{}); err == nil {
		t.Error("a column of no file")
	}
}
